"""What a live job waits for, in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sisgate.domain.moments import local_time
from sisgate.domain.past_waits import Fault
from sisgate.gateway.hold import Hold
from sisgate.liveness.obstacles import Obstacle, sentences

_FAULTS: Mapping[str, Fault] = {
    "down": "fleet", "breaker": "provider", "paused": "person", "blocked": "provider",
    "lost": "fleet", "retry": "provider", "quota": "quota",
}  # fmt: skip


@dataclass(frozen=True)
class Wait:
    """What a job waits for, and until when; None until a person acts.

    If the fleet is `down`, `obstacles` say why. If the provider takes no calls, `hold` has the same
    reason. If the workers of its calls are `lost`, they are taken up again when their leases end.
    Otherwise the job waits for its turn: a `retry` or `quota`. `failure` is the last failure of a
    call that waits for a breaker or a retry.
    """

    reason: Literal["down", "breaker", "paused", "blocked", "lost", "retry", "quota"]
    until: datetime | None
    hold: Hold | None = None
    obstacles: Sequence[Obstacle] = ()
    failure: str | None = None

    @property
    def fault(self) -> Fault:
        """Whose fault it is."""
        by_hand = self.hold is not None and self.hold.by_hand
        return "person" if by_hand else _FAULTS[self.reason]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for times."""
        return {**asdict(self), "by_hand": self.hold is not None and self.hold.by_hand}

    def explanation(self, provider: str) -> str:
        """Return the reason, to follow "waits for"."""
        if self.obstacles:
            return f"the fleet. {sentences(self.obstacles)}"
        if self.hold is not None:
            return f"{provider}, which takes no calls: {self.hold.explanation(provider)}"
        if self.reason == "lost":
            again = f"when its lease ends, at {local_time(self.until)}"
            return f"a call whose worker is gone. Another worker takes it up {again}"
        if self.reason == "quota":
            return f"quota; its next call is expected at {local_time(self.until)}"
        failed = f". The last one failed: {self.failure}" if self.failure else ""
        return f"its next try at {local_time(self.until)}{failed}"
