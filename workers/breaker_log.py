"""A listener that logs each transition of a circuit breaker where it was made."""

from __future__ import annotations

import structlog

from sisgate.breakers.breaker import FleetBreaker, TransitionListener
from sisgate.breakers.spec import Transition

log = structlog.get_logger()


class TransitionLog(TransitionListener):
    """Logs each transition of a provider's breakers; the audit log has them from the journal."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def transition(self, cb: FleetBreaker, transition: Transition) -> None:
        """Log one."""
        log.warning(
            "breaker_changed",
            provider=self._provider,
            endpoint=cb.endpoint,
            before=transition.before.value,
            after=transition.after.value,
            reason=transition.reason,
        )
