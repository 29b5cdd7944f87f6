"""Erasing a person from the ledger, in steps that can be repeated after a crash at any point.

What identifies the person (numbers, addresses, names) is in their record. So the record goes last,
and a second run after a crash finds everything that the first one would have found.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.credentials.vault import Vault
from sisgate.errors import UnknownPerson, UsageError
from sisgate.ledger import access, datasets, known_pages, page_statements, persons
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Record
from sisgate.privacy.person_search import (
    ResidualMatch,
    find_mentions,
    find_owned,
    find_residual_data,
)
from sisgate.privacy.persons import (
    PEOPLE,
    Person,
    PersonMatcher,
    Realms,
    checked_resource,
    identifiers_of,
    names_of,
)
from sisgate.privacy.residual_data import ResidualData
from sisgate.privacy.suppression import PersonKey, person_key
from sisgate.settings import ProviderConfig

JOB = "erasure"
"""Stands in a change in place of the sync that made it."""


@dataclass(frozen=True)
class ErasureReport:
    """What an erasure did, or would do. It names the person by a pseudonym only.

    `done` counts what was deleted or changed, by place. `left` is what a search of all tables
    found afterwards: nothing, if all is well. `suppressed` says whether later syncs leave the
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
        return not any(match.kind == "identifier" for match in self.left)

    def as_dict(self) -> dict[str, Any]:
        """Return the report JSON-ready."""
        return {
            "provider": self.provider,
            "person": self.pseudonym,
            "done": dict(self.done),
            "left": [match.as_dict() for match in self.left],
            "clean": self.is_clean,
            "suppressed": self.suppressed,
            "compacted": self.compacted,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True)
class _Target:
    person: Person
    key: PersonKey
    matcher: PersonMatcher

    @property
    def pseudonym(self) -> str:
        person = self.person
        return self.key.pseudonym(person.provider, person.realm, person.sourced_id)

    @property
    def digest(self) -> bytes:
        person = self.person
        return self.key.digest(person.provider, person.realm, person.sourced_id)


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
        """Return what erasing the person would do. Changes nothing. Raises what `run` does."""
        target = self._target(sourced_id, resource)
        with self._database.read() as session:
            owned = find_owned(session, target.person)
            counts = Counter(
                records=len(owned),
                mentions=len(find_mentions(session, target.person)),
                changes=sum(
                    len(persons.changes_of(session, r.provider, r.resource, r.sourced_id))
                    for r in owned
                ),
            )
            suppressed = target.digest in access.suppressed(session, self._provider)
        counts += self._residual(target, {record.sourced_id for record in owned}).count()
        return ErasureReport(
            self._provider, target.pseudonym, counts, suppressed=suppressed, dry_run=True
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
                access.lock_suppressions(session)
                access.suppress(session, self._provider, target.digest, now)
            # Before any deletion, because an interrupted run has deleted data too.
            self._audit(
                session, now, "erase", target.pseudonym, actor, reason,
                phase="begin", suppressed=suppress,
            )  # fmt: skip
        with self._database.read() as session:
            ids = {record.sourced_id for record in find_owned(session, target.person)}
        residual = self._residual(target, ids | {sourced_id})
        done = residual.erase(target.pseudonym)
        with self._database.write() as session:
            # No sync writes from here to the end, so no data returns unnoticed.
            access.lock_suppressions(session)
            now = self._clock.now()
            done += self._erase_records(session, target, now)
            self._audit(
                session, now, "erase", target.pseudonym, actor, reason,
                phase="end", counts=dict(done), suppressed=suppress,
            )  # fmt: skip
        compacted = persons.compact(self._database, self._clock)
        with self._database.read() as session:
            suppressed = target.digest in access.suppressed(session, self._provider)
            left = find_residual_data(session, target.person, target.matcher)
        left = [*residual.remaining(), *left]
        return ErasureReport(self._provider, target.pseudonym, done, left, suppressed, compacted)

    def lift(self, sourced_id: str, resource: str | None, *, actor: str, reason: str) -> bool:
        """Let later syncs store a person again; return whether they were suppressed.

        Raises `UsageError` for a reason that names the person.
        """
        _refuse_naming(reason, PersonMatcher.of({sourced_id}))
        realm = self._realms.of_resource(checked_resource(resource) or PEOPLE[0])
        with self._database.write() as session:
            # A page that was screened by the list of before must not be remembered afterwards.
            access.lock_suppressions(session)
            known_pages.forget(session, self._provider)
            key = person_key(session, self._vault)
            digest = key.digest(self._provider, realm, sourced_id)
            was_suppressed = access.unsuppress(session, self._provider, digest)
            if was_suppressed:
                pseudonym = key.pseudonym(self._provider, realm, sourced_id)
                self._audit(session, self._clock.now(), "lift", pseudonym, actor, reason)
        return was_suppressed

    def _target(self, sourced_id: str, resource: str | None) -> _Target:
        checked_resource(resource)
        with self._database.write() as session:
            key = person_key(session, self._vault)
            suppressed = access.suppressed(session, self._provider)
        with self._database.read() as session:
            rows = [
                session.get(Record, (self._provider, name, sourced_id))
                for name in ([resource] if resource else PEOPLE)
            ]
            own = [record for record in rows if record is not None]
            realms = {self._realms.of_resource(record.resource) for record in own}
            if len(realms) > 1:
                raise UsageError(
                    f"{self._provider} has a student and a teacher of that id. Say which one is "
                    "meant: --resource students or --resource teachers."
                )
            realm = realms.pop() if realms else self._realms.of_resource(resource or PEOPLE[0])
            person = Person(self._provider, self._realms, realm, sourced_id)
            data = [record.data for record in own]
            matcher = PersonMatcher.of(identifiers_of(data) | {sourced_id}, names_of(data))
            target = _Target(person, key, matcher)
            is_known = own or target.digest in suppressed
            if not (is_known or find_owned(session, person) or find_mentions(session, person)):
                raise UnknownPerson(
                    f"No record of {self._provider} is that person's or names them, so nothing was "
                    "erased. The id is the sourcedId that `sisgate records` shows.",
                    provider=self._provider,
                )
        return target

    def _residual(self, target: _Target, ids: set[str]) -> ResidualData:
        return ResidualData(self._database, self._vault, self._provider, target.matcher, ids)

    def _erase_records(self, session: Session, target: _Target, now: datetime) -> Counter[str]:
        owned = find_owned(session, target.person)
        mentions = find_mentions(session, target.person)
        # In one order, so that two erasures cannot wait for each other.
        for resource in sorted({r.resource for r in owned} | {m.resource for m in mentions}):
            dataset = datasets.lock(session, self._provider, resource)
            changed = [mention for mention in mentions if mention.resource == resource]
            for mention in changed:
                persons.rewrite(session, self._provider, resource, mention.row, now)
            ids = [mention.row.sourced_id for mention in changed]
            page_statements.add_changes(session, dataset, "update", ids, job_id=JOB, now=now)
            if any(record.resource == resource for record in owned):
                # One more number, so that nobody takes what they read before for all there is.
                nobody = [target.key.pseudonym(self._provider, resource, target.person.sourced_id)]
                page_statements.add_changes(session, dataset, "delete", nobody, job_id=JOB, now=now)
        done = Counter(records=len(owned), mentions=len(mentions))
        for record in owned:
            pseudonym = target.key.pseudonym(self._provider, record.resource, record.sourced_id)
            done["changes"] += persons.anonymise_changes(session, record, pseudonym)
            persons.remove(session, record)
        # They hold ids, and the pages of before would bring nobody back or leave nobody out.
        known_pages.forget(session, self._provider)
        return +done

    def _audit(
        self,
        session: Session,
        now: datetime,
        act: str,
        pseudonym: str,
        actor: str,
        reason: str,
        **detail: Any,
    ) -> None:
        audit.record(
            session,
            now,
            actor=actor,
            action=f"privacy:person:{act}",
            subject=pseudonym,
            reason=reason,
            provider=self._provider,
            **detail,
        )


def _refuse_naming(reason: str, matcher: PersonMatcher) -> None:
    if not reason.strip() or matcher.is_in_prose(reason):
        raise UsageError(
            "Give a reason that does not name the person: it is kept in the audit log. A case "
            "number is a good one."
        )
