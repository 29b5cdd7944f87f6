"""Disclosure: what is given to an app is written into the audit log before it is given.

An event is small whatever it is about. Of records and changes it says which version of the
dataset was read, of an answer it holds keyed marks of the identifiers that stand in it; from
these `sisgate.privacy.disclosures` tells afterwards whether a person was among what was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
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
    """Records what one gateway gives out: to whom, for what stated purpose, and what it was."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._key: PersonKey | None = None

    def records(
        self,
        found: Iterator[StoredRecord],
        provider: str,
        resource: str,
        *,
        include_deleted: bool,
        purpose: str | None,
        request_id: str | None,
    ) -> Iterator[StoredRecord]:
        """Pass on a stream of records, if there are any."""
        version = self._version(provider, resource)
        begin = {"version": version, "deleted": include_deleted or None}

        def through(_: StoredRecord) -> int:
            # Later than what was read, so that nobody who came meanwhile is missed.
            return self._version(provider, resource)

        return self._stream(
            found, provider, resource, purpose, request_id, "records", begin, through
        )

    def changes(
        self,
        found: Iterator[StoredChange],
        provider: str,
        resource: str,
        *,
        since: int,
        purpose: str | None,
        request_id: str | None,
    ) -> Iterator[StoredChange]:
        """Pass on a stream of changes, if there are any."""
        return self._stream(
            found, provider, resource, purpose, request_id,
            "changes", {"since": since}, lambda last: last.sequence,
        )  # fmt: skip

    def _stream(
        self,
        found: Iterator[T],
        provider: str,
        resource: str,
        purpose: str | None,
        request_id: str | None,
        what: str,
        begin: Mapping[str, Any],
        through: Callable[[T], int],
    ) -> Iterator[T]:
        """Pass on a stream with two events around it, which have the same `read`.

        One is written before the first is given, and one with their number when the stream ends or
        is left. An app that dies between has been given an unknown number.
        """
        last = next(found, None)
        if last is None:
            return
        actor, user = self._actor()
        read = secrets.token_hex(6)

        def note(phase: str, **detail: Any) -> None:
            with self._core.database.write() as session:
                events.disclosed(
                    session, self._core.clock.now(), actor=actor, provider=provider,
                    dataset=resource, purpose=purpose, request_id=request_id,
                    what=what, phase=phase, read=read, **detail,
                )  # fmt: skip

        note("begin", user=user, **begin)
        given, complete = 0, False
        ids: set[str] = set()
        try:
            given = 1
            ids.add(last.sourced_id)
            yield last
            for last in found:
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
                    marks = self._marks(provider, {f"{resource}/{each}" for each in ids})
                note("end", records=given, complete=complete, through=through(last), marks=marks)

    def answer(self, job_id: str, purpose: str | None, body: bytes) -> None:
        """Note that the answer of a request is given, with marks of who is named in it."""
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
        """Note that path and query of a request are shown: they may name a person."""
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
        """Return marks of records; None in a process that has no master key to make them with."""
        try:
            with self._core.database.write() as session:
                key = self._person_key(session)
        except CredentialError:
            return None
        return marks_of(places, partial(key.mark, provider))

    def _person_key(self, session: Session) -> PersonKey:
        key = self._key = self._key or person_key(session, self._core.context.vault)
        return key

    def _version(self, provider: str, resource: str) -> int:
        with self._core.database.read() as session:
            return newest_change(session, provider, resource)

    def _actor(self) -> tuple[str, str | None]:
        """Return who is given it, and the user of the machine where a token is used by one."""
        user = self._core.user
        principal = self._core.access.principal()
        if principal.kind == "token":
            return principal.actor, user
        return user or events.actor_of(self._core.settings.app_name), None
