"""Disclosure: what is given to an app is written into the audit log before it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from sisgate.audit import events
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger import jobs

T = TypeVar("T")


class Disclosures:
    """Records what one gateway gives out: to whom, for what stated purpose, and how much."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def stream(
        self,
        found: Iterator[T],
        provider: str,
        resource: str,
        *,
        what: str,
        purpose: str | None,
        request_id: str | None,
    ) -> Iterator[T]:
        """Pass on a stream of records or changes (`what`), if there are any.

        Two events: one before the first is given, and one with their number when the stream ends
        or is left. An app that dies between has been given an unknown number.
        """
        first = next(found, None)
        if first is None:
            return
        actor = self._actor()
        words = (actor, provider, resource, purpose, request_id)
        self._note(*words, what=what, phase="begin")
        given = 0
        try:
            given = 1
            yield first
            for each in found:
                given += 1
                yield each
        finally:
            # What was given cannot be taken back: the first event stands for it.
            with suppress(DatabaseUnavailable):
                self._note(*words, what=what, phase="end", records=given)

    def answer(self, job_id: str, purpose: str | None, size: int) -> None:
        """Note that the answer of a request is given."""
        actor = self._actor()
        with self._core.database.write() as session:
            job = jobs.get(session, job_id)
            now = self._core.clock.now()
            events.answer_disclosed(session, job, now, actor=actor, purpose=purpose, size=size)

    def _note(
        self,
        actor: str,
        provider: str,
        resource: str,
        purpose: str | None,
        request_id: str | None,
        **detail: object,
    ) -> None:
        with self._core.database.write() as session:
            events.disclosed(
                session, self._core.clock.now(), actor=actor, provider=provider,
                dataset=resource, purpose=purpose, request_id=request_id, **detail,
            )  # fmt: skip

    def _actor(self) -> str:
        principal = self._core.access.principal()
        if principal.kind == "token":
            return principal.actor
        return events.actor_of(self._core.settings.app_name)
