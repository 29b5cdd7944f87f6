"""What becomes of one alert from one evaluation to the next, and when channels are told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sisgate.alerts.rules import Condition
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.settings.alerts import AlertRule

REOPENS_WITHIN = timedelta(minutes=10)
"""An alert whose condition holds again so soon after its end is the same one."""

SEEN_EVERY = timedelta(minutes=1)
"""How often it is noted that a condition still holds."""

MOST_FLAPS = 1
"""How often an alert may fire again within that time before messages are held down."""

PROMPT_EVERY = timedelta(minutes=1)
"""How soon an alert may be told again that is critical, or has another cause than before."""

Told = Literal["firing", "resolved"]


@dataclass(frozen=True)
class AlertStatus:
    """One alert: of one rule and one subject. `evidence` has numbers, times and ids, by name.

    `since` is when its condition began to hold. `times` counts how often it has fired, of which
    `flaps` lately for the same cause. `channels` were told that it fires, and not yet of its end.
    Nothing is told of it until `held_until`, because it flaps. `undelivered` are the channels whose
    messages about it have not arrived yet.
    """

    id: str
    rule: str
    subject: str
    provider: str | None
    state: AlertState
    severity: AlertSeverity
    cause: str
    culprit: str
    message: str
    remedy: str
    since: datetime
    seen_at: datetime
    changed_at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    fired_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    resolved_at: datetime | None = None
    times: int = 0
    flaps: int = 0
    told: Told | None = None
    told_at: datetime | None = None
    channels: Sequence[str] = ()
    held_until: datetime | None = None
    undelivered: Sequence[str] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.rule, self.subject


def begin(alert_id: str, condition: Condition, rule: AlertRule, now: datetime) -> AlertStatus:
    """Return a new alert, pending or firing."""
    alert = AlertStatus(
        id=alert_id,
        rule=condition.rule,
        subject=condition.subject,
        provider=condition.provider,
        state=AlertState.PENDING,
        severity=condition.severity,
        cause=condition.cause,
        culprit=condition.culprit,
        message=condition.message,
        remedy=condition.remedy,
        since=now,
        seen_at=now,
        changed_at=now,
        evidence=dict(condition.evidence),
    )
    return _aged(alert, rule, now)


def hold(alert: AlertStatus, condition: Condition, rule: AlertRule, now: datetime) -> AlertStatus:
    """Return an alert whose condition holds."""
    if alert.state is AlertState.RESOLVED:
        # The same alert, opened again: what was said of it still counts.
        flaps = alert.flaps + 1 if now - alert.changed_at < REOPENS_WITHIN else 0
        alert = replace(alert, state=AlertState.PENDING, since=now, flaps=flaps)
    if condition.cause != alert.cause:
        alert = replace(alert, flaps=0)
    is_worse = condition.severity.rank > alert.severity.rank or condition.cause != alert.cause
    if is_worse or now - alert.seen_at >= SEEN_EVERY or alert.state is AlertState.PENDING:
        alert = replace(
            alert,
            severity=condition.severity,
            cause=condition.cause,
            culprit=condition.culprit,
            message=condition.message,
            remedy=condition.remedy,
            evidence=dict(condition.evidence),
            seen_at=now,
        )
    return _aged(alert, rule, now)


def end(alert: AlertStatus, now: datetime) -> AlertStatus | None:
    """Return an alert whose condition does not hold; None to forget one that never fired."""
    if alert.state is AlertState.RESOLVED:
        return alert
    if alert.state is AlertState.PENDING:
        if not alert.times:
            return None
        return replace(alert, state=AlertState.RESOLVED, flaps=max(0, alert.flaps - 1))
    return replace(alert, state=AlertState.RESOLVED, resolved_at=now, changed_at=now)


def is_over(alert: AlertStatus, now: datetime) -> bool:
    """Return whether it is a new alert if its condition holds again.

    One whose end was not told is not over, however long it is silenced: to its channels it fires.
    """
    is_old = now - alert.changed_at >= REOPENS_WITHIN
    return alert.state is AlertState.RESOLVED and alert.told != "firing" and is_old


def _aged(alert: AlertStatus, rule: AlertRule, now: datetime) -> AlertStatus:
    if alert.state is not AlertState.PENDING or now - alert.since < rule.after:
        return alert
    return replace(
        alert,
        state=AlertState.FIRING,
        fired_at=now,
        changed_at=now,
        acknowledged_at=None,
        acknowledged_by=None,
        note=None,
        resolved_at=None,
        times=alert.times + 1,
    )


@dataclass(frozen=True)
class AlertNews:
    """What is to be told of an alert, to which channels; `is_general`: to log and webhooks too."""

    what: Told
    channels: Sequence[str]
    is_general: bool = True


def news_of(
    alert: AlertStatus,
    audience: Sequence[str],
    rule: AlertRule | None,
    now: datetime,
    *,
    flaps_held: timedelta,
) -> AlertNews | None:
    """Return what is to be told of an alert now; None for nothing.

    `audience` are the channels that it is for while it fires. Its end is told to those that were
    told of it, whatever has become of its rule and severity since. One that flaps is told of only
    as `quiet_until` says.
    """
    quiet = quiet_until(alert, flaps_held)
    if quiet is not None and now < quiet:
        return None
    if alert.state is AlertState.RESOLVED and alert.told == "firing":
        return AlertNews("resolved", alert.channels)
    if alert.state is not AlertState.FIRING:
        return None
    if alert.told != "firing" or _is_repeat_due(alert, rule, now):
        return AlertNews("firing", audience)
    untold = [each for each in audience if each not in alert.channels]
    return AlertNews("firing", untold, is_general=False) if untold else None


def quiet_until(alert: AlertStatus, flaps_held: timedelta) -> datetime | None:
    """Return until when nothing is told of an alert, because it flaps; None if it does not.

    It has to be as it is for `flaps_held`. One that fires and is critical, or has another cause
    than before, waits only until `PROMPT_EVERY` after its end was told.
    """
    is_firing = alert.state is AlertState.FIRING
    is_critical = is_firing and alert.severity is AlertSeverity.CRITICAL
    if alert.flaps >= MOST_FLAPS and not is_critical:
        return alert.changed_at + flaps_held
    if is_firing and alert.told == "resolved" and alert.told_at is not None:
        return alert.told_at + min(flaps_held, PROMPT_EVERY)
    return None


def held_until(alert: AlertStatus, flaps_held: timedelta, now: datetime) -> datetime | None:
    """Return until when the news of an alert is held down; None if there is none, or it is not."""
    is_owed = (alert.state is AlertState.FIRING) == (alert.told != "firing")
    if alert.state not in {AlertState.FIRING, AlertState.RESOLVED} or not is_owed:
        return None
    quiet = quiet_until(alert, flaps_held)
    return quiet if quiet is not None and now < quiet else None


def _is_repeat_due(alert: AlertStatus, rule: AlertRule | None, now: datetime) -> bool:
    repeat = rule.repeat if rule is not None else None
    return bool(repeat and alert.told_at and now - alert.told_at >= repeat)


def told(alert: AlertStatus, news: AlertNews, now: datetime) -> AlertStatus:
    """Return an alert that was told of."""
    if news.what == "resolved":
        return replace(alert, told="resolved", told_at=now, channels=())
    known = tuple(dict.fromkeys([*alert.channels, *news.channels]))
    at = now if news.is_general else alert.told_at
    return replace(alert, told="firing", told_at=at, channels=known)
