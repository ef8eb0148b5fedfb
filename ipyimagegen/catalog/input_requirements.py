"""Which images a model behind an endpoint takes for an edit, and the form of its mask."""

from __future__ import annotations

from dataclasses import dataclass

from ipyimagegen.catalog.lookup import find_model_row, resolve_model_name
from ipyimagegen.core.endpoints import Endpoint, sends_edits_as_json
from ipyimagegen.core.formats import BY_NAME
from ipyimagegen.core.request import PreparedRequest, Request

_FORMATS = tuple(BY_NAME)
_JSON_LIMIT = 15_700_000  # bytes, so that a data URL stays below OpenAI's 20,971,520 characters
_LIMIT = 50_000_000  # bytes of an image at OpenAI, which no server is known to exceed


@dataclass(frozen=True, kw_only=True)
class InputRequirements:
    """What input images have to be: formats, bytes of each, whether square; `mask_as` is alpha or white.

    `first` are the formats of the first image with a mask: OpenAI requires the same format for both.
    """

    formats: tuple[str, ...] = _FORMATS
    first: tuple[str, ...] = _FORMATS
    limit: int = _LIMIT
    square: bool = False
    mask_as: str = "alpha"


def find_input_requirements(request: Request, sent: PreparedRequest, endpoint: Endpoint) -> InputRequirements:
    """Return what the model's row requires there, else the endpoint's row, else any server."""
    row = find_model_row(endpoint, resolve_model_name(request, endpoint))
    formats = (row.input_formats if row else ()) or endpoint.input_formats or _FORMATS
    limit = (row.input_bytes if row else None) or endpoint.input_bytes or _LIMIT
    if sends_edits_as_json(endpoint, sent.options):
        limit = min(limit, _JSON_LIMIT)
    as_alpha = request.mask is not None and endpoint.mask_as == "alpha" and "png" in formats
    return InputRequirements(
        formats=formats,
        first=("png",) if as_alpha else formats,
        limit=limit,
        square=bool(row and row.input_square),
        mask_as=endpoint.mask_as,
    )
