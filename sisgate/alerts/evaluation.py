"""One evaluation: from the alerts of the ledger and what holds now to alerts and messages. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sisgate.alerts import lifecycle
from sisgate.alerts.conditions import Conditions
from sisgate.alerts.lifecycle import AlertStatus
from sisgate.alerts.messages import Item
from sisgate.domain.alert_states import AlertState
from sisgate.settings.alerts import AlertRule, AlertsConfig


@dataclass(frozen=True)
class Silence:
    """No messages of a rule, of a provider, or of both, until a time; None stands for any."""

    id: str
    rule: str | None
    provider: str | None
    until: datetime
    set_by: str
    reason: str | None = None

    def covers(self, alert: AlertStatus) -> bool:
        """Return whether it is about an alert."""
        return self.rule in {None, alert.rule} and self.provider in {None, alert.provider}


@dataclass
class Evaluation:
    """What changes: alerts to write and to forget, and what is told.

    `told` is for log and webhooks, `messages` are by channel.
    """

    changed: list[AlertStatus] = field(default_factory=list)
    forgotten: list[AlertStatus] = field(default_factory=list)
    told: list[Item] = field(default_factory=list)
    messages: dict[str, list[Item]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.changed or self.forgotten)


def evaluate(
    config: AlertsConfig,
    known: Sequence[AlertStatus],
    conditions: Conditions,
    silences: Sequence[Silence],
    now: datetime,
    new_id: Callable[[], str],
) -> Evaluation:
    """Return what changes. While it is blind, alerts that are not seen stay as they are."""
    rules, result = config.in_force, Evaluation()
    by_key = {alert.key: alert for alert in sorted(known, key=_standing)}
    firing = {key for key, alert in by_key.items() if alert.state.is_firing}
    # What follows from another trouble does not begin, and does not end what fires already.
    found = {e.key: e for e in conditions.found if not e.inhibited or e.key in firing}
    for key in {**by_key, **found}:
        before, condition = by_key.get(key), found.get(key)
        if condition is None:
            assert before is not None
            is_kept = conditions.hide(before.provider) and before.rule in rules
            after = before if is_kept else lifecycle.end(before, now)
            if after is None:
                result.forgotten.append(before)
                continue
        elif before is None or lifecycle.is_over(before, now):
            before = None
            after = lifecycle.begin(new_id(), condition, rules[condition.rule], now)
        else:
            after = lifecycle.hold(before, condition, rules[condition.rule], now)
        is_quiet = condition is not None and condition.inhibited
        if not is_quiet and not any(each.covers(after) for each in silences):
            after = _tell(result, config, rules.get(after.rule), after, now)
        if after != before:
            result.changed.append(after)
    return result


def _standing(alert: AlertStatus) -> tuple[bool, bool, datetime]:
    """Order the alerts of a key so that the last one is that to go on with."""
    is_live = alert.state is not AlertState.RESOLVED
    return is_live, alert.told == "firing", alert.changed_at


def _tell(
    result: Evaluation,
    config: AlertsConfig,
    rule: AlertRule | None,
    alert: AlertStatus,
    now: datetime,
) -> AlertStatus:
    audience = [] if rule is None else config.audience(rule, alert.severity)
    news = lifecycle.news_of(alert, audience, rule, now, flaps_held=config.flaps_held)
    if news is None:
        return alert
    after = lifecycle.told(alert, news, now)
    if news.is_general:
        result.told.append((after, news.what))
    for channel in news.channels:
        if channel in config.channels:
            result.messages.setdefault(channel, []).append((after, news.what))
    return after


RECENT = lifecycle.REOPENS_WITHIN + timedelta(hours=1)
"""How long ago an alert may have ended that an evaluation still has to know."""
