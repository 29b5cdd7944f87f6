"""The configuration of the fleet: its versions, and changing it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sisgate.access.policy import Action
from sisgate.audit.events import CONFIGURATION_APPLIED
from sisgate.audit.log import record
from sisgate.configuration import FleetConfiguration, edits
from sisgate.configuration.diff import TableChange, differences
from sisgate.configuration.document import Document, Draft, draft_of, read_file
from sisgate.configuration.live import publish
from sisgate.domain.figures import counted
from sisgate.errors import BrokerUnavailable, ConfigurationConflict, UnknownVersion, UsageError
from sisgate.gateway import purging
from sisgate.gateway.core import Core
from sisgate.gateway.removed_providers import removed_error
from sisgate.ledger import alerts, call_queue, removal
from sisgate.ledger import configuration as ledger
from sisgate.ledger.configuration import VersionInfo
from sisgate.settings.problems import ConfigSource

GROUP = "providers."


@dataclass(frozen=True)
class ConfigurationPlan:
    """What applying a document would change, seen from the version `base` (0: there is none yet).

    `cancels` counts by removed provider the jobs that would end as cancelled, `drops` by removed
    channel the messages of alerts that would never be sent.
    """

    base: int
    document: Mapping[str, Any]
    changes: Sequence[TableChange]
    cancels: Mapping[str, int]
    drops: Mapping[str, int]

    @property
    def removed_providers(self) -> list[str]:
        """The names of the providers that it removes."""
        return providers_of(self.changes, "remove")

    @property
    def lost_messages(self) -> list[str]:
        """What is said of the messages that would never be sent."""
        return [
            f"{counted(count, 'waiting message')} of the channel {name} will never be sent."
            for name, count in self.drops.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready, without the document."""
        return {
            "base": self.base, "changes": list(self.changes), "cancels": dict(self.cancels),
            "drops": dict(self.drops),
        }  # fmt: skip


@dataclass(frozen=True)
class DraftPlan(ConfigurationPlan):
    """The same with what the document means here."""

    draft: Draft


@dataclass(frozen=True)
class AppliedConfiguration:
    """The version in force after applying. Not `is_new`: it was in force already.

    `cancelled` counts by removed provider the jobs that ended. `holds_now` is False if Redis could
    not be told, so that the processes notice some seconds later.
    """

    version: VersionInfo
    changes: Sequence[TableChange]
    cancelled: Mapping[str, int]
    is_new: bool
    holds_now: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "version": self.version.number, "is_new": self.is_new, "holds_now": self.holds_now,
            "changes": list(self.changes), "cancelled": dict(self.cancelled),
        }  # fmt: skip


@dataclass(frozen=True)
class StoredConfiguration:
    """One version with its document."""

    info: VersionInfo
    document: Document


class Configuration:
    """The fleet-wide settings: what is in force, its versions, and changing it.

    A change is a new version, whole, checked as a file is, and applied in one transaction. Methods
    raise `ConfigurationError` with every mistake, and `DatabaseUnavailable`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def current(self) -> FleetConfiguration:
        """Return the configuration in force, at most half a second old."""
        return self._core.configuration.current()

    def version(self) -> int:
        """Return the number of the version in force, 0 without any."""
        return self.current().version

    def check(self, source: Path | Mapping[str, Any]) -> Draft:
        """Return the fleet's part of a file or document; asks neither ledger nor Redis."""
        known = self._core.configuration.known
        if isinstance(source, Path):
            return read_file(source, known)
        return draft_of(source, ConfigSource(name="configuration"), known)

    def plan_change(self, source: Path | Mapping[str, Any]) -> DraftPlan:
        """Return what applying a file or document would change. Changes nothing."""
        self._require_look()
        return self._plan(self.check(source))

    def plan_provider(self, name: str, settings: Mapping[str, Any]) -> DraftPlan:
        """Return what adding a provider would change; settings may have dotted names."""
        return self._edited(lambda old: edits.with_provider(old, name, settings))

    def plan_edit(
        self, name: str, settings: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> DraftPlan:
        """Return what changing some settings of a provider, or unsetting them, would change."""
        return self._edited(lambda old: edits.with_settings(old, name, settings, unset))

    def plan_removal(self, *names: str) -> DraftPlan:
        """Return what removing providers, with their schedules, would change."""
        return self._edited(lambda old: edits.without_providers(old, names))

    def plan_renamed_endpoint(self, name: str, old: str, url: str) -> DraftPlan:
        """Return what another URL for an endpoint would change.

        It may be another server, so its breaker and health start anew.
        """
        return self._edited(lambda known: edits.with_renamed_endpoint(known, name, old, url))

    def plan_rollback(self, number: int) -> DraftPlan:
        """Return what a new version with the document of an earlier one would change."""
        return self.plan_change(self.show(number).document)

    def apply(
        self,
        source: ConfigurationPlan | Path | Mapping[str, Any],
        *,
        actor: str,
        reason: str | None = None,
        based_on: int | None = None,
    ) -> AppliedConfiguration:
        """Make a plan, file or document the version in force; every process follows in a second.

        Waiting jobs of removed providers end as cancelled, in the same transaction. Nothing happens
        if nothing differs. Raises `ConfigurationConflict` if the plan, or `based_on`, is from
        another version than the one in force.
        """
        core = self._core
        needs_no_token = self._is_first_by_user()
        if not needs_no_token:
            actor = core.access.require(Action.ADMINISTER).token_actor or actor
        if isinstance(source, ConfigurationPlan) and based_on is None:
            based_on = source.base
        draft = self._draft(source)
        now = core.clock.now()
        with core.database.write() as session:
            base = ledger.newest(session)
            if needs_no_token and base:
                raise _outdated(0, base)  # one that came meanwhile needs a permission to replace
            if based_on is not None and based_on != base:
                raise _outdated(based_on, base)
            before = ledger.info_of(session, base) if base else None
            changes = differences(ledger.document_of(session, base) or {}, draft.document)
            if before is not None and not changes:
                return AppliedConfiguration(before, (), {}, is_new=False)
            version = VersionInfo(
                base + 1, draft.digest, base, _names(changes), now, actor[:100], reason
            )
            if not ledger.add(session, version, draft.document):
                raise _outdated(base, base + 1)
            removed = providers_of(changes, "remove")
            errors = {name: removed_error(name, version).as_dict() for name in removed}
            cancelled = removal.cancel(session, now, errors)
            call_queue.make_due(session, providers_of(changes, "change"), now)
            counts = {name: len(ids) for name, ids in cancelled.items()}
            record(
                session, now, actor=actor, action=CONFIGURATION_APPLIED,
                subject=f"version/{version.number}", reason=reason, based_on=base,
                digest=draft.digest[:16], cancelled=counts or None,
                changes={kind: _shortened(names) for kind, names in version.changes.items()},
            )  # fmt: skip
        for ids in cancelled.values():
            for job_id in ids:
                core.wakeups.announce(job_id)
        applied = AppliedConfiguration(version, changes, counts, is_new=True)
        try:
            publish(core.redis, version.number)
        except BrokerUnavailable:
            applied = replace(applied, holds_now=False)
        core.configuration.refresh()
        return applied

    def _require_look(self) -> None:
        if not self._is_first_by_user():
            self._core.access.require(Action.LOOK)

    def _is_first_by_user(self) -> bool:
        """Whether there is no version yet, and the caller is the user of this process.

        They may apply the first one, just as they may create the tables: there need not be any
        token yet.
        """
        core = self._core
        if not core.access.is_anonymous:
            return False
        with core.database.read() as session:
            return not ledger.newest(session)

    def diff(self, before: int, after: int | None = None) -> Sequence[TableChange]:
        """Return how two versions differ; `after` is by default the one in force."""
        return differences(self.show(before).document, self.show(after).document)

    def purge(self, provider: str, *, actor: str, reason: str | None = None) -> Mapping[str, int]:
        """Delete what a removed provider left: records, changes, responses; return the counts.

        Its jobs, keys and audit events stay. Raises `UsageError` while it is configured, or where
        no version says that it is not, and `UnknownProvider` if there never was one.
        """
        return purging.purge(self._core, provider, actor, reason)

    def left_by(self, provider: str) -> Mapping[str, int]:
        """Return what `purge` would delete, by table. Raises what it raises.

        A provider that is still configured is counted as well: what it would leave.
        """
        return purging.left_by(self._core, provider)

    def history(self, limit: int = 20) -> Sequence[VersionInfo]:
        """Return the newest versions, newest first: who applied each, when, why."""
        self._core.access.require(Action.LOOK)
        with self._core.database.read() as session:
            return ledger.history(session, limit)

    def show(self, number: int | None = None) -> StoredConfiguration:
        """Return a version with its document, by default the one in force; `UnknownVersion`."""
        self._core.access.require(Action.LOOK)
        with self._core.database.read() as session:
            chosen = ledger.newest(session) if number is None else number
            info = ledger.info_of(session, chosen)
            document = ledger.document_of(session, chosen)
        if info is None or document is None:
            raise UnknownVersion(
                "The ledger has no version of the configuration yet: each process uses its own "
                "file. Apply one with `sisgate config apply`."
                if not chosen
                else f"There is no version {chosen}. `sisgate config history` lists them.",
                version=chosen or None,
            )
        return StoredConfiguration(info, document)

    def _draft(self, source: ConfigurationPlan | Path | Mapping[str, Any]) -> Draft:
        if isinstance(source, DraftPlan):
            return source.draft
        return self.check(source.document if isinstance(source, ConfigurationPlan) else source)

    def _edited(self, edit: Callable[[Document], Document]) -> DraftPlan:
        core = self._core
        self._require_look()
        with core.database.read() as session:
            base = ledger.newest(session)
            document = ledger.document_of(session, base)
        if document is None:
            document = self._own_document()
        return self._plan(self.check(edit(document)), base)

    def _own_document(self) -> Document:
        """Return the document of this process's file: what is in force before the first version."""
        file = self._core.settings.config_file
        if file is not None:
            return read_file(file).document
        if self.current().providers:
            raise UsageError(
                "The ledger has no version of the configuration yet, and this process has its "
                "providers from code. Apply a configuration first."
            )
        return {}

    def _plan(self, draft: Draft, base: int | None = None) -> DraftPlan:
        with self._core.database.read() as session:
            newest = ledger.newest(session) if base is None else base
            before = ledger.document_of(session, newest) or {}
            changes = differences(before, draft.document)
            cancels = removal.waiting_jobs(session, providers_of(changes, "remove"))
            waiting = {name: count for name, count, *_ in alerts.waiting_by_channel(session)}
        kept = draft.configuration.alerts.channels
        drops = {name: count for name, count in waiting.items() if name not in kept}
        return DraftPlan(newest, draft.document, changes, cancels, drops, draft)


def _outdated(based_on: int, newest: int) -> ConfigurationConflict:
    was = f"based on version {based_on}" if based_on else "that of the first version"
    look = f"diff --from {based_on}" if based_on else "history"
    return ConfigurationConflict(
        f"The change is {was}, but version {newest} is in force now, so nothing was applied. See "
        f"what it changed with `sisgate config {look}`, and try again.",
        based_on=based_on,
        newest=newest,
    )


def _names(changes: Sequence[TableChange]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for change in changes:
        names.setdefault(change.kind, []).append(change.subject)
    return names


def providers_of(changes: Sequence[TableChange], kind: str) -> list[str]:
    """Return the names of the providers that changes of a kind are about."""
    subjects = (each.subject for each in changes if each.kind == kind)
    return [name.removeprefix(GROUP) for name in subjects if name.startswith(GROUP)]


def _shortened(names: Sequence[str], most: int = 100) -> list[str]:
    """Return names for the audit log; the version itself has them all."""
    rest = len(names) - most
    return [*names[:most], f"and {rest} more"] if rest > 0 else list(names)
