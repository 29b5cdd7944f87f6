"""The words of messages to channels. They hold no student data and no text of a provider. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sisgate.alerts.lifecycle import AlertStatus, Told
from sisgate.domain.alert_states import AlertSeverity
from sisgate.domain.figures import duration

SHOWN = (
    "calls",
    "failed",
    "unanswered",
    "waiting",
    "limit",
    "used",
    "job",
    "key",
    "count",
    "value",
)
"""Evidence that a message shows: numbers and ids."""

MOST = 20
"""Alerts of one message that are written out."""

Item = tuple[AlertStatus, Told]

Covers = Callable[[AlertStatus], bool]
"""Whether a rule in force still covers what an alert is about."""


@dataclass(frozen=True)
class ChannelMessage:
    """One message for a channel: what several alerts have to say at one time.

    `severity` is the worst of those that fire, `recovered`: that all have recovered.
    """

    title: str
    body: str
    severity: AlertSeverity
    alerts: Sequence[str]
    recovered: bool


def message_of(items: Sequence[Item], is_covered: Covers = lambda _: True) -> ChannelMessage:
    """Return the message that tells of some alerts, the worst first."""
    ordered = sorted(items, key=lambda each: (each[1] != "firing", -each[0].severity.rank))
    fires = ordered[0][1] == "firing"
    severity = ordered[0][0].severity if fires else AlertSeverity.INFO
    lines = [_paragraph(alert, what, is_covered) for alert, what in ordered[:MOST]]
    if len(ordered) > MOST:
        lines.append(f"And {len(ordered) - MOST} more: `sisgate alerts list`.")
    return ChannelMessage(
        _title(ordered, severity, is_covered),
        "\n\n".join(lines),
        severity,
        [a.id for a, _ in ordered],
        recovered=not fires and all(is_covered(a) for a, _ in ordered),
    )


def _title(items: Sequence[Item], severity: AlertSeverity, is_covered: Covers) -> str:
    firing = sum(1 for _, told in items if told == "firing")
    label = severity.value if firing else "recovered"
    if len(items) == 1:
        ((alert, told),) = items
        if told == "resolved" and not is_covered(alert):
            return f"[ended] {alert.subject}: {alert.rule} is not evaluated any more"
        what = alert.rule if told == "firing" else f"{alert.rule} recovered"
        return f"[{label}] {alert.subject}: {what}"
    parts = [f"{firing} firing"] if firing else []
    parts += [f"{len(items) - firing} recovered"] if firing < len(items) else []
    return f"[{label}] sisgate: {', '.join(parts)}"


def _paragraph(alert: AlertStatus, told: Told, is_covered: Covers) -> str:
    if told == "resolved" and not is_covered(alert):
        return (
            f"Ended: {alert.subject} ({alert.rule}). The configuration evaluates it no more; "
            f"whether it has recovered is not known. {alert.id}"
        )
    if told == "resolved":
        lasted = (alert.changed_at - (alert.fired_at or alert.since)).total_seconds()
        return f"Recovered: {alert.subject} ({alert.rule}), after {duration(lasted)}. {alert.id}"
    shown = [f"{name} {alert.evidence[name]}" for name in SHOWN if alert.evidence.get(name)]
    again = f" It has fired {alert.times} times." if alert.times > 1 else ""
    return (
        f"{alert.severity.value.capitalize()}: {alert.message}.{again}\n"
        f"At fault: {alert.culprit}. {alert.remedy}\n"
        f"{', '.join([*shown, alert.id])}. `sisgate alerts ack {alert.id}` acknowledges it."
    )
