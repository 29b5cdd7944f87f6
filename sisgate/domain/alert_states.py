"""The states of alerts, of their messages, and of error patterns."""

from enum import StrEnum


class AlertState(StrEnum):
    """The life of an alert. One that fires again soon after its end is opened again."""

    PENDING = "pending"
    """Its condition holds, and not for long enough yet."""
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    """It fires, and somebody looks after it."""
    RESOLVED = "resolved"

    @property
    def is_firing(self) -> bool:
        """Whether its condition holds, and has for long enough."""
        return self in {AlertState.FIRING, AlertState.ACKNOWLEDGED}


class AlertSeverity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """A number that grows with it."""
        return list(AlertSeverity).index(self)


class AlertMessageState(StrEnum):
    """What became of a message to a channel."""

    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"
    """Its channel was removed from the configuration."""


class PatternState(StrEnum):
    """Whether an error pattern is taken to be fixed."""

    OPEN = "open"
    RESOLVED = "resolved"


LIVE_ALERT_STATES = tuple(state for state in AlertState if state is not AlertState.RESOLVED)
