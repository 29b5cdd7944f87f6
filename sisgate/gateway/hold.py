"""Why a provider takes no calls. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sisgate.domain.moments import local_time
from sisgate.errors import ProviderHeld

ASK_AGAIN_SECONDS = 60.0
"""When to retry if only a person can release the provider."""

_WHY = {
    "breaker": "Every endpoint of {name} is held by its circuit breaker",
    "paused": "{name} is paused",
    "blocked": "{name} asked not to be called",
}


@dataclass(frozen=True)
class Hold:
    """Why a provider takes no calls, and when the next is made; None until somebody acts.

    `by_hand`: a person holds the breaker open. `failure` is the last failure of a call that waits
    for a breaker, if any.
    """

    reason: Literal["breaker", "paused", "blocked"]
    next_probe_at: datetime | None
    by_hand: bool = False
    failure: str | None = None

    def reason_text(self, name: str) -> str:
        """Return the reason as a sentence without a full stop."""
        return _WHY[self.reason].format(name=name)

    def explanation(self, name: str) -> str:
        """Return the reason, to follow "takes no calls:", and the remedy.

        >>> Hold("paused", None).explanation("lincoln")
        'it is paused indefinitely. `sisgate resume lincoln` ends that.'
        """
        until = f"until {local_time(self.next_probe_at)}" if self.next_probe_at else "indefinitely"
        if self.reason == "paused":
            return f"it is paused {until}. `sisgate resume {name}` ends that."
        if self.reason == "blocked":
            return f"it asked us to wait {until}."
        if self.by_hand:
            ends = f"`sisgate breaker {name} auto` ends that."
            return f"its breaker is open (held by hand) {until}. {ends}"
        failed = f" The last failure: {self.failure}" if self.failure else ""
        return (
            f"its breaker is open {until}; then one call probes it.{failed} "
            f"`sisgate breaker {name}` shows its state."
        )

    def refusal(self, name: str, now: datetime, hint: str = "", **detail: Any) -> ProviderHeld:
        """Return the error for an app that does not wait."""
        until, seconds = "until somebody releases it", ASK_AGAIN_SECONDS
        if self.next_probe_at is not None:
            until = f"until {self.next_probe_at:%Y-%m-%d %H:%M:%S} UTC"
            seconds = max(0.0, (self.next_probe_at - now).total_seconds())
        failed = f" The last failure: {self.failure}" if self.failure else ""
        return ProviderHeld(
            f"{self.reason_text(name)}: no call is made {until}.{failed} Nothing was "
            f"accepted. Try again then, or let it wait.{hint}",
            seconds=seconds,
            provider=name,
            reason=self.reason,
            next_probe_at=self.next_probe_at.isoformat() if self.next_probe_at else None,
            **detail,
        )
