"""The fleet's configuration over HTTP: checking, comparing and applying it, its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.values import Json, value_of
from sisgate.configuration.diff import TableChange
from sisgate.errors import ConfigurationError
from sisgate.gateway.configuration import AppliedConfiguration, StoredConfiguration
from sisgate.ledger.configuration import VersionInfo

_AT = "/v1/configuration"


@dataclass(frozen=True)
class PlannedConfiguration:
    """What applying a document would change, seen from the version `base`; as `ConfigurationPlan`.

    `cancels` counts by removed provider the jobs that would end as cancelled, `drops` by removed
    channel the messages of alerts that would never be sent.
    """

    base: int
    document: Mapping[str, Any]
    changes: Sequence[TableChange]
    cancels: Mapping[str, int]
    drops: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready, without the document."""
        return {
            "base": self.base, "changes": list(self.changes), "cancels": dict(self.cancels),
            "drops": dict(self.drops),
        }  # fmt: skip


class HttpConfiguration:
    """`gateway.configuration` over HTTP. Mistakes of a document are a `UsageError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def show(self, number: int | None = None) -> StoredConfiguration:
        """Return a version with its document, by default the one in force; `UnknownVersion`."""
        document = self._connection.get(_AT if number is None else f"{_AT}/versions/{number}")
        info = value_of(VersionInfo, document["version"])
        return StoredConfiguration(info, document["document"])

    def history(self, limit: int = 20) -> Sequence[VersionInfo]:
        """Return the newest versions, newest first: who applied each, when, why."""
        found = self._connection.get(f"{_AT}/versions", {"limit": limit})["versions"]
        return value_of(list[VersionInfo], found)

    def diff(self, before: int, after: int | None = None) -> Sequence[TableChange]:
        """Return how two versions differ; `after` is by default the one in force."""
        path = f"{_AT}/versions/{before}/differences"
        return value_of(list[TableChange], self._connection.get(path, {"to": after})["changes"])

    def purge(
        self, provider: str, *, actor: str | None = None, reason: str | None = None
    ) -> Mapping[str, int]:
        """Delete what a removed provider left; return the counts. See `Configuration.purge`."""
        body = {"provider": provider, "reason": reason}
        rows: Mapping[str, int] = self._connection.post(f"{_AT}/purge", body)["rows"]
        return rows

    def left_by(self, provider: str) -> Mapping[str, int]:
        """Return what `purge` would delete, by table. Raises what it raises."""
        body = {"provider": provider, "dry_run": True}
        found = self._connection.post(f"{_AT}/purge", body, may_repeat=True)
        rows: Mapping[str, int] = found["rows"]
        return rows

    def plan_change(self, source: Path | Mapping[str, Any]) -> PlannedConfiguration:
        """Check a file or document, and return what applying it would change. Changes nothing."""
        document = _document(source)
        planned = self._connection.post(f"{_AT}/diff", {"document": document}, may_repeat=True)
        return _planned(planned, document)

    def plan_provider(self, name: str, settings: Mapping[str, Any]) -> PlannedConfiguration:
        """Return what adding a provider would change; settings may have dotted names."""
        return self._edited("add", provider=name, settings=dict(settings))

    def plan_edit(
        self, name: str, settings: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> PlannedConfiguration:
        """Return what changing some settings of a provider, or unsetting them, would change."""
        return self._edited("edit", provider=name, settings=dict(settings), unset=list(unset))

    def plan_removal(self, *names: str) -> PlannedConfiguration:
        """Return what removing providers, with their schedules, would change."""
        return self._edited("remove", providers=list(names))

    def plan_renamed_endpoint(self, name: str, old: str, url: str) -> PlannedConfiguration:
        """Return what another URL for an endpoint would change; it begins anew."""
        return self._edited("rename_endpoint", provider=name, old=old, new=url)

    def plan_rollback(self, number: int) -> PlannedConfiguration:
        """Return what a new version with the document of an earlier one would change."""
        return self.plan_change(self.show(number).document)

    def apply(
        self,
        source: PlannedConfiguration | Path | Mapping[str, Any],
        *,
        actor: str | None = None,
        reason: str | None = None,
        based_on: int | None = None,
    ) -> AppliedConfiguration:
        """Make a plan, file or document the version in force; see `Configuration.apply`."""
        if isinstance(source, PlannedConfiguration):
            document, based_on = source.document, source.base if based_on is None else based_on
        else:
            document = _document(source)
        body = {"document": document, "based_on": based_on, "reason": reason}
        applied = self._connection.send("PUT", _AT, body=body).json
        return AppliedConfiguration(
            self.show(applied["version"]).info,
            value_of(list[TableChange], applied["changes"]),
            applied["cancelled"], applied["is_new"], applied["holds_now"],
        )  # fmt: skip

    def _edited(self, change: str, **values: Any) -> PlannedConfiguration:
        body = {"edit": {"change": change, **values}}
        planned = self._connection.post(f"{_AT}/edits/plan", body, may_repeat=True)
        return _planned(planned, planned["document"])


def _planned(planned: Json, document: Mapping[str, Any]) -> PlannedConfiguration:
    changes = value_of(list[TableChange], planned["changes"])
    return PlannedConfiguration(
        planned["base"], document, changes, planned["cancels"], planned["drops"]
    )


def _document(source: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(source, Path):
        return source
    import tomllib

    try:
        return tomllib.loads(source.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{source} cannot be read: {error}.") from None
