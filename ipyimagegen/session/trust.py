"""Which servers may be asked: those that the user configured or named, never one that only a record names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ipyimagegen import catalog
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.plan import PlannedCall, Settings
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import UserInput


class Trust:
    """The base URLs that somebody named in this session, beside those that are configured."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def check(
        self, asked: UserInput, calls: Iterable[PlannedCall], settings: Settings, environ: Mapping[str, str]
    ) -> None:
        """Raise InvalidOption for a call to a server that only a record names."""
        base_urls = {call.endpoint.base_url for call in calls}
        if asked.like is None or "endpoint" in asked.options:
            self._named |= base_urls
        for base_url in base_urls - self.base_urls(settings, environ):
            server = truncate(base_url, 120)
            raise InvalidOption(
                f"The record names the server {server}, which is not configured here. Nothing was sent.\n"
                f"To send the request there, add --endpoint {server}"
            )

    def base_urls(self, settings: Settings, environ: Mapping[str, str]) -> frozenset[str]:
        """Return every base URL that may be asked. Raises InvalidOption for a bad setting."""
        chosen = settings.options.get("endpoint")
        configured = catalog.list_configured_urls(
            settings.endpoints, environ, str(chosen) if chosen else None
        )
        return configured | self._named
