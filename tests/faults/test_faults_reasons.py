"""Why there is no image: the server's own words wherever it puts them, and advice that fits them."""

import json
import re

import pytest
from canary import KEY
from lab import PAINTED
from sockets import b64, images, reply

from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.fronts import CELL

GOOD = reply(images(1, PAINTED))
FILTERED = {"violence": {"filtered": True, "severity": "medium"}, "hate": {"filtered": False}}
BLOCKED = {"error": {"code": "Forbidden", "message": "This may violate our content policy."}}
TWICE = json.dumps({"error": "Forbidden", "message": json.dumps(BLOCKED)})

# A body in which a reason stands, and what is told of it: with status 200 as well as with 400.
REASONS = [
    ({"code": 30011, "message": "The model requires paid balance.", "data": None}, "requires paid balance"),
    ({"base_resp": {"status_code": 1026, "status_msg": "the input is too long"}}, "the input is too long"),
    ({"success": False, "message": "The service met an error.", "time": 0}, "service met an error"),
    ({"success": False, "msg": "queue is full", "data": []}, "queue is full"),
    ({"created": 1, "data": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "PROHIBITED"),
    ({"data": [{"b64_json": None, "text": "I cannot draw this.", "finish_reason": "stop"}]}, "cannot draw"),
    ({"choices": [{"message": {"content": None, "refusal": "I cannot help."}}]}, "I cannot help"),
    ({"choices": [{"message": {"content": "There is no image tool."}}]}, "no image tool"),
    ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, "IMAGE_SAFETY"),
    ({"status": "failed", "data": {"fail_reason": "out of memory"}}, "out of memory"),
    ({"errorKey": "no_balance", "errorMessage": "Nothing left of it"}, "Nothing left of it"),
    (
        {"detail": [{"loc": ["body", "size"], "msg": "bad size", "input": {"prompt": "x"}}]},
        "body.size: bad size",
    ),
    ({"detail": {"error": {"message": "no room"}}}, "no room"),
    ({"error": "no such width", "data": None}, "no such width"),
    ({"error": ["one is wrong", "two is worse"]}, "one is wrong; two is worse"),
    ({"data": {"error": {"message": "deep down"}}}, "deep down"),
    ({"results": [{"errors": [{"description": "not today"}]}]}, "not today"),
    ({"error": {"message": TWICE, "code": "FORBIDDEN"}}, "This may violate"),
    ({"error": {"message": f"litellm.BadRequestError: OpenAIException - {TWICE}"}}, "This may violate"),
    ({"error": {"message": f"Error code: 400 - {BLOCKED!r}", "code": "400"}}, "This may violate"),
    ({"message": f"The third server answered: {json.dumps(BLOCKED)}"}, "The third server answered; This may"),
    ({"error": {"message": "rejected", "inner_error": {"content_filter_results": FILTERED}}}, "violence"),
    ({"error": {"message": "Provider failed", "metadata": {"raw": TWICE}}}, "Provider failed; This may"),
    ({"oops": "the printer is on fire"}, "the printer is on fire"),
    ({"error": {"reasons": {"a": ["unheard of"]}}}, "unheard of"),
]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
def test_76_reason_in_any_place(lab, status):
    server = lab.serve(GOOD)
    for seed, (body, says) in enumerate(REASONS):
        server.answer = reply(body, status)
        first = str(lab.cell(f"%imagine --seed {seed} a red fox").error).splitlines()[0]
        assert says in first
        assert first.casefold().count(says.casefold()) == 1
        assert "\\" not in first
        assert "hate" not in first
        assert len(first) < 360
    assert {run.status for run in lab.runs} <= {Status.UNKNOWN, Status.REFUSED}
    lab.check([run.status for run in lab.runs], len(REASONS))


def test_76_reason_in_a_stream(lab):
    stated = {"code": 30011, "message": "The model requires paid balance."}
    server = lab.serve(reply(f"data: {json.dumps(stated)}\n\n", kind="text/event-stream"))
    assert stated["message"].rstrip(".") in str(lab.cell("%imagine --stream a red fox").error)
    blocked = {"type": "image_generation.completed", "error": {"code": "", "message": ""}}
    events = f"data: {json.dumps(blocked)}\n\ndata: {json.dumps(BLOCKED)}\n\n"
    server.answer = reply(events, kind="text/event-stream")
    assert CELL.remedies[Remedy.CHANGE_PROMPT] in str(lab.cell("%imagine --stream a cat").error)
    lab.check([Status.REFUSED, Status.UNKNOWN], 2)


# How a reason may hold the key that it was sent; each also as JSON inside of JSON.
HIDDEN = [
    KEY,
    f"{KEY[:9]}\u200b{KEY[9:]}",
    "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    KEY.replace("/", "\\/"),
    "\\".join(KEY),
    b64(KEY.encode()),
]


def test_76_reason_with_the_key_in_it(lab):
    server = lab.serve(GOOD)
    bodies = []
    for text in HIDDEN:
        message = f"no {text} here"
        for _level in range(4):
            bodies += [{"message": message}, {"data": [{"text": message}]}, {"oops": message}]
            message = json.dumps({"error": {"message": message}})
    for seed, body in enumerate(bodies):
        server.answer = reply(body, ("200 OK", "401 Unauthorized")[seed % 2])
        lab.cell(f"%imagine --seed {seed} a red fox")
    lab.check([run.status for run in lab.runs], len(bodies))


def test_76_empty_error_beside_an_image(lab):
    empty = [
        {},
        "",
        [],
        None,
        False,
        {"code": "", "message": ""},
        {"message": None},
        {"code": 0, "msg": "ok"},
    ]
    good = json.loads(GOOD.partition(b"\r\n\r\n")[2])
    server = lab.serve(GOOD)
    for seed, error in enumerate(empty):
        item = {**good["data"][0], "error": error}
        server.answer = reply({**good, "data": [item], "error": error, "message": "success"})
        cell = lab.cell(f"%imagine --seed {seed} a red fox")
        assert cell.error is None, error
        assert "!" not in cell.texts
    lab.check([Status.DONE] * len(empty), len(empty), delivered=PAINTED[:1])


# A refusal, and the remedy that fits it.
CAUSES = [
    (403, "Blocked: this may violate our content policy.", Remedy.CHANGE_PROMPT),
    (400, "Your request was rejected as a result of our safety system.", Remedy.CHANGE_PROMPT),
    (400, "提示词包含敏感内容", Remedy.CHANGE_PROMPT),
    (403, "输入内容违规", Remedy.CHANGE_PROMPT),
    (400, "input new_sensitive", Remedy.CHANGE_PROMPT),
    (403, "Country, region, or territory not supported", Remedy.CHANGE_ENDPOINT),
    (400, "User location is not supported for the API use.", Remedy.CHANGE_ENDPOINT),
    (403, "Your organization must be verified to use the model `m`.", Remedy.VERIFY_ORGANIZATION),
    (401, "Incorrect API key provided.", Remedy.CHECK_KEY),
    (401, "Unauthorized", Remedy.CHECK_KEY),
    (400, "API key not valid. Please pass a valid API key.", Remedy.CHECK_KEY),
    (403, "该令牌已过期", Remedy.CHECK_KEY),
    (403, "User is locked. Reason: Exhausted balance.", Remedy.ADD_CREDIT),
    (403, "Sorry, your account balance is insufficient", Remedy.ADD_CREDIT),
    (401, "该令牌额度已用尽", Remedy.ADD_CREDIT),
    (403, "用户额度不足, 剩余额度: ＄0.00", Remedy.ADD_CREDIT),
    (400, "您的账户余额不足", Remedy.ADD_CREDIT),
    (403, "rate limit exceeded", Remedy.RUN_LATER),
    (403, "Blocked by the web application firewall", Remedy.CHECK_NETWORK),
    (413, "The prompt is too long", Remedy.SEND_LESS),
    (503, "分组 a 下模型 m 无可用渠道（distributor）", Remedy.CHANGE_MODEL),
    (503, "No available channel for model m under group a", Remedy.CHANGE_MODEL),
    (403, "Access to this feature is denied.", Remedy.CHANGE_REQUEST),
    (403, "", Remedy.CHANGE_REQUEST),
    (400, "Unknown parameter: 'moderation'.", Remedy.CHANGE_REQUEST),
    (400, "Transparent background is not supported for this model.", Remedy.CHANGE_REQUEST),
    (404, "The model `m` does not exist or you do not have access to it.", Remedy.CHANGE_MODEL),
    (400, "分组 a 下模型 m 无可用渠道（distributor）", Remedy.CHANGE_MODEL),
    (404, "Not Found", Remedy.CHECK_BASE_URL),
    (405, "Method Not Allowed", Remedy.CHECK_BASE_URL),
]


def test_77_refusal_by_its_reason(lab, clock):
    server = lab.serve(GOOD)
    server.answer = reply(
        {"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}}, "400 No"
    )
    assert CELL.remedies[Remedy.CHECK_KEY] in str(lab.cell().error)  # LiteLLM without a database
    for status, message, remedy in CAUSES:
        server.answer = reply({"error": {"message": message, "code": str(status)}}, f"{status} No")
        error = str(lab.cell().error)
        assert message in error
        assert error.splitlines()[1].endswith(CELL.remedies[remedy]), message
    server.answer = reply("<html><title>Not here</title></html>", "404 Not Found", kind="text/html")
    lab.cell()
    says = f"(?s)404: Not here\n.*{CELL.remedies[Remedy.CHECK_BASE_URL]}"
    lab.check([Status.REFUSED] * (len(CAUSES) + 2), len(CAUSES) + 2, says)


# What stands in front of a server says, and the remedy.
IN_FRONT = [
    ("403 No", "<!doctype html><title>Just a moment...</title>", Remedy.CHECK_NETWORK),
    ("403 No", "error code: 1020", Remedy.CHECK_NETWORK),
    ("403 No", "", Remedy.CHECK_NETWORK),
    ("403 No", "<html><title>403 Forbidden</title>nginx</html>", Remedy.CHECK_NETWORK),
    ("405 No", "<html><title>405</title><p>您的访问被阻断。</p></html>", Remedy.CHECK_NETWORK),
    ("405 No", "<html><title>405 Not Allowed</title>nginx</html>", Remedy.CHECK_BASE_URL),
    ("407 No", "<html><title>Squid</title></html>", Remedy.CHECK_NETWORK),
]


def test_77_refusal_in_front_of_the_server(lab, clock):
    server = lab.serve(GOOD)
    for status, body, remedy in IN_FRONT:
        server.answer = reply(body, status, kind="text/html")
        assert str(lab.cell().error).endswith(CELL.remedies[remedy]), body
    lab.check([Status.REFUSED] * len(IN_FRONT), len(IN_FRONT), "407: the proxy requires")


# A body of 200 without an image, and its remedy.
WITH_200 = [
    ({"base_resp": {"status_code": 1004, "status_msg": "login fail: carry the API secret key"}}, "check_key"),
    ({"error": {"message": "invalid credential"}}, "check_key"),
    ({"message": "quota 用完"}, "add_credit"),
    ({"base_resp": {"status_code": 1026, "status_msg": "image content sensitive"}}, "change_prompt"),
    ({"images": [], "has_nsfw_concepts": [True]}, "change_prompt"),
    ({"choices": [{"message": {"content": "I'm sorry, I can't help with that."}}]}, "change_prompt"),
    ({"images": [], "has_nsfw_concepts": [False]}, "retry"),
]


def test_77_reason_with_200(lab):
    server = lab.serve(GOOD)
    for seed, (body, remedy) in enumerate(WITH_200):
        server.answer = reply(body)
        assert str(lab.cell(f"%imagine --seed {seed} a red fox").error).endswith(
            CELL.remedies[Remedy(remedy)]
        )
    lab.check([run.status for run in lab.runs], len(WITH_200), "its list of images is empty")


# Refusals with 429 that another try would not change.
ARREARS = [
    {"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试"}},
    {"error": {"code": "AccountOverdueError", "message": "The account has an overdue balance."}},
    {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
    {"code": 30011, "message": "no", "data": None},
    {"error": {"message": "no", "code": "insufficient_quota"}},
    {"error": {"message": "no", "code": "billing_hard_limit_reached"}},
    {"error": {"message": "You exceeded your current quota, please check your plan.", "code": "429"}},
    {"error": {"message": "Insufficient balance"}},
    {"error": {"message": "余额不足或无可用资源包", "code": "429"}},
    {"error": {"message": f"litellm.RateLimitError: {json.dumps({'error': {'code': 'Arrearage'}})}"}},
    {"error": {"message": "RateLimitError: {'error': {'message': 'no', 'type': 'insufficient_quota'}}"}},
]


def test_78_arrears_with_429(lab, clock):
    server = lab.serve(GOOD)
    for body in ARREARS:
        server.answer = reply(body, "429 No", "Retry-After: 1")
        assert CELL.remedies[Remedy.ADD_CREDIT] in str(lab.cell().error), body
    assert clock.waited == []
    lab.check([Status.REFUSED] * len(ARREARS), len(ARREARS))


SLOW = {"error": {"message": "Rate limit reached. You can raise it by adding a payment method.", "code": 429}}


def say(message, **more):
    return {"error": {"message": message, "code": "rate_limit_exceeded", **more}}


# Headers, body, and the seconds that are waited for.
WAITS = [
    ((), SLOW, 1),
    (("llm_provider-retry-after: 7",), SLOW, 7),
    (("llm_provider-retry-after-ms: 2500", "llm_provider-retry-after: 7"), SLOW, 2.5),
    (("Retry-After: 3", "llm_provider-retry-after: 7"), say("try again in 9s"), 3),
    ((), say("no", details=[{"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "8s"}]), 8),
    ((), say("You exceeded your current quota.", details=[{"retryDelay": "1.5s"}]), 1.5),
    ((), say("Please try again in 8s. Visit https://example.com to learn more."), 8),
    ((), say("Please try again in 250ms."), 0.25),
    ((), say("Limit 5, Used 5. Please try again in 0m2s."), 2),
    ((), say("Please retry after 20 seconds."), 20),
    ((), say("请在 8 秒后重试"), 8),
    ((), say(f"litellm: {json.dumps(say('try again in 4s'))}"), 4),
]


def test_78_time_to_wait_in_the_body(lab, clock):
    server = lab.serve(GOOD)
    for seed, (headers, body, seconds) in enumerate(WAITS):
        clock.waited.clear()
        server.answer = [reply(body, "429 No", *headers), GOOD]
        assert lab.cell(f"%imagine --seed {seed} a red fox").error is None
        assert sum(clock.waited) == pytest.approx(seconds), body
    server.answer = reply(say("Please try again in 1m2s."), "429 No")
    clock.waited.clear()
    says = str(lab.cell().error)
    assert "62 s" in says
    assert CELL.remedies[Remedy.RUN_LATER] in says
    assert clock.waited == []
    done = len(WAITS)
    lab.check([*[Status.DONE] * done, Status.RATE_LIMITED], 2 * done + 1)


# A response of 2xx that is no JSON, and what is told of it.
ODD = [
    (b"HTTP/1.1 204 No Content\r\n\r\n", "204 with an empty body"),
    (reply(""), "200 with an empty body"),
    (reply(" \r\n"), "200 with an empty body"),
    (reply("<html><body>Welcome</body></html>", kind="text/html"), "web page"),
    (reply("upstream: no worker", kind="text/plain"), "no worker"),
    (
        reply(b"\x1b\x09\0\xf8\xa5\x01\xc0\x02" + bytes(range(128, 256)), "200 OK", "Content-Encoding: br"),
        "br",
    ),
]


def test_79_what_is_no_json(lab):
    server = lab.serve(GOOD)
    for seed, (answer, says) in enumerate(ODD):
        server.answer = answer
        error = str(lab.cell(f"%imagine --seed {seed} a red fox").error)
        assert says in error.splitlines()[0]
        assert (CELL.remedies[Remedy.CHECK_BASE_URL] in error) == (says == "web page")
        assert "most end" not in error
    server.answer = reply(PAINTED[1], kind="image/png")
    assert len(lab.cell().images) == 1
    lab.check([*[Status.UNKNOWN] * len(ODD), Status.DONE], len(ODD) + 1, delivered=[PAINTED[1]])


def test_79_error_body_that_cannot_be_read(lab):
    server = lab.serve(GOOD)
    for body in (b"", bytes(range(128, 256)), b"\x1b\x09\0\xf8" + bytes(200), b"{", b'"', b"[[[["):
        server.answer = reply(body, "400 Bad Request", "Content-Encoding: br")
        assert re.match(r"lab answered 400: [ -~]+\n", str(lab.cell().error))
    lab.check([Status.REFUSED] * 6, 6)
