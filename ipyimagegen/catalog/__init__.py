"""What is known of servers and models, and what follows from it. Pure: it reads two tables, and no network.

`find_endpoint` finds a server, `find_model_row` what is known of a model there. `check` refuses or leaves
out options, `translate` writes what is sent, `estimate_cost` and `compute_cost` return what it costs. To
add a model or an endpoint, add a row to models.toml or endpoints.toml.
"""

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
