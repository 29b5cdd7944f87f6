"""One evaluation: from the alerts of the ledger and what holds now to alerts and messages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sisgate.alerts import lifecycle
from sisgate.alerts.conditions import Conditions
from sisgate.alerts.lifecycle import AlertStatus, Told
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
    """What changes: alerts to write, those to forget, and what channels are to be told."""

    changed: list[AlertStatus] = field(default_factory=list)
    forgotten: list[AlertStatus] = field(default_factory=list)
    told: list[tuple[AlertStatus, Told]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.changed or self.forgotten or self.told)


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
    # Of several ended ones the newest: it may be opened again.
    by_key = {alert.key: alert for alert in sorted(known, key=lambda each: each.changed_at)}
    for alert in known:
        if alert.state is not AlertState.RESOLVED:
            by_key[alert.key] = alert
    found = {each.key: each for each in conditions.found}
    for key, condition in found.items():
        rule, before = rules[condition.rule], by_key.get(key)
        if before is None or _is_over(before, now):
            if not condition.inhibited:
                alert = lifecycle.begin(new_id(), condition, rule, now)
                _note(result, config, rules, None, alert, silences, now)
            continue
        after = lifecycle.hold(before, condition, rule, now)
        _note(result, config, rules, before, after, silences, now)
    for key, before in by_key.items():
        if key in found:
            continue
        is_kept = conditions.is_blind and before.rule in rules
        ended = before if is_kept else lifecycle.end(before, now)
        if ended is None:
            result.forgotten.append(before)
        else:
            _note(result, config, rules, before, ended, silences, now)
    return result


def _is_over(alert: AlertStatus, now: datetime) -> bool:
    is_resolved = alert.state is AlertState.RESOLVED
    return is_resolved and now - alert.changed_at >= lifecycle.REOPENS_WITHIN


def _note(
    result: Evaluation,
    config: AlertsConfig,
    rules: Mapping[str, AlertRule],
    before: AlertStatus | None,
    after: AlertStatus,
    silences: Sequence[Silence],
    now: datetime,
) -> None:
    what = lifecycle.to_tell(after, rules.get(after.rule), now, flaps_held=config.flaps_held)
    if what is not None and not any(each.covers(after) for each in silences):
        after = lifecycle.told(after, what, now)
        result.told.append((after, what))
    if after != before:
        result.changed.append(after)


RECENT = lifecycle.REOPENS_WITHIN + timedelta(hours=1)
"""How long ago an alert may have ended that an evaluation still has to know."""
