"""Erasing a person from the ledger, in steps that may be run again after a crash at any point.

What tells the person apart (numbers, addresses, names) is in their record. So the record goes
last, and a second run after a crash finds everything that the first one would have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.credentials.vault import Vault
from sisgate.errors import UnknownPerson, UsageError
from sisgate.ledger import page_statements, records
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Change, Record
from sisgate.privacy import residual_data, suppression
from sisgate.privacy.person_search import (
    Person,
    ResidualMatch,
    find_mentions,
    find_owned,
    find_residual_data,
)
from sisgate.privacy.persons import PEOPLE, PersonMatcher, Realms, identifiers_of, names_of
from sisgate.privacy.suppression import PersonKey
from sisgate.settings import ProviderConfig

JOB = "erasure"
"""What stands in a change in place of the sync that made it."""


@dataclass(frozen=True)
class ErasureReport:
    """What an erasure did, or would do. It names the person by a pseudonym only.

    `done` counts what was deleted or changed, by place. `left` is what a search of all tables
    found afterwards: nothing, if all is well. `suppressed` tells whether later syncs leave the
    person out, `compacted` whether freed space was overwritten (None where that is the database's
    own work).
    """

    provider: str
    pseudonym: str
    done: Counter[str]
    left: Sequence[ResidualMatch] = ()
    suppressed: bool = False
    compacted: bool | None = None
    dry_run: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing was left that names the person alone."""
        return not any(found.kind == "identifier" for found in self.left)

    def as_dict(self) -> dict[str, Any]:
        """Return the report JSON-ready."""
        return {
            "provider": self.provider,
            "person": self.pseudonym,
            "done": dict(self.done),
            "left": [found.as_dict() for found in self.left],
            "clean": self.is_clean,
            "suppressed": self.suppressed,
            "compacted": self.compacted,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True)
class _Target:
    person: Person
    pseudonym: str
    digest: bytes
    key: PersonKey
    matcher: PersonMatcher
    done: Counter[str] = field(default_factory=Counter)


class Erasure:
    """Erases persons of one provider."""

    def __init__(
        self, database: Database, config: ProviderConfig, vault: Vault, clock: Clock
    ) -> None:
        self._database = database
        self._provider = config.name
        self._realms = Realms.of(config)
        self._vault = vault
        self._clock = clock

    def preview(self, sourced_id: str, resource: str | None = None) -> ErasureReport:
        """Return what erasing the person would do. Changes nothing. Errors as `run`."""
        target = self._target(sourced_id, resource)
        with self._database.read() as session:
            owned = find_owned(session, target.person)
            counts = Counter(
                records=len(owned),
                mentions=len(find_mentions(session, target.person)),
                changes=sum(self._count_changes(session, record) for record in owned),
            )
        traced = residual_data.ResidualData(
            self._database, self._vault, self._provider, target.matcher
        )
        counts += traced.count({record.sourced_id for record in owned})
        with self._database.read() as session:
            listed = target.digest in suppression.suppressed(session, self._provider)
        return ErasureReport(
            self._provider, target.pseudonym, counts, suppressed=listed, dry_run=True
        )

    def run(
        self,
        sourced_id: str,
        resource: str | None = None,
        *,
        actor: str,
        reason: str,
        suppress: bool = True,
    ) -> ErasureReport:
        """Erase a person from records, changes, requests, answers and errors; search afterwards.

        `resource` is students or teachers where the id alone does not say which. Raises
        `UnknownPerson`, and `UsageError` for a reason that names the person.
        """
        target = self._target(sourced_id, resource)
        _refuse_naming(reason, target.matcher)
        with self._database.write() as session:
            now = self._clock.now()
            if suppress:
                suppression.lock(session)
                suppression.add(session, self._provider, target.digest, now)
            # Told before anything is deleted: a run that dies half way has done something too.
            self._note(
                session, "erase", now, target.pseudonym, actor, reason,
                phase="begin", suppressed=suppress,
            )  # fmt: skip
        with self._database.read() as session:
            ids = {record.sourced_id for record in find_owned(session, target.person)}
        traced = residual_data.ResidualData(
            self._database, self._vault, self._provider, target.matcher
        )
        target.done.update(traced.erase(ids | {sourced_id}, target.pseudonym))
        self._erase_records(target, actor, reason, suppress=suppress)
        compacted = residual_data.compact(self._database)
        with self._database.read() as session:
            listed = target.digest in suppression.suppressed(session, self._provider)
            left = find_residual_data(session, target.person, target.matcher)
        left = [*traced.remaining(ids | {sourced_id}), *left]
        return ErasureReport(
            self._provider, target.pseudonym, +target.done, left, listed, compacted
        )

    def lift(self, sourced_id: str, resource: str | None, *, actor: str, reason: str) -> bool:
        """Let later syncs bring a person again; return whether they were kept out.

        Raises `UsageError` for a reason that names the person.
        """
        _refuse_naming(reason, PersonMatcher.of({sourced_id}))
        with self._database.write() as session:
            key = suppression.person_key(session, self._vault)
            realm = self._realms.of_resource(checked_resource(resource) or PEOPLE[0])
            digest = key.digest(self._provider, realm, sourced_id)
            was_listed = suppression.remove(session, self._provider, digest)
            if was_listed:
                pseudonym = key.pseudonym(self._provider, realm, sourced_id)
                self._note(session, "lift", self._clock.now(), pseudonym, actor, reason)
        return was_listed

    def _target(self, sourced_id: str, resource: str | None) -> _Target:
        checked_resource(resource)
        with self._database.write() as session:
            key = suppression.person_key(session, self._vault)
            listed = suppression.suppressed(session, self._provider)
        with self._database.read() as session:
            wanted = [resource] if resource else list(PEOPLE)
            own = [
                record
                for name in wanted
                if (record := session.get(Record, (self._provider, name, sourced_id))) is not None
            ]
            realms = {self._realms.of_resource(record.resource) for record in own}
            if len(realms) > 1:
                raise UsageError(
                    f"{self._provider} has a student and a teacher of that id. Say which one is "
                    "meant: --resource students or --resource teachers."
                )
            realm = realms.pop() if realms else self._realms.of_resource(resource or PEOPLE[0])
            person = Person(self._provider, self._realms, realm, sourced_id)
            digest = key.digest(self._provider, realm, sourced_id)
            if not own and digest not in listed and not self._is_known(session, person):
                raise UnknownPerson(
                    f"No record of {self._provider} is that person's or names them, so nothing was "
                    "erased. The id is the sourcedId that `sisgate records` shows.",
                    provider=self._provider,
                )
            data = [record.data for record in own]
            matcher = PersonMatcher.of(identifiers_of(data) | {sourced_id}, names_of(data))
        return _Target(
            person, key.pseudonym(self._provider, realm, sourced_id), digest, key, matcher
        )

    @staticmethod
    def _is_known(session: Session, person: Person) -> bool:
        return bool(find_owned(session, person) or find_mentions(session, person))

    def _erase_records(self, target: _Target, actor: str, reason: str, *, suppress: bool) -> None:
        with self._database.write() as session:
            # Nothing is written by a sync from here to the end, so nothing comes back unseen.
            suppression.lock(session)
            now = self._clock.now()
            owned = find_owned(session, target.person)
            mentions = find_mentions(session, target.person)
            # In one order, so that two erasures cannot wait for each other.
            for resource in sorted({r.resource for r in owned} | {m.resource for m in mentions}):
                dataset = records.lock_dataset(session, self._provider, resource)
                changed = [m for m in mentions if m.resource == resource]
                for mention in changed:
                    self._rewrite(session, mention.resource, mention.row, now)
                ids = [mention.row.sourced_id for mention in changed]
                page_statements.add_changes(session, dataset, "update", ids, job_id=JOB, now=now)
            for record in owned:
                target.done["changes"] += self._anonymise_changes(session, record, target)
                session.delete(record)
            target.done["records"] += len(owned)
            target.done["mentions"] += len(mentions)
            counts = dict(+target.done)
            self._note(
                session, "erase", now, target.pseudonym, actor, reason,
                phase="end", counts=counts, suppressed=suppress,
            )  # fmt: skip

    def _rewrite(self, session: Session, resource: str, row: Any, now: datetime) -> None:
        session.execute(
            update(Record)
            .where(
                Record.provider == self._provider,
                Record.resource == resource,
                Record.sourced_id == row.sourced_id,
            )
            .values(
                data=dict(row.data),
                original=dict(row.original),
                content_hash=row.content_hash,
                changed_at=now,
            )
            .execution_options(synchronize_session=False)
        )

    def _anonymise_changes(self, session: Session, record: Record, target: _Target) -> int:
        """Leave the numbers of a record's changes, as deletions of nobody in particular."""
        pseudonym = target.key.pseudonym(self._provider, record.resource, record.sourced_id)
        changed = session.execute(
            update(Change)
            .where(*_of(record))
            .values(sourced_id=pseudonym, operation="delete")
            .execution_options(synchronize_session=False)
        )
        return int(getattr(changed, "rowcount", 0))

    @staticmethod
    def _count_changes(session: Session, record: Record) -> int:
        return session.query(Change).where(*_of(record)).count()

    def _note(
        self,
        session: Session,
        what: str,
        now: datetime,
        pseudonym: str,
        actor: str,
        reason: str,
        **detail: Any,
    ) -> None:
        audit.record(
            session,
            now,
            actor=actor,
            action=f"privacy:person:{what}",
            subject=pseudonym,
            reason=reason,
            provider=self._provider,
            **detail,
        )


def _of(record: Record) -> tuple[Any, ...]:
    return (
        Change.provider == record.provider,
        Change.resource == record.resource,
        Change.sourced_id == record.sourced_id,
    )


def _refuse_naming(reason: str, matcher: PersonMatcher) -> None:
    if not reason.strip() or matcher.mention(reason, anywhere=False):
        raise UsageError(
            "Give a reason that does not name the person: it is kept in the audit log. A case "
            "number is a good one."
        )


def checked_resource(resource: str | None) -> str | None:
    """Return a resource whose records are persons, or None; `UsageError` for another."""
    if resource is not None and resource not in PEOPLE:
        raise UsageError(f"A person is in {' or '.join(PEOPLE)}, not in {resource!r}.")
    return resource
