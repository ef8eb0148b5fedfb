"""Why a call failed, in our own words: what a server's error says and means, and what broke a connection.

The texts of requests and urllib3 are never shown: they hold the request with its key, URLs with a proxy's
password, object ids.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as u3

from ipyimagegen.client.connections import BlockedAddress, UnsupportedEncoding, join_url
from ipyimagegen.client.reasons import Reason, read_reason
from ipyimagegen.core.endpoints import have_same_origin, to_origin, write_url
from ipyimagegen.core.messages import Message, Remedy, _
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize


@dataclass(frozen=True)
class Cause:
    """How the cause of a failure is recognised: by a whole code in lower case, or by words in its texts."""

    remedy: Remedy
    codes: frozenset[str]
    words: re.Pattern[str]


def _make_cause(remedy: Remedy, codes: str, *words: str) -> Cause:
    return Cause(remedy, frozenset(codes.split()), re.compile("|".join(words), re.IGNORECASE))


# The first cause that matches counts, all codes before all words. As OpenAI, Azure, Gemini, new-api, LiteLLM,
# Ark, DashScope, Zhipu, MiniMax, SiliconFlow, Moonshot and xAI write in English and in Chinese (2026-11).
CAUSES = (
    _make_cause(
        Remedy.ADD_CREDIT,
        "insufficient_quota insufficient_user_quota pre_consume_token_quota_failed insufficient_balance"
        " billing_hard_limit_reached exceeded_current_quota_error budget_exceeded"
        " accountoverdueerror arrearage 1113 30011",
        r"exceeded your (?:current|monthly) (?:quota|included credits)",
        r"\b(?:insufficient|not enough|exhausted|out of|negative|overdue)\b.{0,24}\b(?:balance|credit|funds)",
        r"\b(?:balance|credits?|funds)\b.{0,24}\b(?:insufficient|not enough|too low|exhausted|overdue)\b",
        r"\binsufficient\b.{0,24}\bquota\b|\bquota\b.{0,24}\b(?:insufficient|not enough)\b",
        r"\b(?:no|all available) (?:\w+ )?credits\b|\bbilling (?:hard )?limit\b|\bspending limit\b",
        r"\bpaid balance\b|\bin arrears\b|\bpayment required\b",
        r"(?:余额|额度|点数|积分|quota).{0,12}(?:不足|用尽|用完|耗尽|失败)|(?:不足|没有).{0,6}(?:余额|额度)|欠费",
    ),
    _make_cause(
        Remedy.VERIFY_ORGANIZATION,
        "organization_not_verified",
        r"organi[sz]ation (?:must be|is not) verified|verify (?:your )?organi[sz]ation|(?:实名|企业)认证",
    ),
    _make_cause(
        Remedy.CHANGE_ENDPOINT,
        "unsupported_country_region_territory",
        r"\b(?:country|region|territory|location)\b.{0,48}\b(?:not (?:supported|available)|unsupported)\b",
        r"\b(?:not (?:supported|available|allowed)|unsupported|unavailable) (?:in|for|from) (?:your|this) "
        r"(?:country|region|territory|location)\b",
        r"(?:国家|地区|区域).{0,12}(?:不支持|不可用|限制)|不支持.{0,12}(?:国家|地区|区域)",
    ),
    _make_cause(
        Remedy.CHANGE_PROMPT,
        "moderation_blocked content_policy_violation content_filter contentfilter refusal 1301"
        " responsibleaipolicyviolation inputtextsensitivecontentdetected sensitive_words_detected"
        " inputimagesensitivecontentdetected outputimagesensitivecontentdetected data_inspection_failed"
        " datainspectionfailed prohibited_content safety image_safety image_prohibited_content",
        r"(?:content[ _-]?(?:management )?|\busage )polic(?:y|ies)\b|content[ _-]filter",
        r"\bnsfw\b|new_sensitive\b|has_nsfw_concepts",
        r"\b(?:content|image|input|output|prompt) (?:is )?sensitive\b",
        r"\b(?:can['’]?t|cannot|unable to) (?:help|assist|comply)\b",
        r"\bsafety (?:system|filter|polic|guideline)|\b(?:request|content|prompt) moderated\b",
        r"\b(?:prohibited|unsafe|harmful|inappropriate|disallowed|sensitive) (?:content|words?)\b",
        r"\bviolat\w+\b.{0,40}\b(?:polic|terms|guideline|rules)|\bflagged (?:as|by|for)\b",
        r"\b(?:rejected|blocked) by\b.{0,24}\b(?:safety|moderation)",
        r"敏感|违规|违禁|不合规|内容安全|违反.{0,12}(?:政策|规定|法律)|审核(?:未|不)通过",
    ),
    _make_cause(
        Remedy.CHANGE_MODEL,
        "model_not_found invalidendpointormodel.notfound modelnotopen deploymentnotfound",
        r"\bmodel\b.{0,80}\b(?:not found|not exist|doesn't exist|deprecated|retired|removed|shut down)\b",
        r"\b(?:no such|unknown|unsupported) model\b|\binvalid model(?: name| id|[:.]?$)",
        r"\bno available channel\b|\b(?:no|not have) access to (?:the |this )?model\b",
        r"模型.{0,60}(?:不存在|未找到|已下线)|无可用渠道",
    ),
    _make_cause(
        Remedy.CHECK_KEY,
        "invalid_api_key invalidapikey api_key_invalid missing_api_key invalid_authentication"
        " authenticationerror invalid_token token_expired no_db_connection",
        r"\blog ?in fail|\bapi secret key\b|\b(?:incorrect|invalid|wrong) credentials?\b",
        r"\b(?:incorrect|invalid|wrong|expired|missing|unknown|no|valid)\b.{0,24}"
        r"\b(?:api|subscription)[ _-]?key\b|\b(?:invalid|incorrect|wrong) key\b",
        r"\bapi[ _-]?key\b.{0,32}\b(?:invalid|incorrect|wrong|expired|revoked|disabled|missing|required)\b",
        r"\bapi[ _-]?key\b.{0,32}\b(?:permission|not (?:valid|found|allowed|exist))\b",
        r"\b(?:invalid|expired) (?:\w+ )?token\b|\btoken (?:is |has )?(?:invalid|expired|revoked|disabled)\b",
        r"no connected db|missing scopes|insufficient permissions",
        r"authentication (?:failed|fails|error|required)",
        r"令牌|(?:密钥|身份验证).{0,12}(?:无效|错误|过期|失败)",
    ),
)
# Of 4xx alone: after a 200 the call may have been executed. The words are those that firewalls are seen to
# write; no documentation lists them.
CAUSES_OF_4XX = (
    _make_cause(
        Remedy.CHECK_NETWORK,
        "",
        r"\bjust a moment\.{3}|\berror code: 10\d\d\b|\battention required!|\byou have been blocked\b",
        r"\bfirewall\b|\brequested url was rejected\b|\bWAF\b|防火墙|(?:访问|请求).{0,12}(?:阻断|拦截)",
    ),
    _make_cause(
        Remedy.RUN_LATER,
        "rate_limit_exceeded",
        r"\brate[ _-]?limit(?:s|ed)?\b.{0,24}\b(?:exceeded|reached)\b|\btoo many requests\b|请求过于频繁",
    ),
)
_BY_STATUS: Mapping[int | None, Remedy] = {
    HTTPStatus.UNAUTHORIZED: Remedy.CHECK_KEY,
    HTTPStatus.PAYMENT_REQUIRED: Remedy.ADD_CREDIT,
    HTTPStatus.NOT_FOUND: Remedy.CHECK_BASE_URL,
    HTTPStatus.METHOD_NOT_ALLOWED: Remedy.CHECK_BASE_URL,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: Remedy.CHECK_NETWORK,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Remedy.SEND_LESS,
}
# Refusals whatever the status: OpenAI reports quota with 429, new-api model_not_found with 503.
_NO_CHANNEL = ("no available channel", "无可用渠道")  # of new-api; they count where there is no code
_FINAL_CODES = frozenset(_NO_CHANNEL).union(
    *(cause.codes for cause in CAUSES if cause.remedy in (Remedy.ADD_CREDIT, Remedy.CHANGE_MODEL))
)
# A gateway that replaces the code by the status leaves the word in the message.
_FINAL = re.compile(rf"\b(?:{'|'.join(code for code in _FINAL_CODES if '_' in code)})\b")
_CHANNEL = re.compile("|".join(_NO_CHANNEL), re.IGNORECASE)
# A refusal that came with 200, where other servers use 4xx. What Ark finds in its output was made.
_REFUSAL = re.compile(
    r"(?i)moderation|content_(?:policy|filter)|^input\w+sensitive|^(?:invalid|unsupported|unknown_parameter)"
)


def classify_status(status: int, error: ErrorInfo) -> Status:
    """Return what an HTTP status other than 2xx means for the call."""
    if _is_final(error):
        return Status.REFUSED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Status.REFUSED if error.remedy is Remedy.ADD_CREDIT else Status.RATE_LIMITED
    return Status.REFUSED if _is_refusal(status) else Status.UNKNOWN


def classify_error_in_200(error: ErrorInfo) -> Status:
    """Return what the error of a whole response of 200 means for the call: refused, or unknown."""
    refused = _is_final(error) or error.remedy is Remedy.ADD_CREDIT or _REFUSAL.search(error.code or "")
    return Status.REFUSED if refused else Status.UNKNOWN


def _is_final(error: ErrorInfo) -> bool:
    return (error.code or "").lower() in _FINAL_CODES


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)


def parse_error(body: Json, status: int | None = None, redactor: Redactor = NO_KEYS) -> ErrorInfo:
    """Return the error in a body, parsed JSON or text; its message is plain, redacted and never empty."""
    return explain_reason(read_reason(body, redactor), status)


def explain_reason(reason: Reason, status: int | None = None) -> ErrorInfo:
    """Return the error that a reason states; the status is None for a response of 2xx."""
    phrase = HTTPStatus(status).phrase if status is not None and status in set(HTTPStatus) else ""
    message = reason.text or reason.quote or phrase or _("no reason given")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        message = _("the proxy requires a user name and a password")
    final = next((code for code in reason.codes if code.lower() in _FINAL_CODES), None)
    has_code = any(not code.isdigit() for code in reason.codes)
    words = _FINAL.search(reason.words) or (None if has_code else _CHANNEL.search(reason.words))
    final = final or (words[0] if words else None)
    code = final or next((code for code in reason.codes if not code.isdigit()), None)
    code = code or next(iter(reason.codes), None)
    return ErrorInfo(message=message, code=code, status=status, remedy=_find_remedy(reason, status, final))


def _find_remedy(reason: Reason, status: int | None, final: str | None) -> Remedy | None:
    """Return the remedy of the cause that a reason or else the status names."""
    codes = {line.lower() for line in (final or "", *reason.words.splitlines())}
    # A server that postpones a call may speak of its quota: what is over after a while is no arrears.
    postponed = status == HTTPStatus.TOO_MANY_REQUESTS and (reason.wait or "rate_limit_exceeded" in codes)
    refused = status is not None and _is_refusal(status)
    by_words = (status is None or refused or final) and not postponed
    causes = (*CAUSES, *(CAUSES_OF_4XX if refused else ()))
    in_front = status == HTTPStatus.FORBIDDEN and (reason.page or not (reason.words or reason.quote))
    return (
        next((cause.remedy for cause in causes if not codes.isdisjoint(cause.codes)), None)
        or next((cause.remedy for cause in causes if by_words and cause.words.search(reason.words)), None)
        or (Remedy.CHECK_NETWORK if in_front else _BY_STATUS.get(status))
    )


def find_redirect(url: str, location: str | None, redactor: Redactor = NO_KEYS) -> str:
    """Return where a redirect leads, without query and password; "" for what is no URL."""
    try:
        target = join_url(url, location or "")
        return redactor.clean(f"{to_origin(target)}{urlsplit(target).path}", 200) if location else ""
    except ValueError:
        return ""


def find_base_url(url: str, target: str, base_url: str) -> str:
    """Return the base URL whose requests go to the target of a redirect; "" if there is none.

    `url` was requested, which begins with `base_url`.
    """
    url = url.partition("?")[0]
    route, base = url.removeprefix(base_url.rstrip("/")).rstrip("/"), target.rstrip("/")
    if not route or not base.endswith(route) or target == url:
        return ""
    if base == url:
        return write_url(f"{base_url}/", "/images/generations")  # an address whose slash is kept
    base = base.removesuffix(route).rstrip("/")
    return base if urlsplit(base).path else target  # a bare host would get /v1


def find_other_slash(url: str, status: int, location: str | None) -> str:
    """Return the target of a redirect that adds or removes the final slash of the path, else "".

    Such a request was certainly not executed: the router of a framework answers it. The target is of the
    same origin; 307 and 308 alone ask for the same POST again.
    """
    if status not in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT) or not location:
        return ""
    try:
        target = join_url(url, location)
        parts, own = urlsplit(target), urlsplit(url)
        differs = parts.path != own.path and parts.path.rstrip("/") == own.path.rstrip("/")
        near = differs and to_origin(target) == to_origin(url)
    except ValueError:
        return ""
    if not near:
        return ""
    return target if parts.query or not own.query else f"{target.partition('?')[0]}?{own.query}"


_REDIRECTS = (301, 302, 303, 307, 308)


def find_own_redirect(url: str, status: int, location: str | None) -> str:
    """Return the target of a redirect of a GET in the origin of `url`, else ""."""
    try:
        target = join_url(url, location) if location and status in _REDIRECTS else ""
    except ValueError:
        return ""
    return target if have_same_origin(target, url) else ""


# Connections


def is_bad_certificate(error: BaseException) -> bool:
    """Return whether the server's certificate was refused; another try would change nothing."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _list_causes(error))


def is_unusable_request(error: BaseException) -> bool:
    """Return whether the request itself cannot be sent: a malformed URL or header, an unusable proxy."""
    return isinstance(error, (ValueError, TypeError))  # as requests' InvalidURL, InvalidHeader, … are


def describe_failure(error: BaseException) -> Message:
    """Return why a connection failed."""
    causes = list(_list_causes(error))
    for part, reason in _BY_TEXT.items():
        if any(part in str(cause) for cause in causes):
            return reason
    for kind, reason_of in _BY_KIND:
        for cause in causes:
            if isinstance(cause, kind):
                return reason_of if isinstance(reason_of, Message) else reason_of(cause)
    return _("the connection failed")


def _describe_certificate(error: BaseException) -> Message:
    reason = sanitize(getattr(error, "verify_message", ""), 120).rstrip(".") or _("no reason given")
    if getattr(error, "verify_code", 0) in _UNKNOWN_ISSUERS:
        return _(
            "its certificate is not trusted ({reason}); REQUESTS_CA_BUNDLE may name a file of certificates "
            "to trust",
            reason=reason,
        )
    return _("its certificate is not trusted ({reason})", reason=reason)


def _describe_tls(error: BaseException) -> Message:
    if getattr(error, "reason", None) in _NO_TLS_AT_ALL:
        return _("no secure connection could be made (should its address begin with http:?)")
    return _("no secure connection could be made")


def _describe_proxy(error: BaseException) -> Message:
    matches = (_TUNNEL.match(str(cause)) for cause in _list_causes(error))
    status = next((match[1] for match in matches if match), None)
    if status == "407":
        return _("the proxy requires a user name and a password (407)")
    if status:
        return _("the proxy refused the connection ({status})", status=status)
    return _("the proxy refused the connection")


_UNKNOWN_ISSUERS = (18, 19, 20, 21)  # OpenSSL's: self-signed, or signed by an unknown issuer
_NO_TLS_AT_ALL = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # of OpenSSL 3.0, and of 3.2
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's own text

# What has no kind of its own: a part of requests' text, and ours.
_BY_TEXT = {
    "SOCKS support": _("a SOCKS proxy is set, which requires PySocks (pip install pysocks)"),
    "CA certificate bundle": _("the file of certificates that REQUESTS_CA_BUNDLE names does not exist"),
}
SILENT = _("it was silent for too long")
# In this order: the first kind that is anywhere in the chain of causes gives the reason.
_Kind: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
_BY_KIND: tuple[tuple[_Kind, Message | Callable[[BaseException], Message]], ...] = (
    (BlockedAddress, lambda error: error.args[0]),
    (ssl.SSLCertVerificationError, _describe_certificate),
    ((u3.NameResolutionError, socket.gaierror), _("its name was not found")),
    (u3.ProxyError, _describe_proxy),
    (ConnectionRefusedError, _("the connection was refused")),
    (u3.NewConnectionError, _("no connection could be made")),  # before its base, ConnectTimeoutError
    (u3.ConnectTimeoutError, _("no connection in time")),
    (ssl.SSLError, _describe_tls),
    (u3.ReadTimeoutError, SILENT),
    (
        UnsupportedEncoding,
        lambda error: _("it is compressed as {name}, which was not requested", name=sanitize(error, 40)),
    ),
    (u3.DecodeError, _("it is damaged")),
    (u3.IncompleteRead, _("it was cut short")),
    (TimeoutError, SILENT),
    (http.client.RemoteDisconnected, _("the connection was closed")),
    ((ConnectionResetError, BrokenPipeError), _("the connection was reset")),
    (u3.ProtocolError, _("the connection was closed")),
    (requests.exceptions.InvalidHeader, _("a header is malformed")),
    (requests.exceptions.InvalidProxyURL, _("the address of the proxy is malformed")),
    (ValueError, _("the address is malformed")),  # as requests' InvalidURL, MissingSchema, … are
)


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it was made of, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
