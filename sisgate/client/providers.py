"""Providers over HTTP: their state, and what can be changed while the fleet runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sisgate.admission.state import LimiterState
from sisgate.client.connection import Connection
from sisgate.client.paths import provider_path
from sisgate.client.provider_state import endpoint_of, limiter_of, provider_of
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import hold_of, obstacle_of, queue_of, text_of, value_of
from sisgate.errors import NotFound
from sisgate.gateway.breakers import EndpointStatus
from sisgate.gateway.hold import Hold
from sisgate.gateway.overview import Overview
from sisgate.gateway.plan import PriorityQueue
from sisgate.gateway.provider_search import ProviderPage
from sisgate.gateway.providers import Providers
from sisgate.gateway.usage import Usage


@reads_answers
class HttpProviders:
    """`gateway.providers` over HTTP. Methods raise `UnknownProvider` for an unknown name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def urls(self, name: str) -> Sequence[str]:
        """Return the base URLs of a provider's endpoints."""
        return [each["url"] for each in self._get(name)["endpoints"]]

    def names(self) -> Sequence[str]:
        """Return the names of the providers that the caller may see."""
        try:
            names: list[str] = self._connection.get("/v1/provider-names")["names"]
        except NotFound:  # an older service
            return [each.name for each in self.overview().providers]
        return names

    def overview(self, name: str | None = None) -> Overview:
        """Return the state of one provider or of all that the caller may see; see `Providers`."""
        document = self._connection.get("/v1/providers") if name is None else self._get(name)
        providers = document["providers"] if name is None else [document]
        return Overview(
            [provider_of(each) for each in providers],
            document.get("unknown") or (),
            [obstacle_of(each) for each in document.get("periodic") or ()],
        )

    @twin(Providers.search)
    def search(self, **query: Any) -> ProviderPage:
        found = self._connection.get("/v1/providers", query)
        return ProviderPage(
            [provider_of(each) for each in found["providers"]],
            found["count"], found["page"], found["pages"],
            found.get("kinds") or (), found.get("pools") or (), found["unknown"],
        )  # fmt: skip

    def window_shape(self, name: str, parts: int = 24) -> Sequence[int]:
        """Return how many permits of the longest window come back in each part of it from now on.

        Empty without a limit.
        """
        path = f"{provider_path(name)}/window"
        permits: list[int] = self._connection.get(path, {"parts": parts})["permits"]
        return permits

    def hold(self, name: str) -> Hold | None:
        """Return why a provider takes no calls now and until when; None if it does."""
        return hold_of(self._get(name)["hold"])

    def queue(self, name: str) -> Sequence[PriorityQueue]:
        """Return what waits for a provider by priority; empty while Redis is away."""
        return [queue_of(each) for each in self._get(name)["queue"] or ()]

    def control(self, name: str) -> HttpControl:
        """Return the limits and pauses of a provider, to change at run time."""
        return HttpControl(self._connection, name)

    def breakers(self, name: str) -> HttpBreakers:
        """Return the circuit breakers of a provider."""
        return HttpBreakers(self._connection, name)

    @twin(Providers.usage)
    def usage(
        self, *, since: datetime | None, until: datetime | None, **query: Any
    ) -> Sequence[Usage]:
        times = {"since": text_of("since", since), "until": text_of("until", until)}
        found = self._connection.get("/v1/usage", {**query, **times})["usage"]
        return value_of(list[Usage], found)

    def _get(self, name: str) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self._connection.get(provider_path(name))
        return document


@reads_answers
class HttpControl:
    """Limits and pauses of one provider. `holds_now` as for `ProviderControl`."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._path = provider_path(name)
        self.holds_now = True

    def state(self) -> LimiterState:
        """Return what the limiter knows now."""
        return limiter_of(self._name, self._connection.get(f"{self._path}/limits"))

    def set_limits(
        self,
        limits: str | Sequence[str] | None,
        *,
        actor: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Set the limits, `"500/h"` or several; None restores the configured ones."""
        wanted = [limits] if isinstance(limits, str) else limits
        body = {"limits": None if wanted is None else list(wanted), "reason": reason}
        return self._noted(
            self._connection.send("PUT", f"{self._path}/limits", body=body, may_repeat=True).json
        )

    def pause(
        self, until: datetime | None = None, *, actor: str | None = None, reason: str | None = None
    ) -> None:
        """Stop calls until a time (aware), or until somebody resumes."""
        body = {"until": text_of("until", until), "reason": reason}
        self._noted(self._connection.post(f"{self._path}/pause", body, may_repeat=True))

    def resume(self, *, actor: str | None = None, reason: str | None = None) -> bool:
        """End a pause; return whether there was one."""
        return self._noted(self._connection.post(f"{self._path}/resume", {"reason": reason}))

    def _noted(self, change: Mapping[str, Any]) -> bool:
        self.holds_now = change["holds_now"]
        return bool(change["changed"])


@reads_answers
class HttpBreakers:
    """The circuit breakers of one provider. `holds_now` as for `ProviderBreakers`."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._path = f"{provider_path(name)}/breakers"
        self.holds_now = True

    def standings(self) -> Sequence[EndpointStatus]:
        """Return the state of each endpoint, in the order of the configuration."""
        return [endpoint_of(each) for each in self._connection.get(self._path)["endpoints"]]

    def set(
        self,
        word: str,
        endpoint: str | None = None,
        *,
        until: datetime | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> list[str]:
        """Pin breakers `open`, `close` or `half-open`, or end pins with `auto`; return the URLs."""
        body = {
            "state": word, "endpoint": endpoint, "until": text_of("until", until), "reason": reason
        }  # fmt: skip
        changed = self._connection.post(self._path, body)
        self.holds_now = changed["holds_now"]
        return list(changed["endpoints"])
