"""The configuration of a calling app, `[apps.NAME]`: its share, and the bounds of what it asks."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from sisgate.domain.choices import OnUnavailable
from sisgate.domain.priorities import Priority, PriorityName
from sisgate.errors import UsageError
from sisgate.settings.fields import Duration, Frozen


class AppConfig(Frozen):
    """A calling app. Quota is shared in proportion to `weight`.

    The rest bounds what the app may ask for, by whatever way. More urgent, longer or older than
    that is brought down to the bound; what cannot be brought down is a `UsageError`.
    """

    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    highest_priority: PriorityName = "urgent"
    longest_timeout: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    longest_max_age: Annotated[Duration, Field(ge=timedelta(0))] | None = None
    on_unavailable: Annotated[tuple[OnUnavailable, ...], Field(min_length=1)] = (
        "wait", "fail", "stale",
    )  # fmt: skip
    needs_purpose: bool = False

    def priority_of(self, asked: Priority) -> Priority:
        """Return the priority of a job; the larger number is the less urgent one.

        >>> AppConfig(highest_priority="high").priority_of(Priority.URGENT).word
        'high'
        """
        return max(asked, Priority.parse(self.highest_priority))

    def timeout_of(self, asked: float | None) -> float | None:
        """Return the seconds to the deadline of a request; None for no deadline."""
        return _least(asked, self.longest_timeout)

    def max_age_of(self, asked: float) -> float:
        """Return the seconds that a stored answer may be old."""
        return _least(asked, self.longest_max_age) or 0.0

    def check_on_unavailable(self, asked: OnUnavailable) -> None:
        """Raise `UsageError` unless the app may ask for it."""
        if asked not in self.on_unavailable:
            may = " or ".join(self.on_unavailable)
            raise UsageError(f"This app may ask for on_unavailable {may} only, not {asked}.")

    def check_purpose(self, purpose: str | None) -> None:
        """Raise `UsageError` if the app reads data without saying why, and must say it."""
        if self.needs_purpose and not purpose:
            raise UsageError(
                "This app has to state a purpose for what it reads (`purpose`, X-SIS-Purpose): "
                "its configuration says needs_purpose."
            )


def _least(asked: float | None, bound: timedelta | None) -> float | None:
    if bound is None:
        return asked
    most = bound.total_seconds()
    return most if asked is None else min(asked, most)
