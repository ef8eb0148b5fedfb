"""What is known of servers and models, and what follows from it. Pure: no network, no files but two tables.

`endpoint` finds a server, `row` what is known of a model there; `check` refuses or leaves out,
`translate` writes what is sent, `estimate` and `actual` say what it costs. Adding a model or an
endpoint is a row in models.toml or endpoints.toml. Modules come in at the first use of a name:
loading the extension needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.catalog.accepted import Intake, intake
    from ipyimagegen.catalog.addresses import check_transport, is_loopback
    from ipyimagegen.catalog.checks import check
    from ipyimagegen.catalog.prices import actual, estimate, partial_tokens, seconds
    from ipyimagegen.catalog.rows import fields_of, model_of, row
    from ipyimagegen.catalog.servers import (
        configured_urls,
        default_endpoint,
        endpoint,
        endpoint_of,
        endpoints,
        owner,
    )
    from ipyimagegen.catalog.tables import model, models, nearest_model
    from ipyimagegen.catalog.translation import translate

__all__ = [
    "Intake",
    "actual",
    "check",
    "check_transport",
    "configured_urls",
    "default_endpoint",
    "endpoint",
    "endpoint_of",
    "endpoints",
    "estimate",
    "fields_of",
    "intake",
    "is_loopback",
    "model",
    "model_of",
    "models",
    "nearest_model",
    "owner",
    "partial_tokens",
    "row",
    "seconds",
    "translate",
]

_LATER = {
    "check_transport": "addresses",
    "is_loopback": "addresses",
    "check": "checks",
    "Intake": "accepted",
    "intake": "accepted",
    "actual": "prices",
    "estimate": "prices",
    "partial_tokens": "prices",
    "seconds": "prices",
    "fields_of": "rows",
    "model_of": "rows",
    "row": "rows",
    "configured_urls": "servers",
    "default_endpoint": "servers",
    "endpoint": "servers",
    "endpoint_of": "servers",
    "endpoints": "servers",
    "owner": "servers",
    "model": "tables",
    "models": "tables",
    "nearest_model": "tables",
    "translate": "translation",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
