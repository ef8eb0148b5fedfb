"""Which images a model behind an endpoint takes for an edit, and how it wants its mask."""

from __future__ import annotations

from dataclasses import dataclass

from ipyimagegen.catalog.rows import find_model_row, resolve_model_name
from ipyimagegen.core import formats as file_formats
from ipyimagegen.core.endpoints import Endpoint, sends_edits_as_json
from ipyimagegen.core.request import PreparedRequest, Request

FORMATS = tuple(file_formats.BY_NAME)
JSON_LIMIT = 15_700_000  # bytes, so that a data URL stays below OpenAI's 20,971,520 characters
LIMIT = 50_000_000  # bytes of an image at OpenAI, which no server is known to exceed


@dataclass(frozen=True, kw_only=True)
class InputRequirements:
    """What images are taken: formats, bytes of each, whether square; `mask_as` is alpha or white.

    `first` are the formats of the first image where there is a mask: OpenAI wants both of one format.
    """

    formats: tuple[str, ...] = FORMATS
    first: tuple[str, ...] = FORMATS
    limit: int = LIMIT
    square: bool = False
    mask_as: str = "alpha"


def find_input_requirements(request: Request, sent: PreparedRequest, endpoint: Endpoint) -> InputRequirements:
    """Return what images the model takes there: its own row's columns, else the endpoint's, else any."""
    known = find_model_row(endpoint, resolve_model_name(request, endpoint))
    formats = (known.input_formats if known else ()) or endpoint.input_formats or FORMATS
    limit = (known.input_bytes if known else None) or endpoint.input_bytes or LIMIT
    if sends_edits_as_json(endpoint, sent.options):
        limit = min(limit, JSON_LIMIT)
    as_alpha = request.mask is not None and endpoint.mask_as == "alpha" and "png" in formats
    return InputRequirements(
        formats=formats,
        first=("png",) if as_alpha else formats,
        limit=limit,
        square=bool(known and known.input_square),
        mask_as=endpoint.mask_as,
    )
