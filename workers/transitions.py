"""What a circuit breaker does is logged, and written to the audit log."""

from __future__ import annotations

import structlog

from sisgate.audit import log as audit
from sisgate.breakers.breaker import FleetBreaker, TransitionListener
from sisgate.breakers.spec import Transition
from sisgate.clock import Clock
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger.database import Database

log = structlog.get_logger()


class TransitionRecorder(TransitionListener):
    """Records each transition of a provider's breakers, once in the fleet."""

    def __init__(self, provider: str, database: Database, clock: Clock) -> None:
        self._provider = provider
        self._database = database
        self._clock = clock

    def transition(self, cb: FleetBreaker, transition: Transition) -> None:
        """Record one. A ledger that cannot be reached does not keep a call from being made."""
        words = {
            "endpoint": cb.endpoint,
            "before": transition.before.value,
            "after": transition.after.value,
        }
        log.warning("breaker_changed", provider=self._provider, reason=transition.reason, **words)
        try:
            with self._database.write() as session:
                audit.record(
                    session,
                    self._clock.now(),
                    actor="worker",
                    action="breaker:endpoint:change",
                    subject=self._provider,
                    reason=transition.reason,
                    **words,
                )
        except DatabaseUnavailable:
            log.exception("breaker_change_not_audited", provider=self._provider, **words)
