"""Answering several identical requests by one call, and by a stored response that is new enough.

Shared is what a caller may see anyway: the jobs of its own app, and those of other apps where it
sees all jobs. One priority never waits for the call of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sisgate.access.policy import Principal
from sisgate.credentials.sealed import marks_of
from sisgate.domain.validation import finite_seconds
from sisgate.errors import UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.job import own_app
from sisgate.ledger.acceptance import NewJob, count_shared
from sisgate.ledger.job_search import last_good_response


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The job whose stored response answers a request, and the age of the response."""

    job_id: str
    age_seconds: float


def checked_max_age(max_age: float | None, method: str, idempotency_key: str | None) -> None:
    """Raise `UsageError` for a `max_age` that does not fit."""
    if max_age is None:
        return
    finite_seconds("max_age", max_age)
    if method != "GET":
        raise UsageError(f"max_age is for GET only: a {method} is never shared.")
    if idempotency_key is not None:
        raise UsageError("max_age and idempotency_key exclude each other.")


class Sharing:
    """Finds what already answers a request, or soon will."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def mark(self, principal: Principal, new: NewJob, target: Mapping[str, Any]) -> str:
        """Return what is the same for live requests that may share one call."""
        whose = own_app(principal)
        scope = "every app" if whose is None else f"app {new.app}"
        vault = self._core.context.vault
        return marks_of(vault, new.provider, target, scope, new.priority.word)[0]

    def fresh(
        self, principal: Principal, new: NewJob, target: Mapping[str, Any], max_age: float
    ) -> StoredAnswer | None:
        """Return a stored good response that is at most `max_age` seconds old, and count it."""
        app = None if own_app(principal) is None else new.app
        stored = self._stored(new, target, app, max_age)
        if stored is not None:
            with self._core.database.write() as session:
                count_shared(session, stored.job_id)
        return stored

    def last_good(self, new: NewJob, target: Mapping[str, Any]) -> StoredAnswer | None:
        """Return the newest stored good response to the same request of the same app."""
        return self._stored(new, target, new.app, None)

    def _stored(
        self, new: NewJob, target: Mapping[str, Any], app: str | None, max_age: float | None
    ) -> StoredAnswer | None:
        marks = marks_of(self._core.context.vault, new.provider, target)
        now = self._core.clock.now()
        since = None if max_age is None else now - timedelta(seconds=max_age)
        with self._core.database.read() as session:
            stored = last_good_response(session, marks, now, app=app, since=since)
        if stored is None or stored.stored_at is None:
            return None
        return StoredAnswer(stored.job_id, max(0.0, (now - stored.stored_at).total_seconds()))
