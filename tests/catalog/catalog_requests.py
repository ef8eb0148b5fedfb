"""Requests for the tests of the catalog."""

from ipyimagegen import catalog
from ipyimagegen.core.request import Input, Request

IMAGE = Input(sha256="00", mime="image/png", width=64, height=64)


def make_request(where, model=None, *, prompt="a fox", extra=None, inputs=(), mask=None, own=None, **options):
    """Return a request and its endpoint, which may be given by its name or URL."""
    endpoint = catalog.Registry(own or {}).find(where) if isinstance(where, str) else where
    request = Request(
        operation="edits" if inputs else "generations",
        endpoint=endpoint.name,
        base_url=endpoint.base_url,
        model=model,
        prompt=prompt,
        options=options,
        extra=extra or {},
        inputs=inputs,
        mask=mask,
    )
    return request, endpoint


def find_row(endpoint, model):
    """Return what is known of a model behind an endpoint, or None."""
    capabilities = catalog.describe_capabilities(endpoint, model, "generations")
    return capabilities.row if capabilities.known else None


def find_fields(endpoint, model, operation="generations"):
    """Return the options that an endpoint accepts for a model, or None."""
    return catalog.describe_capabilities(endpoint, model, operation).fields
