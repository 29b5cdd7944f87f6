"""Disclosures: what is given to an app is written into the audit log before it is given.

An event is small whatever it is about. For records and changes it says which version of the
dataset was read; for an answer it holds keyed marks of the identifiers in it. From
these `sisgate.privacy.disclosures` tells afterwards whether a person was among what was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import unquote

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.errors import CredentialError, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger import jobs
from sisgate.ledger.datasets import newest_change
from sisgate.ledger.records import StoredChange, StoredRecord
from sisgate.ledger.schema import Job
from sisgate.privacy.disclosures import MOST_MARKS, content_of, marks_of
from sisgate.privacy.suppression import PersonKey, person_key

T = TypeVar("T", StoredRecord, StoredChange)


class Disclosures:
    """Audits what one gateway gives out: to whom, for what stated purpose, and what it was."""

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

        def version(_: StoredRecord | None = None) -> int:
            with self._core.database.read() as session:
                return newest_change(session, provider, resource)

        # At the end it is later than what was read, so that nobody who came meanwhile is missed.
        return self._stream(
            records, {"version": version(), "deleted": include_deleted or None}, version,
            provider=provider, dataset=resource, what="records", purpose=purpose,
            request_id=request_id,
        )  # fmt: skip

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
        """Pass on a stream with an event before it and one after it, which share their `read`.

        The first holds `begin`, the last the number of items and `through` which version they go.
        If an app dies between them, nobody knows how many it was given.
        """
        first = next(items, None)
        if first is None:
            return
        actor, user = self._actor()
        read = secrets.token_hex(6)

        def note(phase: str, **detail: Any) -> None:
            with self._core.database.write() as session:
                events.disclosed(
                    session, self._core.clock.now(), actor=actor, provider=provider,
                    dataset=dataset, phase=phase, read=read, **about, **detail,
                )  # fmt: skip

        note("begin", user=user, **begin)
        given, complete, last = 0, False, first
        ids: set[str] = set()
        try:
            for last in chain([first], items):
                given += 1
                if given <= MOST_MARKS:
                    ids.add(last.sourced_id)
                yield last
            complete = True
        finally:
            # What was given cannot be taken back: the first event stands for it.
            with suppress(DatabaseUnavailable):
                marks = None
                if not complete and given <= MOST_MARKS:
                    marks = self._marks(provider, {f"{dataset}/{each}" for each in ids})
                note("end", records=given, complete=complete, through=through(last), marks=marks)

    def answer(self, job_id: str, purpose: str | None, body: bytes) -> None:
        """Audit that the answer of a request is given, with marks of who is named in it."""
        actor, user = self._actor()
        with self._core.database.write() as session:
            job = jobs.get(session, job_id)
            key = self._person_key(session)
            content = content_of(body, partial(key.mark, job.provider))
            now = self._core.clock.now()
            events.call_disclosed(
                session, job, now, action=events.ANSWER_DISCLOSED, actor=actor, purpose=purpose,
                user=user, bytes=len(body), **content,
            )  # fmt: skip

    def request(self, job: Job, target: Mapping[str, Any]) -> None:
        """Audit that path and query of a request are shown: they may name a person."""
        actor, user = self._actor()
        named = {unquote(part) for part in target["path"].split("/") if part}
        named |= set((target.get("query") or {}).values())
        with self._core.database.write() as session:
            key = self._person_key(session)
            events.call_disclosed(
                session, job, self._core.clock.now(), action=events.REQUEST_DISCLOSED,
                actor=actor, user=user, fields=["path", "query"],
                marks=marks_of(named, partial(key.mark, job.provider)),
            )  # fmt: skip

    def _marks(self, provider: str, places: set[str]) -> str | None:
        """Return marks of records; None in a process that has no master key to compute them."""
        try:
            with self._core.database.write() as session:
                key = self._person_key(session)
        except CredentialError:
            return None
        return marks_of(places, partial(key.mark, provider))

    def _person_key(self, session: Session) -> PersonKey:
        key = self._key = self._key or person_key(session, self._core.context.vault)
        return key

    def _actor(self) -> tuple[str, str | None]:
        """Return who is given it, and the user of the machine if that is who uses a token."""
        user = self._core.user
        principal = self._core.access.principal()
        if principal.kind == "token":
            return principal.actor, user
        return user or events.actor_of(self._core.settings.app_name), None
