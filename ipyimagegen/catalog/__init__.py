"""What is known of servers and models, and what follows from it. Pure: it reads two tables, and no network.

A `Registry` finds a server, `find_capabilities` what a model accepts there. `check` refuses or leaves out
options, `translate` writes what is sent, `estimate_cost` and `compute_cost` return what it costs. To add a
model or an endpoint, add a row to models.toml or endpoints.toml.
"""

from ipyimagegen.catalog.capabilities import (
    Capabilities,
    InputRequirements,
    describe_capabilities,
    find_capabilities,
    find_input_requirements,
)
from ipyimagegen.catalog.pricing import compute_cost, count_partial_tokens, estimate_cost
from ipyimagegen.catalog.registry import (
    ADDRESS_VARIABLES,
    Registry,
    check_address,
    check_transport,
    is_loopback,
)
from ipyimagegen.catalog.sizes import describe_sizes
from ipyimagegen.catalog.tables import (
    find_model,
    list_names,
    load_models,
    looks_like_image_model,
    suggest_model,
)
from ipyimagegen.catalog.translation import translate
from ipyimagegen.catalog.validation import check, describe_retirement

__all__ = [
    "ADDRESS_VARIABLES",
    "Capabilities",
    "InputRequirements",
    "Registry",
    "check",
    "check_address",
    "check_transport",
    "compute_cost",
    "count_partial_tokens",
    "describe_capabilities",
    "describe_retirement",
    "describe_sizes",
    "estimate_cost",
    "find_capabilities",
    "find_input_requirements",
    "find_model",
    "is_loopback",
    "list_names",
    "load_models",
    "looks_like_image_model",
    "suggest_model",
    "translate",
]
