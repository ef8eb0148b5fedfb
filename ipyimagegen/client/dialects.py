"""How each server wants its request written: a table of rows, and a function where one is really different.

The catalog has already decided which options go and with which values. Here they only get their
names and places. Nothing is ever added that nobody asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import quote, urlencode

from ipyimagegen.client.bodies import File, shown
from ipyimagegen.core.endpoints import Endpoint, match_model, sends_edits_as_json
from ipyimagegen.core.errors import InvalidOption, suggest_name
from ipyimagegen.core.options import Json, parse_size
from ipyimagegen.core.request import Input, PreparedRequest, Request

NO_FILES: Mapping[str, bytes] = MappingProxyType({})
Body: TypeAlias = "dict[str, Json]"  # JSON values, and a File wherever an image stands


@dataclass(frozen=True, kw_only=True)
class HttpCall:
    """One HTTP request, complete but for its key.

    `body` holds JSON values, and a `File` wherever an image stands; `form` says that it goes out as
    multipart/form-data. `headers` never hold the key: it goes into `key_header` at sending, after
    "Bearer " if that is Authorization. `n` is how many edited were asked for; it bounds the size of
    the reply.
    """

    url: str
    body: Mapping[str, Json]
    form: bool = False
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "Authorization"
    n: int = 1
    streams: bool = False

    @property
    def shown(self) -> Mapping[str, Json]:
        """The body as it is shown and recorded: a few words stand for each image."""
        words: Mapping[str, Json] = shown(self.body)
        return words


@dataclass(frozen=True, kw_only=True)
class EditImages:
    """What an edit starts from, in order; the mask belongs to the first."""

    images: Sequence[File]
    mask: File | None = None
    field: str | None = None  # where the endpoint wants this model's edited

    @property
    def one_or_all(self) -> File | list[File]:
        """The image itself when there is only one."""
        return self.images[0] if len(self.images) == 1 else list(self.images)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """How a server wants edited: its route, a form or JSON, and where in the body they stand."""

    route: str = "/images/edits"
    form: bool = True
    place: Callable[[EditImages], Body]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A row: what differs from OpenAI's own way.

    `names` renames options, `values` replaces values of one option, `shape` rearranges the body.
    `edit` is for edited without a mask, and with one unless `inpaint` is there.
    """

    route: str = "/images/generations"
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[Json, Json]] = field(default_factory=dict)
    shape: Callable[[Body], Body] = dict
    model_in_path: bool = False
    key_header: str = "Authorization"
    edit: Edit = field(default_factory=lambda: Edit(place=_as_files))
    inpaint: Edit | None = None


def write_call(
    request: Request, sent: PreparedRequest, endpoint: Endpoint, files: Mapping[str, bytes] = NO_FILES
) -> HttpCall:
    """Return the HTTP request for `sent` in the endpoint's dialect.

    `files` holds the bytes of its edited by their hash. `request.extra` is merged last, under the
    names it was given, and takes the place of the option of that name. Raises InvalidOption for an
    unknown dialect.
    """
    dialect = _named(endpoint.dialect)
    edit, edited = _edit(dialect, sent, endpoint, files)
    extra = dict(request.extra)
    options = {k: v for k, v in sent.options.items() if k not in extra and k != "model"}
    model = sent.model
    in_path = dialect.model_in_path and not endpoint.base_url.rstrip("/").endswith("/v1")
    if in_path:
        model = str(extra.pop("model", model) or "")
    body: Body = {} if in_path or model is None else {"model": model}
    body |= {"prompt": request.prompt} | {
        dialect.names.get(k, k): _translated(dialect, k, v) for k, v in options.items()
    }
    body = dialect.shape(body) | (edit.place(edited) if edit else {}) | extra
    prefix = f"/deployments/{quote(model or '', safe='')}" if in_path else ""
    query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
    return HttpCall(
        url=endpoint.base_url.rstrip("/") + prefix + (edit.route if edit else dialect.route) + query,
        body=body,
        form=edit is not None and edit.form,
        key_header=dialect.key_header,
        n=request.count,
        streams=body.get("stream") is True,
    )


def _edit(
    dialect: Dialect, sent: PreparedRequest, endpoint: Endpoint, files: Mapping[str, bytes]
) -> tuple[Edit | None, EditImages]:
    """Return how the edited go, None when there are none, and the edited."""
    edited = EditImages(
        images=[_file(one, f"image-{k}", files) for k, one in enumerate(sent.inputs, start=1)],
        mask=_file(sent.mask, "mask", files) if sent.mask else None,
        field=match_model(endpoint.image_field, sent.model),
    )
    if not edited.images:
        return None, edited
    if sends_edits_as_json(endpoint, sent.options):
        return _OPENAI_JSON, edited
    return (dialect.inpaint if dialect.inpaint and edited.mask else dialect.edit), edited


def _file(one: Input, name: str, files: Mapping[str, bytes]) -> File:
    # Relays derive the type from the name's suffix (new-api).
    suffix = one.mime.removeprefix("image/").replace("jpeg", "jpg")
    return File(
        data=files[one.sha256],
        mime=one.mime,
        name=f"{name}.{suffix}",
        sha256=one.sha256,
        width=one.width,
        height=one.height,
    )


def _named(name: str) -> Dialect:
    if name in DIALECTS:
        return DIALECTS[name]
    raise InvalidOption(f"There is no dialect {name!r}.{suggest_name(name, DIALECTS)}")


def _translated(dialect: Dialect, name: str, value: Json) -> Json:
    return dialect.values.get(name, {}).get(value, value)


def _width_height(body: Body) -> Body:
    """Together has no `size`: two numbers instead, and nothing for `auto`."""
    size = str(body.get("size", ""))
    pixels = parse_size(size)
    if not pixels and size != "auto":
        return body
    edges = {"width": pixels[0], "height": pixels[1]} if pixels else {}
    return {k: v for k, v in body.items() if k != "size"} | edges


def _after_bar(body: Body) -> Body:
    """LocalAI takes the negative prompt behind a bar in the prompt."""
    negative = body.get("negative_prompt")
    rest = {k: v for k, v in body.items() if k != "negative_prompt"}
    return rest if negative is None else rest | {"prompt": f"{body['prompt']}|{negative}"}


# What sd-server reads at the top level; anything else is heard only inside the prompt
# (stable-diffusion.cpp, examples/server: a JSON object between <sd_cpp_extra_args> tags).
_SDCPP_OWN = frozenset({"model", "prompt", "n", "size", "output_format", "output_compression"})


def _in_prompt(body: Body) -> Body:
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


def _in_kwargs(body: Body) -> Body:
    """Xinference takes extras as a JSON string, and sizes with an asterisk."""
    inside = {k: v for k, v in body.items() if k in _XINFERENCE_EXTRAS}
    rest = {k: v for k, v in body.items() if k not in _XINFERENCE_EXTRAS}
    if pixels := parse_size(str(rest.get("size"))):
        rest["size"] = f"{pixels[0]}*{pixels[1]}"
    return rest | ({"kwargs": json.dumps(inside, ensure_ascii=False)} if inside else {})


def _as_files(edited: EditImages, one: str = "image", several: str = "image[]", mask: str = "mask") -> Body:
    """Return edited as a form has them: openai-python's way, which most servers were tried with."""
    images = list(edited.images)
    name = edited.field or (one if len(images) == 1 else several)
    return {name: images} | ({mask: edited.mask} if edited.mask else {})


def _as_references(edited: EditImages) -> Body:
    """OpenAI's JSON: `images` and `mask` are objects with a data URL."""
    body: Body = {"images": [{"image_url": one} for one in edited.images]}
    return body | ({"mask": {"image_url": edited.mask}} if edited.mask else {})


def _for_xai(edited: EditImages) -> Body:
    refs = [{"url": one, "type": "image_url"} for one in edited.images]
    return {"image": refs[0]} if len(refs) == 1 else {"images": refs}


def _for_together(edited: EditImages) -> Body:
    """Together's field depends on the model: image_url is one image, reference_images are several."""
    name = edited.field or "reference_images"
    return {name: edited.images[0] if name == "image_url" else list(edited.images)}


def _for_localai(edited: EditImages) -> Body:
    """LocalAI decodes bare base64; a data URL's image is dropped without a word."""
    bare = [replace(one, bare=True) for one in edited.images]
    return {"file": bare[0]} if len(bare) == 1 else {"ref_images": bare}


def _for_openrouter(edited: EditImages) -> Body:
    return {"input_references": [{"type": "image_url", "image_url": {"url": one}} for one in edited.images]}


_OPENAI_JSON = Edit(form=False, place=_as_references)

DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(),
    # The older routes name a deployment in the path; a base that ends in /openai/v1 takes the model
    # in the body as OpenAI does.
    "azure": Dialect(model_in_path=True, key_header="api-key"),
    "new-api": Dialect(),
    "litellm": Dialect(),
    "ark": Dialect(
        edit=Edit(route="/images/generations", form=False, place=lambda some: {"image": some.one_or_all})
    ),
    "together": Dialect(
        shape=_width_height,
        values={"response_format": {"b64_json": "base64"}},
        edit=Edit(route="/images/generations", form=False, place=_for_together),
    ),
    "xai": Dialect(edit=Edit(form=False, place=_for_xai)),
    "openrouter": Dialect(route="/images", edit=Edit(route="/images", form=False, place=_for_openrouter)),
    "localai": Dialect(
        shape=_after_bar,
        edit=Edit(route="/images/generations", form=False, place=_for_localai),
        inpaint=Edit(route="/images/inpainting", place=_as_files),
    ),
    "sdcpp": Dialect(shape=_in_prompt),
    "sglang": Dialect(),
    "vllm-omni": Dialect(edit=Edit(place=partial(_as_files, several="image", mask="mask_image"))),
    "xinference": Dialect(shape=_in_kwargs),
    "lemonade": Dialect(names={"guidance_scale": "cfg_scale"}),
}
