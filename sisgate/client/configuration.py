"""The fleet's configuration over HTTP: checking, comparing and applying it, its versions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.reading import reads_answers
from sisgate.client.values import Json, value_of
from sisgate.configuration.diff import TableChange
from sisgate.configuration.document import Draft, draft_of, read_file
from sisgate.errors import UnknownVersion
from sisgate.gateway.configuration import (
    AppliedConfiguration,
    ConfigurationPlan,
    StoredConfiguration,
)
from sisgate.ledger.configuration import VersionInfo
from sisgate.settings.problems import ConfigSource

_AT = "/v1/configuration"


@reads_answers
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

    def version(self) -> int:
        """Return the number of the version in force, 0 without any."""
        try:
            return self.show().info.number
        except UnknownVersion:
            return 0

    def check(self, source: Path | Mapping[str, Any]) -> Draft:
        """Return the fleet's part of a file or document; asks nobody."""
        if isinstance(source, Path):
            return read_file(source)
        return draft_of(source, ConfigSource(name="configuration"))

    def plan_change(self, source: Path | Mapping[str, Any]) -> ConfigurationPlan:
        """Check a file or document, and return what applying it would change. Changes nothing."""
        document = self._document(source)
        planned = self._connection.post(f"{_AT}/diff", {"document": document}, may_repeat=True)
        return _planned(planned, document)

    def plan_provider(self, name: str, settings: Mapping[str, Any]) -> ConfigurationPlan:
        """Return what adding a provider would change; settings may have dotted names."""
        return self._edited("add", provider=name, settings=dict(settings))

    def plan_edit(
        self, name: str, settings: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> ConfigurationPlan:
        """Return what changing some settings of a provider, or unsetting them, would change."""
        return self._edited("edit", provider=name, settings=dict(settings), unset=list(unset))

    def plan_removal(self, *names: str) -> ConfigurationPlan:
        """Return what removing providers, with their schedules, would change."""
        return self._edited("remove", providers=list(names))

    def plan_renamed_endpoint(self, name: str, old: str, url: str) -> ConfigurationPlan:
        """Return what another URL for an endpoint would change; it begins anew."""
        return self._edited("rename_endpoint", provider=name, old=old, new=url)

    def plan_rollback(self, number: int) -> ConfigurationPlan:
        """Return what a new version with the document of an earlier one would change."""
        return self.plan_change(self.show(number).document)

    def apply(
        self,
        source: ConfigurationPlan | Path | Mapping[str, Any],
        *,
        actor: str | None = None,
        reason: str | None = None,
        based_on: int | None = None,
    ) -> AppliedConfiguration:
        """Make a plan, file or document the version in force; see `Configuration.apply`."""
        if isinstance(source, ConfigurationPlan):
            document, based_on = source.document, source.base if based_on is None else based_on
        else:
            document = self._document(source)
        body = {"document": document, "based_on": based_on, "reason": reason}
        applied = self._connection.send("PUT", _AT, body=body).json
        return AppliedConfiguration(
            self.show(applied["version"]).info,
            value_of(list[TableChange], applied["changes"]),
            applied["cancelled"], applied["is_new"], applied["holds_now"],
        )  # fmt: skip

    def _document(self, source: Path | Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is sent of a file: the fleet's part, without what is of one process."""
        return self.check(source).document if isinstance(source, Path) else source

    def _edited(self, change: str, **values: Any) -> ConfigurationPlan:
        body = {"edit": {"change": change, **values}}
        planned = self._connection.post(f"{_AT}/edits/plan", body, may_repeat=True)
        return _planned(planned, planned["document"])


def _planned(planned: Json, document: Mapping[str, Any]) -> ConfigurationPlan:
    return value_of(ConfigurationPlan, {**planned, "document": document})
