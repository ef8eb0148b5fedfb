"""What is known of servers and models, and what follows from it. Pure: no network, no files but two tables.

`find_endpoint` finds a server, `find_model_row` what is known of a model there; `check` refuses or leaves
out, `translate` writes what is sent, `estimate_cost` and `compute_cost` say what it costs. Adding a model or
an endpoint is a row in models.toml or endpoints.toml. Modules come in at the first use of a name:
loading the extension needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.catalog.accepted import InputRequirements, find_input_requirements
    from ipyimagegen.catalog.addresses import check_transport, is_loopback
    from ipyimagegen.catalog.checks import check
    from ipyimagegen.catalog.prices import compute_cost, count_partial_tokens, estimate_cost, estimate_seconds
    from ipyimagegen.catalog.rows import find_model_row, list_fields, resolve_model_name
    from ipyimagegen.catalog.servers import (
        find_default_endpoint,
        find_endpoint,
        find_endpoint_of_request,
        find_owner,
        list_configured_urls,
        list_endpoints,
    )
    from ipyimagegen.catalog.tables import find_model, load_models, suggest_model
    from ipyimagegen.catalog.translation import translate

__all__ = [
    "InputRequirements",
    "check",
    "check_transport",
    "compute_cost",
    "count_partial_tokens",
    "estimate_cost",
    "estimate_seconds",
    "find_default_endpoint",
    "find_endpoint",
    "find_endpoint_of_request",
    "find_input_requirements",
    "find_model",
    "find_model_row",
    "find_owner",
    "is_loopback",
    "list_configured_urls",
    "list_endpoints",
    "list_fields",
    "load_models",
    "resolve_model_name",
    "suggest_model",
    "translate",
]

_LATER = {
    "check_transport": "addresses",
    "is_loopback": "addresses",
    "check": "checks",
    "InputRequirements": "accepted",
    "find_input_requirements": "accepted",
    "compute_cost": "prices",
    "estimate_cost": "prices",
    "count_partial_tokens": "prices",
    "estimate_seconds": "prices",
    "list_fields": "rows",
    "resolve_model_name": "rows",
    "find_model_row": "rows",
    "list_configured_urls": "servers",
    "find_default_endpoint": "servers",
    "find_endpoint": "servers",
    "find_endpoint_of_request": "servers",
    "list_endpoints": "servers",
    "find_owner": "servers",
    "find_model": "tables",
    "load_models": "tables",
    "suggest_model": "tables",
    "translate": "translation",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
