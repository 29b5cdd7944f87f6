"""Disclosures: data is recorded in the audit log before an app receives it.

Events stay small. For records and changes they hold the version of the dataset, for a response
keyed marks of its identifiers. From these, `sisgate.privacy.disclosures` finds out later whether
a person's data was included.
"""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import unquote

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.domain.targets import query_pairs
from sisgate.errors import CredentialError, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger.answers import AnsweredJob
from sisgate.ledger.datasets import newest_change
from sisgate.ledger.schema import Job
from sisgate.privacy.disclosures import MOST_MARKS, content_of, marks_of
from sisgate.privacy.suppression import PersonKey, existing_key, person_key

T = TypeVar("T", StoredRecord, StoredChange)


class Disclosures:
    """Audits the data that one gateway returns: reader, stated purpose and content."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._key: PersonKey | None = None

    def records(
        self,
        records: Iterator[StoredRecord],
        provider: str,
        resource: str,
        *,
        include_deleted: bool,
        purpose: str | None,
        request_id: str | None,
    ) -> Iterator[StoredRecord]:
        """Pass on a stream of records, audited if there are any."""
        self._core.check_purpose(purpose)

        def version(_: StoredRecord | None = None) -> int:
            with self._core.database.read() as session:
                return newest_change(session, provider, resource)

        # The version at the end is later than the rows read, so that no person is missed.
        return self._stream(
            records, {"version": version(), "deleted": include_deleted or None}, version,
            provider=provider, dataset=resource, what="records", purpose=purpose,
            request_id=request_id,
        )  # fmt: skip

    def opened(
        self,
        provider: str,
        resource: str,
        ids: Collection[str],
        *,
        purpose: str | None,
        request_id: str | None,
    ) -> None:
        """Audit that some records are given, with a mark of each."""
        self._core.check_purpose(purpose)
        actor, user = self._actor()
        with self._core.database.read() as session:
            version = newest_change(session, provider, resource)
        marks = self._marks(provider, {f"{resource}/{each}" for each in ids})
        phases: dict[str, dict[str, Any]] = {
            "begin": {"user": user, "version": version, "deleted": True},
            "end": {"records": len(ids), "complete": False, "through": version, "marks": marks},
        }
        read = secrets.token_hex(6)

        def write(session: Session) -> None:
            for phase, detail in phases.items():
                events.disclosed(
                    session, self._core.clock.now(), actor=actor, provider=provider,
                    dataset=resource, what="records", purpose=purpose, request_id=request_id,
                    phase=phase, read=read, **detail,
                )  # fmt: skip

        self._core.context.grouped.write(write)

    def fingerprints(self, provider: str, hashes: Sequence[bytes]) -> Sequence[str | None]:
        """Return texts that are the same for the same content, and tell nothing else of it.

        A digest without a key would tell the birthday of a person to whoever tries all of them.
        None in a process without a master key.
        """
        try:
            key = self._person_key()
        except CredentialError:
            return [None] * len(hashes)
        return [key.mark(provider, f"content/{each.hex()}")[:6].hex() for each in hashes]

    def changes(
        self,
        changes: Iterator[StoredChange],
        provider: str,
        resource: str,
        *,
        since: int,
        purpose: str | None,
        request_id: str | None,
    ) -> Iterator[StoredChange]:
        """Pass on a stream of changes, audited if there are any."""
        self._core.check_purpose(purpose)
        return self._stream(
            changes, {"since": since}, lambda last: last.sequence,
            provider=provider, dataset=resource, what="changes", purpose=purpose,
            request_id=request_id,
        )  # fmt: skip

    def _stream(
        self,
        items: Iterator[T],
        begin: Mapping[str, Any],
        through: Callable[[T], int],
        *,
        provider: str,
        dataset: str,
        **about: Any,
    ) -> Iterator[T]:
        """Pass on a stream between two events that share their `read`.

        The first holds `begin`, the last the number of items and the version that they go
        `through`. If the app dies in between, the number stays unknown.
        """
        first = next(items, None)
        if first is None:
            return
        actor, user = self._actor()
        read = secrets.token_hex(6)

        def note(phase: str, **detail: Any) -> None:
            disclosed = partial(
                events.disclosed, now=self._core.clock.now(), actor=actor, provider=provider,
                dataset=dataset, phase=phase, read=read, **about, **detail,
            )  # fmt: skip
            self._core.context.grouped.write(disclosed)

        note("begin", user=user, **begin)
        sent, complete, last = 0, False, first
        ids: set[str] = set()
        try:
            for last in chain([first], items):
                sent += 1
                if sent <= MOST_MARKS:
                    ids.add(last.sourced_id)
                yield last
            complete = True
        finally:
            # The first event covers data that has already been read.
            with suppress(DatabaseUnavailable):
                marks = None
                if not complete and sent <= MOST_MARKS:
                    marks = self._marks(provider, {f"{dataset}/{each}" for each in ids})
                note("end", records=sent, complete=complete, through=through(last), marks=marks)

    def answer(self, job: AnsweredJob, purpose: str | None, body: bytes) -> None:
        """Audit the disclosure of a response, with marks of its identifiers."""
        self._core.check_purpose(purpose)
        actor, user = self._actor()
        # Before the transaction, which may hold back every other writer.
        content = content_of(body, partial(self._person_key().mark, job.provider))
        disclosed = partial(
            events.call_disclosed, job=job, now=self._core.clock.now(), actor=actor,
            action=events.ANSWER_DISCLOSED, purpose=purpose, user=user, bytes=len(body), **content,
        )  # fmt: skip
        self._core.context.grouped.write(disclosed)

    def request(self, job: Job, target: Mapping[str, Any]) -> None:
        """Audit the disclosure of a request's path and query, which may name a person."""
        actor, user = self._actor()
        named = {unquote(part) for part in target["path"].split("/") if part}
        named |= {value for _, value in query_pairs(target.get("query"))}
        key = self._person_key()
        with self._core.database.write() as session:
            events.call_disclosed(
                session, job, self._core.clock.now(), action=events.REQUEST_DISCLOSED,
                actor=actor, user=user, fields=["path", "query"],
                marks=marks_of(named, partial(key.mark, job.provider)),
            )  # fmt: skip

    def _marks(self, provider: str, places: set[str]) -> str | None:
        """Return marks of records; None in a process without a master key."""
        try:
            return marks_of(places, partial(self._person_key().mark, provider))
        except CredentialError:
            return None

    def _person_key(self) -> PersonKey:
        # In a variable: another thread may have looked before there was a key, and say so later.
        key, core = self._key, self._core
        if key is None:
            with core.database.read() as session:
                key = existing_key(session, core.context.vault)
        if key is None:
            with core.database.write() as session:
                key = person_key(session, core.context.vault)
        self._key = key
        return key

    def _actor(self) -> tuple[str, str | None]:
        """Return the reader, and the user of the machine if they use a token."""
        user = self._core.user
        principal = self._core.access.principal()
        if principal.kind == "token":
            return principal.actor, user
        return user or events.actor_of(self._core.settings.app_name), None
