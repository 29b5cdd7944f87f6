"""Each channel is told of each alert's beginning and end in turn, whatever happens in between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sisgate.alerts.conditions import Conditions
from sisgate.alerts.evaluation import Evaluation, Silence, evaluate
from sisgate.alerts.lifecycle import REOPENS_WITHIN, AlertStatus
from sisgate.alerts.rules import Condition
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.settings.alerts import AlertChannel, AlertRule, AlertsConfig

PROVIDERS = ("adams", "clark")
RULES = {
    "down": AlertRule(causes=("provider_down",)),
    "late": AlertRule(causes=("quota_spent",), after=timedelta(minutes=1)),
}
CHANNELS = {
    "ops": AlertChannel(url_env="OPS"),
    "pager": AlertChannel(url_env="PAGER", least=AlertSeverity.CRITICAL),
}
SEVERITIES = [AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL]
SHORT, LONG = [1, 15, 61], [301, 601, 4201, 100_000]

Key = tuple[str, str]


class Alerting(RuleBasedStateMachine):
    """One evaluation after the other, with people, the configuration and crashes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 9, 1, 8, tzinfo=UTC)
        self.alerts: dict[str, AlertStatus] = {}
        self.silences: list[Silence] = []
        self.in_force, self.channels = dict(RULES), dict(CHANNELS)
        self.held: dict[Key, Condition] = {}
        self.told: dict[tuple[str, str], str] = {}
        self.times: dict[tuple[str, Key], list[datetime]] = {}
        self._made = 0

    def _new_id(self) -> str:
        self._made += 1
        return f"al_{self._made}"

    def _evaluated(self, conditions: Conditions) -> Evaluation:
        config = AlertsConfig(defaults=False, rules=self.in_force, channels=self.channels)
        self.silences = [each for each in self.silences if each.until > self.now]
        known = list(self.alerts.values())
        return evaluate(config, known, conditions, self.silences, self.now, self._new_id)

    def _judge(self, seconds: float, conditions: Conditions | None = None) -> None:
        self.now += timedelta(seconds=seconds)
        found = [e for e in self.held.values() if e.rule in self.in_force]
        result = self._evaluated(conditions or Conditions(found))
        for alert in result.forgotten:
            del self.alerts[alert.id]
        self.alerts |= {alert.id: alert for alert in result.changed}
        for channel, items in result.messages.items():
            for alert, what in items:
                self._tell(channel, alert, what)
        for alert, what in result.told:
            self._tell("log", alert, what)

    def _tell(self, channel: str, alert: AlertStatus, what: str) -> None:
        before = self.told.get((channel, alert.id))
        expected = {None: {"firing"}, "firing": {"resolved"}, "resolved": {"firing"}}
        assert before == "unknown" or what in expected[before], (channel, alert, before)
        self.told[channel, alert.id] = what
        self.times.setdefault((channel, alert.key), []).append(self.now)

    @rule(seconds=st.sampled_from([*SHORT, *SHORT, *LONG]))
    def wait(self, seconds: float) -> None:
        """Judge what holds after a while."""
        self._judge(seconds)

    @rule(seconds=st.sampled_from(SHORT), provider=st.sampled_from(PROVIDERS))
    def see_nothing(self, seconds: float, provider: str) -> None:
        """Judge without Redis, or without the network, by which some are hidden."""
        seen = [e for e in self.held.values() if e.rule in self.in_force and e.provider != provider]
        self._judge(seconds, Conditions(is_blind=True))
        self._judge(seconds, Conditions(seen, hidden={provider}))

    @rule()
    def be_killed(self) -> None:
        """Judge, and do not write what came of it."""
        self._evaluated(Conditions([e for e in self.held.values() if e.rule in self.in_force]))

    @rule(
        name=st.sampled_from(sorted(RULES)),
        provider=st.sampled_from(PROVIDERS),
        severity=st.sampled_from(SEVERITIES),
        inhibited=st.booleans(),
    )
    def begin(self, name: str, provider: str, severity: AlertSeverity, inhibited: bool) -> None:
        """Let something hold, perhaps because of something else, or get better or worse."""
        self.held[name, provider] = Condition(
            name, provider, provider, severity, "c", "culprit", "message", "Do.",
            inhibited=inhibited,
        )  # fmt: skip

    @rule(name=st.sampled_from(sorted(RULES)), provider=st.sampled_from(PROVIDERS))
    def end(self, name: str, provider: str) -> None:
        """Let something hold no more."""
        self.held.pop((name, provider), None)

    @rule(
        name=st.sampled_from([None, *sorted(RULES)]),
        provider=st.sampled_from(PROVIDERS),
        seconds=st.sampled_from([*SHORT, *LONG]),
    )
    def silence(self, name: str | None, provider: str, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        self.silences.append(Silence("si_1", name, provider, until, "ana"))

    @rule()
    def unsilence(self) -> None:
        """End all silences."""
        self.silences = []

    @precondition(lambda self: any(e.state.is_firing for e in self.alerts.values()))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Look after one."""
        firing = sorted(each.id for each in self.alerts.values() if each.state.is_firing)
        one = data.draw(st.sampled_from(firing))
        self.alerts[one] = replace(self.alerts[one], state=AlertState.ACKNOWLEDGED)

    @rule(
        name=st.sampled_from(sorted(RULES)),
        channels=st.sampled_from([None, ("ops",), ("pager",), ()]),
        is_there=st.booleans(),
    )
    def change_rule(self, name: str, channels: tuple[str, ...] | None, is_there: bool) -> None:
        """Remove a rule, or say whom it is for."""
        self.in_force.pop(name, None)
        if is_there:
            only = [each for each in channels or () if each in self.channels]
            changed = None if channels is None else tuple(only)
            self.in_force[name] = RULES[name].model_copy(update={"channels": changed})

    @rule(name=st.sampled_from(sorted(CHANNELS)))
    def remove_channel(self, name: str) -> None:
        """Remove a channel: what it was told before counts no more."""
        self.channels.pop(name, None)
        self.in_force = {
            n: r.model_copy(update={"channels": None}) for n, r in self.in_force.items()
        }
        self.told |= {key: "unknown" for key in self.told if key[0] == name}

    @rule()
    def add_channels(self) -> None:
        """Put all channels there."""
        self.channels = dict(CHANNELS)

    @invariant()
    def flaps_send_two_messages(self) -> None:
        """Within a minute, to each channel of each thing."""
        for times in self.times.values():
            for first, third in zip(times, times[2:], strict=False):
                assert third - first >= timedelta(minutes=1)

    def teardown(self) -> None:
        """Let it calm down: in the end every channel knows how it is."""
        self.silences, self.in_force, self.channels = [], dict(RULES), dict(CHANNELS)
        for _ in range(4):
            self._judge(301)
        for alert in self.alerts.values():
            held = self.held.get(alert.key)
            if alert.state is AlertState.FIRING and held is not None and not held.inhibited:
                config = AlertsConfig(channels=self.channels)
                for channel in ["log", *config.audience(RULES[alert.rule], alert.severity)]:
                    assert self.told[channel, alert.id] in {"firing", "unknown"}
        self.held = {}
        for _ in range(4):
            self._judge(301)
        assert all(each.state is AlertState.RESOLVED for each in self.alerts.values())
        assert {each for each in self.told.values() if each != "unknown"} <= {"resolved"}
        self._judge(REOPENS_WITHIN.total_seconds())
        before = dict(self.told)
        self._judge(15)
        assert self.told == before


TestAlerting = Alerting.TestCase
TestAlerting.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
