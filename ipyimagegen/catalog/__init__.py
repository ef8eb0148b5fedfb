"""What is known of servers and models, and what follows from it. Pure: it reads two tables, and no network.

`find_endpoint` finds a server, `find_model_row` what is known of a model there. `check` refuses or leaves
out options, `translate` writes what is sent, `estimate_cost` and `compute_cost` return what it costs. To
add a model or an endpoint, add a row to models.toml or endpoints.toml. Modules are imported when a name is
first used: loading the extension requires none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.catalog.input_requirements import InputRequirements, find_input_requirements
    from ipyimagegen.catalog.lookup import find_model_row, list_fields
    from ipyimagegen.catalog.pricing import (
        compute_cost,
        count_partial_tokens,
        estimate_cost,
        estimate_seconds,
    )
    from ipyimagegen.catalog.registry import (
        check_transport,
        find_default_endpoint,
        find_endpoint,
        find_endpoint_of_request,
        find_owner,
        is_loopback,
        list_configured_urls,
        list_endpoints,
    )
    from ipyimagegen.catalog.sizes import describe_sizes
    from ipyimagegen.catalog.tables import find_model, load_models, suggest_model
    from ipyimagegen.catalog.translation import translate
    from ipyimagegen.catalog.validation import check

__all__ = [
    "InputRequirements",
    "check",
    "check_transport",
    "compute_cost",
    "count_partial_tokens",
    "describe_sizes",
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
    "suggest_model",
    "translate",
]

_MODULES = {
    "InputRequirements": "input_requirements",
    "check": "validation",
    "check_transport": "registry",
    "compute_cost": "pricing",
    "count_partial_tokens": "pricing",
    "describe_sizes": "sizes",
    "estimate_cost": "pricing",
    "estimate_seconds": "pricing",
    "find_default_endpoint": "registry",
    "find_endpoint": "registry",
    "find_endpoint_of_request": "registry",
    "find_input_requirements": "input_requirements",
    "find_model": "tables",
    "find_model_row": "lookup",
    "find_owner": "registry",
    "is_loopback": "registry",
    "list_configured_urls": "registry",
    "list_endpoints": "registry",
    "list_fields": "lookup",
    "load_models": "tables",
    "suggest_model": "tables",
    "translate": "translation",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
