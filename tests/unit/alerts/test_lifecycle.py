"""What becomes of an alert, and how often channels are told of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.alerts.conditions import Conditions
from sisgate.alerts.evaluation import Silence, evaluate
from sisgate.alerts.lifecycle import AlertStatus, held_until
from sisgate.alerts.messages import message_of
from sisgate.alerts.rules import Condition
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.settings.alerts import AlertChannel, AlertRule, AlertsConfig

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
CONFIG = AlertsConfig(
    defaults=False,
    rules={
        "down": AlertRule(causes=("provider_down",)),
        "late": AlertRule(causes=("quota_spent",), after=timedelta(minutes=1)),
        "again": AlertRule(causes=("paused",), repeat=timedelta(minutes=30)),
    },
)


def condition(rule: str = "down", subject: str = "clark", **more: object) -> Condition:
    """Return a condition of a rule."""
    values: dict[str, object] = {
        "rule": rule, "subject": subject, "provider": subject,
        "severity": AlertSeverity.CRITICAL, "cause": "provider_down",
        "culprit": f"provider {subject}", "message": f"{subject} fails", "remedy": "Ask.",
    }  # fmt: skip
    return Condition(**{**values, **more})  # type: ignore[arg-type]  # as named


class Ledger:
    """Alerts from one evaluation to the next, and what was told."""

    def __init__(self) -> None:
        self.now, self._made = NOW, 0
        self.alerts: dict[str, AlertStatus] = {}
        self.told: list[tuple[datetime, str, str]] = []
        self.silences: list[Silence] = []

    def _new_id(self) -> str:
        self._made += 1
        return f"al_{self._made}"

    def evaluate(self, *found: Condition, is_blind: bool = False) -> None:
        """Judge once."""
        known = list(self.alerts.values())
        conditions = Conditions(found, is_blind=is_blind)
        result = evaluate(CONFIG, known, conditions, self.silences, self.now, self._new_id)
        for alert in result.forgotten:
            del self.alerts[alert.id]
        self.alerts |= {alert.id: alert for alert in result.changed}
        self.told += [(self.now, alert.id, what) for alert, what in result.told]

    def after(self, seconds: float, *found: Condition, is_blind: bool = False) -> None:
        """Judge so many seconds later."""
        self.now += timedelta(seconds=seconds)
        self.evaluate(*found, is_blind=is_blind)

    @property
    def words(self) -> Sequence[str]:
        """What was told, in order."""
        return [what for _, _, what in self.told]

    @property
    def states(self) -> Sequence[str]:
        return [alert.state.value for alert in self.alerts.values()]


@pytest.fixture
def ledger() -> Ledger:
    """A ledger without alerts."""
    return Ledger()


def test_an_alert_fires_and_recovers_and_each_is_told_once(ledger: Ledger) -> None:
    """However often it is judged in between."""
    for _ in range(5):
        ledger.after(15, condition())
    ledger.after(15)
    ledger.after(15)
    assert ledger.words == ["firing", "resolved"]
    assert ledger.states == ["resolved"]


def test_a_condition_that_ends_in_time_never_fires(ledger: Ledger) -> None:
    """Pending for a while, then forgotten."""
    ledger.evaluate(condition("late"))
    ledger.after(30, condition("late"))
    assert ledger.states == ["pending"]
    ledger.after(15)
    assert ledger.alerts == {}
    assert ledger.told == []


def test_a_condition_that_lasts_fires_after_its_time(ledger: Ledger) -> None:
    """Not before."""
    ledger.evaluate(condition("late"))
    ledger.after(59, condition("late"))
    assert ledger.told == []
    ledger.after(1, condition("late"))
    assert ledger.words == ["firing"]


def test_fifty_flaps_in_a_minute_send_two_messages(ledger: Ledger) -> None:
    """And when it has calmed down, one more says how it is if that was not told last."""
    for number in range(100):
        ledger.after(0.6, *([condition()] if number % 2 == 0 else []))
    assert len(ledger.told) <= 2
    for _ in range(40):
        ledger.after(15, condition())
    assert ledger.words[-1] == "firing"
    assert len(ledger.told) <= 3


def test_a_critical_alert_that_fires_again_is_told_at_once(ledger: Ledger) -> None:
    """Unless its end was told within the last minute; then, and else, it says until when."""
    ledger.evaluate(condition())
    ledger.after(15)
    ledger.after(45, condition())
    (alert,) = ledger.alerts.values()
    assert held_until(alert, CONFIG.flaps_held, ledger.now) == ledger.now + timedelta(seconds=15)
    ledger.after(15, condition())
    assert ledger.words == ["firing", "resolved", "firing"]
    (alert,) = ledger.alerts.values()
    assert held_until(alert, CONFIG.flaps_held, ledger.now) is None


def test_a_milder_one_is_told_again_at_once_only_for_another_cause(ledger: Ledger) -> None:
    """For the same it is held down; its channels learn of it later."""
    mild = condition(severity=AlertSeverity.WARNING)
    ledger.evaluate(mild)
    ledger.after(15)
    ledger.after(120, mild)
    (alert,) = ledger.alerts.values()
    assert held_until(alert, CONFIG.flaps_held, ledger.now) == ledger.now + CONFIG.flaps_held
    assert ledger.words == ["firing", "resolved"]
    ledger.after(15, condition(severity=AlertSeverity.WARNING, cause="provider_unreachable"))
    assert ledger.words == ["firing", "resolved", "firing"]


SEVERITIES = st.sampled_from([AlertSeverity.WARNING, AlertSeverity.CRITICAL])
CAUSES = st.sampled_from(["provider_down", "provider_unreachable"])


@given(st.lists(st.tuples(st.booleans(), SEVERITIES, CAUSES), min_size=10, max_size=100))
def test_no_pattern_of_flaps_sends_more_than_two_messages_a_minute(
    flaps: list[tuple[bool, AlertSeverity, str]],
) -> None:
    """Whatever comes within the minute, of whatever severity and cause."""
    ledger, holds = Ledger(), [each for each, _, _ in flaps]
    for each, severity, cause in flaps:
        found = [condition(severity=severity, cause=cause)] if each else []
        ledger.after(60 / len(flaps), *found)
    assert len(ledger.told) <= 2
    told = [alert.told for alert in ledger.alerts.values()]
    for _ in range(60):
        ledger.after(15, *([condition()] if holds[-1] else []))
    # In the end everybody knows how it is.
    if holds[-1]:
        assert ledger.words[-1] == "firing"
    elif any(told):
        assert ledger.words[-1] == "resolved"


def test_what_was_acknowledged_is_told_of_again_only_when_it_has_ended(ledger: Ledger) -> None:
    """Its end is told."""
    ledger.evaluate(condition())
    (alert,) = ledger.alerts.values()
    ledger.alerts[alert.id] = replace(alert, state=AlertState.ACKNOWLEDGED)
    for _ in range(5):
        ledger.after(600, condition())
    assert ledger.words == ["firing"]
    ledger.after(15)
    assert ledger.words == ["firing", "resolved"]


def test_a_silence_holds_messages_until_it_ends(ledger: Ledger) -> None:
    """What still fires then is told."""
    ledger.silences = [Silence("si_1", None, "clark", NOW + timedelta(hours=1), "ana")]
    ledger.evaluate(condition(), condition(subject="adams", provider="adams"))
    assert [alert for _, alert, _ in ledger.told] == ["al_2"]
    assert ledger.states == ["firing", "firing"]
    ledger.silences = []
    ledger.after(3600, condition(), condition(subject="adams", provider="adams"))
    assert len(ledger.told) == 2


def test_an_end_under_a_silence_is_told_after_it_however_long_it_was(ledger: Ledger) -> None:
    """And if it fires again meanwhile, it is the same alert, which channels know of."""
    ledger.evaluate(condition())
    ledger.silences = [Silence("si_1", "down", None, NOW + timedelta(days=2), "ana")]
    ledger.after(15)
    ledger.after(86_400)
    ledger.after(3600, condition())
    ledger.after(3600)
    assert ledger.words == ["firing"]
    ledger.silences = []
    ledger.after(86_400)
    assert ledger.words == ["firing", "resolved"]
    assert list(ledger.alerts) == ["al_1"]


def test_one_that_gets_worse_is_told_to_those_who_want_only_the_worst() -> None:
    """Once; its end is told to all who know of it, though it had become milder."""
    config = CONFIG.model_copy(
        update={
            "channels": {
                "ops": AlertChannel(url_env="OPS"),
                "pager": AlertChannel(url_env="PAGER", least=AlertSeverity.CRITICAL),
            }
        }
    )
    mild = condition(severity=AlertSeverity.WARNING)
    alerts: list[AlertStatus] = []
    told = []
    for number, found in enumerate(([mild], [condition()], [mild], [])):
        now = NOW + number * timedelta(minutes=2)
        result = evaluate(config, alerts, Conditions(found), [], now, lambda: "al_1")
        alerts = result.changed
        told.append({name: items[0][1] for name, items in result.messages.items()})
    assert told == [
        {"ops": "firing"}, {"pager": "firing"}, {}, {"ops": "resolved", "pager": "resolved"},
    ]  # fmt: skip


def test_what_is_evaluated_no_more_is_not_said_to_have_recovered(ledger: Ledger) -> None:
    """Its rule, or its provider, was removed."""
    ledger.evaluate(condition())
    message = message_of([(ledger.alerts["al_1"], "resolved")], lambda _: False)
    assert message.title == "[ended] clark: down is not evaluated any more"
    assert (message.severity, message.recovered) == (AlertSeverity.INFO, False)
    assert "recovered is not known" in message.body


def test_what_follows_from_another_trouble_does_not_fire(ledger: Ledger) -> None:
    """It fires when the other has ended and it still holds."""
    ledger.evaluate(condition(inhibited=True))
    assert ledger.alerts == {}
    ledger.after(15, condition())
    ledger.after(600, condition(inhibited=True))
    assert ledger.states == ["firing"]
    assert ledger.words == ["firing"]


def test_nothing_recovers_while_nothing_can_be_seen(ledger: Ledger) -> None:
    """Without Redis or the ledger, alerts stay as they are."""
    ledger.evaluate(condition())
    ledger.after(15, is_blind=True)
    assert ledger.states == ["firing"]
    ledger.after(15)
    assert ledger.words == ["firing", "resolved"]


def test_a_reminder_comes_as_often_as_its_rule_says(ledger: Ledger) -> None:
    """Not for other rules."""
    for _ in range(9):
        ledger.after(600, condition("again", cause="paused"))
    assert ledger.words == ["firing"] * 3


def test_several_alerts_are_one_message(ledger: Ledger) -> None:
    """The worst first, with its reason, its culprit and what to do."""
    ledger.evaluate(
        condition(subject="adams", severity=AlertSeverity.WARNING), condition(subject="clark")
    )
    message = message_of([(alert, "firing") for alert in ledger.alerts.values()])
    assert message.title == "[critical] sisgate: 2 firing"
    assert message.body.index("clark fails") < message.body.index("adams fails")
    assert "At fault: provider clark. Ask." in message.body
    one = message_of([(ledger.alerts["al_2"], "resolved")])
    assert one.title == "[recovered] clark: down recovered"
    assert one.recovered


def test_a_message_is_as_severe_as_what_fires(ledger: Ledger) -> None:
    """Not as what has recovered."""
    ledger.evaluate(
        condition(subject="adams", severity=AlertSeverity.WARNING), condition(subject="clark")
    )
    mild, grave = ledger.alerts.values()
    message = message_of([(grave, "resolved"), (mild, "firing")])
    assert message.title == "[warning] sisgate: 1 firing, 1 recovered"
    assert (message.severity, message.recovered) == (AlertSeverity.WARNING, False)
