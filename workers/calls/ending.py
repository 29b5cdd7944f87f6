"""One call's outcome, ready to be written: how the call ends, or waits, in a transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.domain.states import CallState
from sisgate.ledger import calls as ledger
from sisgate.ledger.calls import Claim
from workers.calls.context import CallContext, CallOutcome, ErrorPayload, Reply


class LateWriter(Exception):
    """A later attempt took over the claim; this one must leave no trace."""


@dataclass(frozen=True)
class SealedResponse:
    """A response whose body is sealed, as a row of the ledger without its times."""

    values: Mapping[str, Any]
    kept_for: timedelta

    def row(self, now: datetime) -> dict[str, Any]:
        """Return the row, stored now."""
        return {**self.values, "stored_at": now, "delete_after": now + self.kept_for}


@dataclass(frozen=True)
class Ending:
    """One call's outcome, and the response to store if it is the answer to a request.

    `timed` are milliseconds that are told with it, see `sisgate.domain.timings`.
    """

    call: CallContext
    reply: Reply
    outcome: CallOutcome
    response: SealedResponse | None = None
    timed: Mapping[str, float] = field(default_factory=dict)

    @property
    def claim(self) -> Claim:
        """The call as this worker claimed it."""
        return self.call.claim

    @property
    def facts(self) -> dict[str, Any]:
        """The known facts of the reply."""
        facts: dict[str, Any] = {"endpoint": self.reply.endpoint}
        if (response := self.reply.response) is not None:
            facts |= {
                "status": response.status,
                "body_bytes": len(response.body),
                "elapsed_ms": round(response.elapsed_seconds * 1000),
            }
        return facts

    @property
    def told(self) -> dict[str, Any]:
        """What only the audit log is told of the reply."""
        measured = self.call.measured(self.reply, self.claim.call.attempt)
        return {"key": self.reply.key, **measured, "ms": {**(measured["ms"] or {}), **self.timed}}

    def finish(self, session: Session, state: CallState, now: datetime, **more: Any) -> None:
        """End the call with the facts of its reply."""
        facts = self.facts
        if not ledger.finish(session, self.claim.call, state, now, **facts, **more):
            raise LateWriter
        events.call_ended(session, self.claim, state.value, now, **self.told, **facts, **more)

    def put_back(
        self,
        session: Session,
        now: datetime,
        seconds: float,
        error: ErrorPayload,
        *,
        failed: bool = False,
        is_retry: bool = False,
        is_former: bool = False,
    ) -> None:
        """Let the call wait. If its error `is_former`, this try met only that of its reply."""
        not_before = now + timedelta(seconds=seconds)
        if not ledger.put_back(
            session,
            self.claim.call,
            now,
            not_before=not_before,
            failed=failed,
            is_retry=is_retry,
            status=self.reply.status,
            error=error,
        ):
            raise LateWriter
        facts = {"endpoint": self.reply.endpoint or None, "status": self.reply.status}
        own = self.reply.error.as_dict() if self.reply.error is not None else None
        met = own if is_former else error
        events.call_ended(session, self.claim, "waits", now, error=met, **facts, **self.told)
