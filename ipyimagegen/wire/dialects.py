"""How each server wants its request written: a table of rows, and a function where one is really different.

The catalog has already decided which options go and with which values. Here they only get their
names and places. Nothing is ever added that nobody asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ipyimagegen.errors import InvalidOption, did_you_mean
from ipyimagegen.options import Json
from ipyimagegen.records import Request, Sent
from ipyimagegen.rows import Endpoint


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request, complete but for its key.

    `headers` never hold the key: it goes into `key_header` at sending, after "Bearer " if that is
    Authorization. `n` is how many pictures were asked for; it bounds the size of the reply.
    """

    url: str
    json: Mapping[str, Json]
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "Authorization"
    n: int = 1
    streams: bool = False


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A row: what differs from OpenAI's own way.

    `names` renames options, `values` replaces values of one option, `shape` rearranges the body.
    """

    route: str = "/images/generations"
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[Json, Json]] = field(default_factory=dict)
    shape: Callable[[dict[str, Json]], dict[str, Json]] = dict
    model_in_path: bool = False
    key_header: str = "Authorization"


def write(request: Request, sent: Sent, endpoint: Endpoint) -> Call:
    """Return the HTTP request for `sent` in the endpoint's dialect.

    `request.extra` is merged last, under the names it was given, and takes the place of the option
    of that name. Raises InvalidOption for an unknown dialect or an operation that is not written yet.
    """
    if request.operation != "generations":
        raise InvalidOption(f"{request.operation} are not supported yet.")
    dialect = _named(endpoint.dialect)
    extra = dict(request.extra)
    options = {k: v for k, v in sent.options.items() if k not in extra and k != "model"}
    model = sent.model
    in_path = dialect.model_in_path and not endpoint.base_url.rstrip("/").endswith("/v1")
    if in_path:
        model = str(extra.pop("model", model) or "")
    body: dict[str, Json] = {} if in_path or model is None else {"model": model}
    body |= {"prompt": request.prompt} | {
        dialect.names.get(k, k): _translated(dialect, k, v) for k, v in options.items()
    }
    body = dialect.shape(body) | extra
    route = (f"/deployments/{quote(model or '', safe='')}" if in_path else "") + dialect.route
    query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
    return Call(
        url=endpoint.base_url.rstrip("/") + route + query,
        json=body,
        key_header=dialect.key_header,
        n=request.count,
        streams=body.get("stream") is True,
    )


def _named(name: str) -> Dialect:
    if name in DIALECTS:
        return DIALECTS[name]
    raise InvalidOption(f"There is no dialect {name!r}.{did_you_mean(name, DIALECTS)}")


def _translated(dialect: Dialect, name: str, value: Json) -> Json:
    return dialect.values.get(name, {}).get(value, value)


_PIXELS = re.compile(r"(\d+)x(\d+)")


def _width_height(body: dict[str, Json]) -> dict[str, Json]:
    """Together has no `size`: two numbers instead, and nothing for `auto`."""
    size = str(body.get("size", ""))
    found = _PIXELS.fullmatch(size)
    if not found and size != "auto":
        return body
    pixels = {"width": int(found[1]), "height": int(found[2])} if found else {}
    return {k: v for k, v in body.items() if k != "size"} | pixels


def _after_bar(body: dict[str, Json]) -> dict[str, Json]:
    """LocalAI takes the negative prompt behind a bar in the prompt."""
    negative = body.get("negative_prompt")
    rest = {k: v for k, v in body.items() if k != "negative_prompt"}
    return rest if negative is None else rest | {"prompt": f"{body['prompt']}|{negative}"}


# What sd-server reads at the top level; anything else is heard only inside the prompt
# (stable-diffusion.cpp, examples/server: a JSON object between <sd_cpp_extra_args> tags).
_SDCPP_OWN = frozenset({"model", "prompt", "n", "size", "output_format", "output_compression"})


def _in_prompt(body: dict[str, Json]) -> dict[str, Json]:
    """sd-server takes its own arguments as JSON in a tag at the prompt's end."""
    inside = {k: v for k, v in body.items() if k not in _SDCPP_OWN}
    if not inside:
        return body
    if "guidance_scale" in inside:
        inside["sample_params"] = {"guidance": {"txt_cfg": inside.pop("guidance_scale")}}
    tag = f"<sd_cpp_extra_args>{json.dumps(inside)}</sd_cpp_extra_args>"
    rest = {k: v for k, v in body.items() if k in _SDCPP_OWN}
    return rest | {"prompt": f"{body['prompt']} {tag}"}


_XINFERENCE_EXTRAS = frozenset({"seed", "negative_prompt", "guidance_scale"})


def _in_kwargs(body: dict[str, Json]) -> dict[str, Json]:
    """Xinference takes extras as a JSON string, and sizes with an asterisk."""
    inside = {k: v for k, v in body.items() if k in _XINFERENCE_EXTRAS}
    rest = {k: v for k, v in body.items() if k not in _XINFERENCE_EXTRAS}
    if "size" in rest:
        rest["size"] = _PIXELS.sub(r"\1*\2", str(rest["size"]))
    return rest | ({"kwargs": json.dumps(inside, ensure_ascii=False)} if inside else {})


DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(),
    # The older routes name a deployment in the path; a base that ends in /openai/v1 takes the model
    # in the body as OpenAI does.
    "azure": Dialect(model_in_path=True, key_header="api-key"),
    "new-api": Dialect(),
    "litellm": Dialect(),
    "ark": Dialect(),
    "together": Dialect(shape=_width_height, values={"response_format": {"b64_json": "base64"}}),
    "xai": Dialect(),
    "openrouter": Dialect(route="/images"),
    "localai": Dialect(shape=_after_bar),
    "sdcpp": Dialect(shape=_in_prompt),
    "sglang": Dialect(),
    "vllm-omni": Dialect(),
    "xinference": Dialect(shape=_in_kwargs),
    "lemonade": Dialect(names={"guidance_scale": "cfg_scale"}),
}
