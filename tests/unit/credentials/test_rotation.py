"""What is done next about the keys of a slot, decided without a clock, a database or a provider."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisgate.credentials.rotation import KeyView, Policy, Probe, SlotView, Step, next_step
from sisgate.domain.states import KeyState

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
MONTH, DAY, MINUTE = timedelta(days=30), timedelta(days=1), timedelta(minutes=1)
POLICY = Policy(interval=MONTH, has_source=True)
ACTIVE = KeyView("a", KeyState.ACTIVE, activated_at=NOW - DAY)
OLD = replace(ACTIVE, activated_at=NOW - MONTH)
STAGED = KeyView("s", KeyState.STAGED, ordered=True)
DRAINING = KeyView("d", KeyState.DRAINING, activated_at=NOW - MONTH, draining_until=NOW + DAY)
CANARY = KeyView("c", KeyState.CANARY, ordered=True, probe=Probe.UNDER_WAY)


def act(*keys: KeyView, slot: SlotView | None = None, policy: Policy = POLICY) -> str | None:
    """Return the word for the next step, with the key it is about."""
    step = next_step(slot or SlotView(), keys, policy, NOW)
    return f"{step.act} {step.key or ''}".strip() if step is not None else None


@pytest.mark.parametrize(
    ("keys", "slot", "expected"),
    [
        ([], SlotView(), None),
        ([ACTIVE], SlotView(), None),
        ([OLD], SlotView(), "order"),
        ([ACTIVE], SlotView(requested=True), "order"),
        ([replace(ACTIVE, expires_at=NOW + DAY)], SlotView(), "order"),
        ([OLD], SlotView(is_ordering=True, leased_until=NOW + MINUTE), None),
        ([OLD], SlotView(is_ordering=True, leased_until=NOW), "order"),
        ([ACTIVE], SlotView(is_ordering=True), "order"),
        ([OLD], SlotView(not_before=NOW + MINUTE), None),
        ([OLD], SlotView(not_before=NOW + MINUTE, requested=True), "order"),
        ([ACTIVE, STAGED], SlotView(), "probe s"),
        ([ACTIVE, replace(STAGED, ordered=False)], SlotView(), None),
        ([OLD, replace(STAGED, ordered=False)], SlotView(), "probe s"),
        ([replace(STAGED, ordered=False)], SlotView(), "probe s"),
        ([ACTIVE, replace(STAGED, next_probe_at=NOW + MINUTE)], SlotView(), None),
        ([ACTIVE, CANARY], SlotView(), None),
        ([ACTIVE, replace(CANARY, probe=Probe.PASSED)], SlotView(), "promote c"),
        ([ACTIVE, replace(CANARY, probe=Probe.REFUSED)], SlotView(), "fail c"),
        ([ACTIVE, replace(CANARY, probe=Probe.FAILED)], SlotView(), "fail c"),
        ([ACTIVE, replace(CANARY, probe=Probe.UNCLEAR, probes_failed=2)], SlotView(), "fail c"),
        ([ACTIVE, replace(CANARY, probe=Probe.REFUSED, probes_failed=2)], SlotView(), "give up c"),
        ([ACTIVE, DRAINING], SlotView(), None),
        ([ACTIVE, replace(DRAINING, draining_until=NOW)], SlotView(), "retire d"),
        ([DRAINING], SlotView(), "reinstate d"),
        ([replace(DRAINING, draining_until=NOW)], SlotView(), "reinstate d"),
        ([replace(ACTIVE, suspect=True)], SlotView(), "check a"),
        ([replace(ACTIVE, suspect=True, probe=Probe.UNDER_WAY)], SlotView(), None),
        ([replace(ACTIVE, suspect=True, probe=Probe.PASSED)], SlotView(), "clear a"),
        ([replace(ACTIVE, suspect=True, probe=Probe.FAILED)], SlotView(), "clear a"),
        ([replace(ACTIVE, suspect=True, probe=Probe.REFUSED)], SlotView(), "later a"),
        ([replace(ACTIVE, suspect=True, probe=Probe.UNCLEAR)], SlotView(), "later a"),
    ],
)  # fmt: skip
def test_the_next_step(keys: list[KeyView], slot: SlotView, expected: str | None) -> None:
    """One at a time, in the order in which they matter."""
    assert act(*keys, slot=slot) == expected


def test_a_refused_key_is_revoked_only_while_another_is_good() -> None:
    """The provider that refuses the only key may be the one that is wrong."""
    refused = replace(ACTIVE, suspect=True, probe=Probe.REFUSED, probes_failed=2)
    assert act(refused) == "later a"
    assert act(refused, slot=SlotView(others_good=True)) == "revoke a"
    assert act(refused, DRAINING) == "revoke a"
    assert act(refused, replace(DRAINING, suspect=True, next_probe_at=NOW + DAY)) == "later a"


def test_a_drained_key_stays_while_the_active_one_is_suspect() -> None:
    """It is what there is to call with."""
    over = replace(DRAINING, draining_until=NOW)
    suspect = replace(ACTIVE, suspect=True, next_probe_at=NOW + MINUTE)
    assert act(suspect, over) is None
    assert act(suspect, replace(over, suspect=True)) == "retire d"


def test_without_a_source_a_person_is_told_once_a_day() -> None:
    """Nothing else can be done."""
    policy = replace(POLICY, has_source=False)
    assert act(OLD, policy=policy) == "warn a"
    assert act(replace(OLD, warned_at=NOW - MINUTE), policy=policy) is None
    assert act(replace(OLD, warned_at=NOW - DAY), policy=policy) == "warn a"
    assert act(OLD, replace(STAGED, next_probe_at=NOW + DAY), policy=policy) is None


def test_an_expiry_is_told_even_while_a_rotation_is_under_way() -> None:
    """It may not be done in time."""
    ending = replace(ACTIVE, expires_at=NOW + DAY)
    step = next_step(SlotView(), [ending, CANARY], POLICY, NOW)
    assert step == Step("warn", "a", "it expires at 2026-09-02 08:00 UTC")
    gone = next_step(SlotView(), [replace(ending, expires_at=NOW), CANARY], POLICY, NOW)
    assert gone is not None
    assert gone.reason == "it has expired"


times = st.none() | st.integers(-90, 90).map(lambda days: NOW + timedelta(days=days))
views = st.builds(
    KeyView,
    id=st.text("abcdefgh", min_size=8, max_size=8),
    state=st.sampled_from([KeyState.STAGED, KeyState.CANARY, KeyState.ACTIVE, KeyState.DRAINING]),
    activated_at=times,
    expires_at=times,
    draining_until=times,
    suspect=st.booleans(),
    ordered=st.booleans(),
    probe=st.sampled_from(Probe),
    probes_failed=st.integers(0, 5),
    next_probe_at=times,
    warned_at=times,
)
slots = st.builds(
    SlotView,
    requested=st.booleans(),
    is_ordering=st.booleans(),
    leased_until=times,
    not_before=times,
    others_good=st.booleans(),
)
policies = st.builds(
    Policy, interval=st.none() | st.just(MONTH), has_source=st.booleans(), tries=st.integers(1, 4)
)


@given(slots, st.lists(views, max_size=4, unique_by=lambda key: key.id), policies)
def test_no_step_takes_the_last_key_away(
    slot: SlotView, keys: list[KeyView], policy: Policy
) -> None:
    """What calls are made with is ended only while something good remains."""
    step = next_step(slot, keys, policy, NOW)
    if step is None or step.key is None:
        return
    (key,) = [key for key in keys if key.id == step.key]
    usable = [k for k in keys if k.state in {KeyState.ACTIVE, KeyState.DRAINING}]
    rest = [k for k in usable if k.id != key.id]
    match step.act:
        case "retire":
            assert key.state is KeyState.DRAINING
            assert any(k.state is KeyState.ACTIVE for k in rest)
        case "revoke":
            assert key.suspect
            assert slot.others_good or any(not k.suspect for k in rest)
        case "fail" | "give up":
            assert key.state is KeyState.CANARY
        case "promote":
            assert key.state is KeyState.CANARY
            assert key.probe is Probe.PASSED
        case "probe":
            assert key.state is KeyState.STAGED


class Model:
    """A slot in memory: carries steps out as the product does, and asks a provider of its own."""

    def __init__(self, policy: Policy, tolerates: set[str]) -> None:
        self.policy = policy
        self.now = NOW
        self.slot = SlotView()
        self.keys: dict[str, KeyView] = {"k0": replace(OLD, id="k0")}
        self.accepted = {"k0"} | tolerates
        self.made = 0

    def run(self) -> Step | None:  # noqa: C901 - one case a step
        """Carry out the next step."""
        step = next_step(self.slot, list(self.keys.values()), self.policy, self.now)
        if step is None:
            return None
        key = self.keys.get(step.key or "")
        match step.act, key:
            case "order", _:
                self.made += 1
                name = f"k{self.made}"
                self.keys[name] = KeyView(name, KeyState.STAGED, ordered=True)
                self.slot = SlotView()
            case (("probe" | "check"), KeyView()):
                state = KeyState.CANARY if step.act == "probe" else key.state
                probe = Probe.PASSED if key.id in self.accepted else Probe.REFUSED
                self._set(replace(key, state=state, probe=probe))
            case (("promote" | "reinstate"), KeyView()):
                for other in list(self.keys.values()):
                    if other.state is KeyState.ACTIVE:
                        until = self.now + self.policy.overlap
                        self._set(replace(other, state=KeyState.DRAINING, draining_until=until))
                self._set(KeyView(key.id, KeyState.ACTIVE, activated_at=self.now))
            case (("fail" | "later"), KeyView()):
                state = KeyState.STAGED if step.act == "fail" else key.state
                again = {"probes_failed": step.failures, "next_probe_at": self.now + step.after}
                self._set(replace(key, state=state, probe=Probe.NONE, **again))  # type: ignore[arg-type]
            case (("give up" | "retire" | "revoke"), KeyView()):
                del self.keys[key.id]
                if step.act == "give up":
                    self.slot = SlotView(not_before=self.now + self.policy.retry_after)
            case "clear", KeyView():
                self._set(replace(key, suspect=False, probe=Probe.NONE, probes_failed=0))
            case "warn", KeyView():
                self._set(replace(key, warned_at=self.now))
        return step

    def _set(self, key: KeyView) -> None:
        self.keys[key.id] = key

    def settle(self) -> None:
        """Carry out steps until there is none; fail when that does not come."""
        for _ in range(50):
            if self.run() is None:
                return
        pytest.fail("the steps do not end")

    @property
    def active(self) -> list[str]:
        return [key.id for key in self.keys.values() if key.state is KeyState.ACTIVE]


@settings(max_examples=60)
@given(
    st.sets(st.integers(1, 12).map(lambda n: f"k{n}"), max_size=10),
    st.lists(
        st.tuples(st.sampled_from(["minute", "hour", "day", "month", "refuse", "ask"])), max_size=25
    ),
)
def test_whatever_happens_there_is_one_active_key_and_every_run_ends(
    good: set[str], events: list[tuple[str]]
) -> None:
    """Some new keys are good and some are not, the provider refuses some, time goes by."""
    model = Model(POLICY, good)
    lengths = {"minute": MINUTE, "hour": 60 * MINUTE, "day": DAY, "month": MONTH}
    for (event,) in events:
        before = set(model.active)
        if event in lengths:
            model.now += lengths[event]
        elif event == "ask":
            model.slot = replace(model.slot, requested=True)
        else:
            for name in model.active:
                model._set(replace(model.keys[name], suspect=True, probe=Probe.NONE))
        model.settle()
        assert len(model.active) == 1
        for name in set(model.active) - before:
            assert name in model.accepted, "what did not pass its canary is not active"


def test_a_rotation_goes_all_the_way() -> None:
    """Ordered, tried, active; the old one drains for its overlap and is retired."""
    model = Model(POLICY, {"k1"})
    seen = []
    for _ in range(3):
        while (step := model.run()) is not None:
            seen.append(f"{step.act} {step.key or ''}".strip())
        model.now += DAY
    assert seen == ["order", "probe k1", "promote k1", "retire k0"]
