"""How each server differs from OpenAI's API: a table of rows, and pure functions where it really differs.

The catalog has already decided which options are sent, with which values. Here they only get their names and
places, and nothing is added that nobody requested. Responses are turned into OpenAI's form; one tolerant
reader serves all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import quote, urlencode

from ipyimagegen.client.body import BodyImage, HttpCall
from ipyimagegen.core.endpoints import (
    Endpoint,
    find_deployment,
    match_model,
    sends_edits_as_json,
    write_url,
)
from ipyimagegen.core.errors import InvalidOption, suggest_name
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json, parse_size
from ipyimagegen.core.request import Input, PreparedRequest, Request

NO_FILES: Mapping[str, bytes] = MappingProxyType({})
Body: TypeAlias = "dict[str, Json]"  # JSON values, and a BodyImage wherever an image stands


@dataclass(frozen=True, kw_only=True)
class EditImages:
    """The input images of an edit, in order; the mask belongs to the first image.

    `field` is where the endpoint requires this model's images.
    """

    images: Sequence[BodyImage]
    mask: BodyImage | None = None
    field: str | None = None


@dataclass(frozen=True, kw_only=True)
class EditFormat:
    """How a server takes edits: its route, a form or JSON, and the members of the body with the images."""

    route: str = "/images/edits"
    form: bool = True
    write: Callable[[EditImages], Body]


def _as_it_is(value: Json) -> Json:
    return value


def _as_files(edit: EditImages, single: str = "image", several: str = "image[]", mask: str = "mask") -> Body:
    """Return images as a form has them: openai-python's way, which most servers were tested with."""
    images = list(edit.images)
    name = edit.field or (single if len(images) == 1 else several)
    return {name: images} | ({mask: edit.mask} if edit.mask else {})


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A row: what differs from OpenAI's API.

    `complete_base` returns the base URL for a model. `names` renames options, `values` replaces values of an
    option, `write` rearranges the body. `edit` is for edits without a mask, and for those with a mask unless
    there is `inpaint`. `models` is the route of the list of models; the question what became of a job has
    `poll_headers`. `read_body` turns the JSON of a response into OpenAI's form, {"data": [{"b64_json" or
    "url", …}], "usage", "error"}, and `read_event` the data of an event of a stream, {"type": "….completed"
    or "….partial_image", "b64_json", …}. Long texts in them are slices, to be passed on as they are. A value
    for which they raise is read as it is.
    """

    route: str = "/images/generations"
    models: str = "/models"
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[Json, Json]] = field(default_factory=dict)
    complete_base: Callable[[str, str], str] | None = None
    key_header: str = "Authorization"
    poll_headers: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Body], Body] = dict
    edit: EditFormat = EditFormat(write=_as_files)
    inpaint: EditFormat | None = None
    read_body: Callable[[Json], Json] = _as_it_is
    read_event: Callable[[Json], Json] = _as_it_is


def write_call(
    request: Request, sent: PreparedRequest, endpoint: Endpoint, files: Mapping[str, bytes] = NO_FILES
) -> HttpCall:
    """Return the HTTP request for `sent` in the endpoint's dialect.

    `files` holds the bytes of its images by their hash. `request.extra` is merged last, under the names it
    was given, and replaces the option of that name. Raises InvalidOption for an unknown dialect.
    """
    name, model, base = endpoint.dialect, sent.model, endpoint.base_url.rstrip("/")
    if name not in DIALECTS:
        suggestion = suggest_name(name, DIALECTS)
        raise InvalidOption(
            _("Dialect {name!r} does not exist.{suggestion}", name=name, suggestion=suggestion)
        )
    dialect = DIALECTS[name]
    extra, write = dict(request.extra), dialect.write
    body: Body = {} if model is None else {"model": model}
    if dialect.complete_base:
        base = dialect.complete_base(base, str(extra.get("model", model) or ""))
        write = _split_size if base.endswith(_MAI) else write
        if find_deployment(base):
            body = {}
            extra.pop("model", None)
    body["prompt"] = request.prompt
    for option, value in sent.options.items():
        if option not in extra and option != "model":
            body[dialect.names.get(option, option)] = dialect.values.get(option, {}).get(value, value)
    if endpoint.negative_sign and "negative_prompt" in body:
        body["prompt"] += endpoint.negative_sign + body.pop("negative_prompt")
    body, route, form = write(body), dialect.route, False
    if sent.inputs:
        edit = dialect.inpaint if dialect.inpaint and sent.mask else dialect.edit
        if sends_edits_as_json(endpoint, sent.options):
            edit = _OPENAI_JSON
        body |= edit.write(_load_images(sent, endpoint, files))
        route, form = edit.route, edit.form
    body |= extra
    return HttpCall(
        url=_join_url(base, route, endpoint),
        body=body,
        form=form,
        key_header=dialect.key_header,
        n=request.count,
        streams=body.get("stream") is True,
    )


def write_models_url(endpoint: Endpoint) -> str:
    """Return the URL of the server's list of models; a deployment of Azure has none of its own."""
    dialect, base = DIALECTS.get(endpoint.dialect, OPENAI), endpoint.base_url.rstrip("/")
    if dialect.complete_base and find_deployment(base):
        base = base.rpartition("/deployments/")[0]
    return _join_url(base, dialect.models, endpoint)


def _join_url(base: str, route: str, endpoint: Endpoint) -> str:
    slash = "/" if endpoint.base_url.endswith("/") else ""
    return write_url(base + slash, route) + (f"?{urlencode(endpoint.query)}" if endpoint.query else "")


def _load_images(sent: PreparedRequest, endpoint: Endpoint, files: Mapping[str, bytes]) -> EditImages:
    def load(image: Input, name: str) -> BodyImage:
        return BodyImage(
            data=files[image.sha256],
            mime=image.mime,
            # Relays derive the type from the name's suffix (new-api).
            name=f"{name}.{image.mime.removeprefix('image/').replace('jpeg', 'jpg')}",
            sha256=image.sha256,
            width=image.width,
            height=image.height,
        )

    return EditImages(
        images=[load(image, f"image-{number}") for number, image in enumerate(sent.inputs, start=1)],
        mask=load(sent.mask, "mask") if sent.mask else None,
        field=match_model(endpoint.image_field, sent.model),
    )


# Base URLs


def _complete_azure_base(base: str, model: str) -> str:
    """Return the base URL of Azure's route for a model.

    The newer routes end in /v1 and have the deployment's name as `model` in the body, MAI-Image under a path
    of its own (Microsoft's documentation of 2026-06, as third parties quote it). The older routes name the
    deployment in the path, which the base URL may do already.
    """
    if base.endswith("/openai/v1") and model.casefold().startswith("mai-image"):
        return f"{base.removesuffix('/openai/v1')}{_MAI}"
    if base.endswith("/v1") or find_deployment(base):
        return base
    return f"{base}/deployments/{quote(model, safe='')}"


_MAI = "/mai/v1"


# Options


def _split_size(body: Body) -> Body:
    """Replace `size` by two numbers, or by nothing for `auto`: Together and MAI-Image have no `size`."""
    size = str(body.get("size", ""))
    pixels = parse_size(size)
    if not pixels and size != "auto":
        return body
    edges = {"width": pixels[0], "height": pixels[1]} if pixels else {}
    return {k: v for k, v in body.items() if k != "size"} | edges


# What sd-server reads at the top level; it reads anything else only inside the prompt
# (stable-diffusion.cpp, examples/server: a JSON object between <sd_cpp_extra_args> tags).
_SDCPP_OWN = frozenset({"model", "prompt", "n", "size", "output_format", "output_compression"})


def _add_arguments_tag(body: Body) -> Body:
    """Move the arguments of sd-server into a tag with JSON at the prompt's end."""
    inside = {k: v for k, v in body.items() if k not in _SDCPP_OWN}
    if not inside:
        return body
    sample = {"sample_steps": inside.pop("steps")} if "steps" in inside else {}
    if "guidance_scale" in inside:
        sample["guidance"] = {"txt_cfg": inside.pop("guidance_scale")}
    if sample:
        inside["sample_params"] = sample
    tag = f"<sd_cpp_extra_args>{json.dumps(inside)}</sd_cpp_extra_args>"
    rest = {k: v for k, v in body.items() if k in _SDCPP_OWN}
    return rest | {"prompt": f"{body['prompt']} {tag}"}


_XINFERENCE_EXTRAS = frozenset({"seed", "negative_prompt", "guidance_scale", "num_inference_steps"})


def _move_to_kwargs(body: Body) -> Body:
    """Write extras as a JSON string, and sizes with an asterisk, as Xinference requires."""
    inside = {k: v for k, v in body.items() if k in _XINFERENCE_EXTRAS}
    rest = {k: v for k, v in body.items() if k not in _XINFERENCE_EXTRAS}
    if pixels := parse_size(str(rest.get("size"))):
        rest["size"] = f"{pixels[0]}*{pixels[1]}"
    return rest | ({"kwargs": json.dumps(inside, ensure_ascii=False)} if inside else {})


# Input images


def _as_references(edit: EditImages) -> Body:
    """Return images as OpenAI's JSON has them: objects with a data URL."""
    body: Body = {"images": [{"image_url": image} for image in edit.images]}
    return body | ({"mask": {"image_url": edit.mask}} if edit.mask else {})


def _for_ark(edit: EditImages) -> Body:
    return {"image": edit.images[0] if len(edit.images) == 1 else list(edit.images)}


def _for_xai(edit: EditImages) -> Body:
    references = [{"url": image, "type": "image_url"} for image in edit.images]
    return {"image": references[0]} if len(references) == 1 else {"images": references}


def _for_together(edit: EditImages) -> Body:
    """Return images in the field of the model: image_url takes a single image, reference_images several."""
    name = edit.field or "reference_images"
    return {name: edit.images[0] if name == "image_url" else list(edit.images)}


def _for_localai(edit: EditImages) -> Body:
    """Return images as bare base64: LocalAI drops a data URL's image without an error."""
    bare = [replace(image, bare=True) for image in edit.images]
    return {"file": bare[0]} if len(bare) == 1 else {"ref_images": bare}


def _for_siliconflow(edit: EditImages) -> Body:
    """Return each image in a field of its own: image, image2, image3."""
    return {
        f"image{number if number > 1 else ''}": image for number, image in enumerate(edit.images, start=1)
    }


def _for_openrouter(edit: EditImages) -> Body:
    return {"input_references": [{"type": "image_url", "image_url": {"url": image}} for image in edit.images]}


# Responses


def _mark_paths(body: Json) -> Json:
    """Turn paths on the server's disk into file: URLs: Xinference sends paths unless base64 is requested."""
    if isinstance(body, list):
        return [_mark_paths(item) for item in body]
    if not isinstance(body, Mapping):
        return body
    if "data" in body:
        return {**body, "data": _mark_paths(body["data"])}
    url = body.get("url")
    if isinstance(url, str) and url.lstrip().startswith("/"):
        return {**body, "url": f"file:{url.lstrip()}"}
    return body


OPENAI = Dialect()
_STEPS = {"steps": "num_inference_steps"}
_OPENAI_JSON = EditFormat(form=False, write=_as_references)

DIALECTS: Mapping[str, Dialect] = {
    "openai": OPENAI,
    "azure": Dialect(complete_base=_complete_azure_base, key_header="api-key"),
    "new-api": Dialect(),
    "litellm": Dialect(),
    "ark": Dialect(edit=EditFormat(route="/images/generations", form=False, write=_for_ark)),
    "together": Dialect(
        write=_split_size,
        values={"response_format": {"b64_json": "base64"}},
        edit=EditFormat(route="/images/generations", form=False, write=_for_together),
    ),
    "xai": Dialect(
        names={"size": "resolution"},  # its sizes are tiers
        values={"size": {"1K": "1k", "2K": "2k"}},
        edit=EditFormat(form=False, write=_for_xai),
    ),
    "openrouter": Dialect(
        route="/images",
        models="/images/models",
        edit=EditFormat(route="/images", form=False, write=_for_openrouter),
    ),
    "siliconflow": Dialect(
        names={**_STEPS, "size": "image_size", "n": "batch_size"},
        edit=EditFormat(route="/images/generations", form=False, write=_for_siliconflow),
    ),
    "zhipu": Dialect(names={"watermark": "watermark_enabled", "user": "user_id"}),
    "modelscope": Dialect(
        names={"guidance_scale": "guidance"},
        poll_headers={"X-ModelScope-Task-Type": "image_generation"},
    ),
    "localai": Dialect(
        names={"steps": "step"},
        edit=EditFormat(route="/images/generations", form=False, write=_for_localai),
        inpaint=EditFormat(route="/images/inpainting", write=_as_files),
    ),
    "sdcpp": Dialect(write=_add_arguments_tag),
    "sglang": Dialect(names=_STEPS),
    "vllm-omni": Dialect(
        names=_STEPS, edit=EditFormat(write=partial(_as_files, several="image", mask="mask_image"))
    ),
    "xinference": Dialect(names=_STEPS, write=_move_to_kwargs, read_body=_mark_paths),
    "lemonade": Dialect(names={"guidance_scale": "cfg_scale"}),
}
