"""What a live job waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sisgate.domain.states import CallState
from sisgate.gateway.availability import Hold, hold_of
from sisgate.gateway.core import Core
from sisgate.gateway.forecast import plan_rest
from sisgate.gateway.job import JobStatus
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger import calls
from sisgate.liveness.obstacles import Obstacle

WORTH_TELLING = timedelta(seconds=1)
"""A wait for quota is told as one from this length on."""


@dataclass(frozen=True)
class Wait:
    """What a job waits for, and until when; None until a person acts.

    That something of the fleet is `down`: then there are the `obstacles`. That its provider takes
    no calls: then there is its `hold`, whose reason this is. Or its own turn: a `retry`, or
    `quota`. `failure` is what failed the call that a breaker or a retry keeps waiting.
    """

    reason: Literal["down", "breaker", "paused", "blocked", "retry", "quota"]
    until: datetime | None
    hold: Hold | None = None
    obstacles: Sequence[Obstacle] = ()
    failure: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "reason": self.reason,
            "until": self.until.isoformat() if self.until else None,
            "by_hand": self.hold is not None and self.hold.by_hand,
            "failure": self.failure,
            "obstacles": [obstacle.as_dict() for obstacle in self.obstacles],
        }


def wait_of(core: Core, status: JobStatus) -> Wait | None:
    """Return what a job waits for, None for nothing: it has ended, or has a call under way.

    What of the fleet is not alive comes first, then what holds the whole provider. Raises
    `BrokerUnavailable` where Redis goes away meanwhile.
    """
    if status.is_final:
        return None
    obstacles = read_liveness(core.context, [status.provider]).stopping(status.provider)
    if obstacles:
        return Wait("down", None, obstacles=obstacles)
    hold = hold_of(core.context, core.provider(status.provider))
    if hold is not None:
        return Wait(hold.reason, hold.next_probe_at, hold, failure=hold.failure)
    if status.calls.get(CallState.RUNNING):
        return None
    now = core.clock.now()
    with core.database.read() as session:
        waiting = calls.waiting(session, status.id)
        failure = calls.last_failure(session, job_id=status.id)
    # Failures of which the provider is to blame spend no try, so the number of tries tells nothing.
    again = [at for error, at in waiting if error and at is not None and at > now]
    if again and len(again) == len(waiting):
        return Wait("retry", min(again), failure=failure)
    begins = plan_rest(core, status.id).starts_at
    now = core.clock.now()  # reading what is ahead may have taken a while
    return Wait("quota", begins) if begins and begins - now >= WORTH_TELLING else None
