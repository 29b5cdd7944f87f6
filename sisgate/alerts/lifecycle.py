"""What becomes of one alert from one evaluation to the next, and when channels are told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sisgate.alerts.conditions import Condition
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.settings.alerts import AlertRule

REOPENS_WITHIN = timedelta(minutes=10)
"""An alert whose condition holds again so soon after its end is the same one."""

SEEN_EVERY = timedelta(minutes=1)
"""How often it is noted that a condition still holds."""

MOST_FLAPS = 1
"""How often an alert may fire again within that time before messages are held down."""

Told = Literal["firing", "resolved"]


@dataclass(frozen=True)
class AlertStatus:
    """One alert as the ledger has it; `sisgate.ledger.schema.Alert` explains the names."""

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

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.rule, self.subject

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in values.items()
        }


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
        if condition.inhibited:
            return alert
        # The same alert, opened again: what was said of it still counts.
        alert = replace(alert, state=AlertState.PENDING, since=now, flaps=alert.flaps + 1)
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
    return alert if condition.inhibited else _aged(alert, rule, now)


def end(alert: AlertStatus, now: datetime) -> AlertStatus | None:
    """Return an alert whose condition does not hold; None to forget one that never fired."""
    if alert.state is AlertState.RESOLVED:
        return alert
    if alert.state is AlertState.PENDING:
        if not alert.times:
            return None
        return replace(alert, state=AlertState.RESOLVED, flaps=max(0, alert.flaps - 1))
    return replace(alert, state=AlertState.RESOLVED, resolved_at=now, changed_at=now)


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


def to_tell(
    alert: AlertStatus, rule: AlertRule | None, now: datetime, *, flaps_held: timedelta
) -> Told | None:
    """Return what channels are to be told of an alert now; None for nothing.

    One that flaps is told of only once it has been as it is for `flaps_held`.
    """
    match alert.state:
        case AlertState.FIRING:
            want: Told = "firing"
        case AlertState.RESOLVED if alert.told == "firing":
            want = "resolved"
        case _:
            return None
    if alert.told == want:
        repeat = rule.repeat if rule is not None and want == "firing" else None
        is_due = repeat and alert.told_at and now - alert.told_at >= repeat
        return want if is_due else None
    if alert.flaps >= MOST_FLAPS and now - alert.changed_at < flaps_held:
        return None
    return want


def told(alert: AlertStatus, what: Told, now: datetime) -> AlertStatus:
    """Return an alert that channels are told of."""
    return replace(alert, told=what, told_at=now)
