"""What every strategy promises, and what each is for."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.routing.strategies import (
    STRATEGIES,
    Availability,
    Candidate,
    Snapshot,
    Strategy,
    smooth_order,
)

every_strategy = pytest.mark.parametrize("name", list(STRATEGIES))

candidates = st.lists(
    st.builds(
        Candidate,
        url=st.text("abcdefgh", min_size=1, max_size=4),
        weight=st.integers(1, 20),
        availability=st.sampled_from(Availability),
        ejected=st.booleans(),
        in_flight=st.integers(0, 50),
        latency_seconds=st.none() | st.floats(0, 60),
        ramp_up=st.floats(0.1, 1),
    ),
    max_size=6,
    unique_by=lambda c: c.url,
).map(tuple)


def spread(strategy: Strategy, endpoints: list[Candidate], choices: int) -> Counter[str]:
    """Return how often each endpoint is chosen in so many turns."""
    rng, chosen = random.Random(7), Counter[str]()
    for turn in range(choices):
        choice = strategy(Snapshot(tuple(endpoints), turn), rng)
        assert choice is not None
        chosen[choice.url] += 1
    return chosen


def loaded(strategy: Strategy, endpoints: list[Candidate], choices: int) -> Counter[str]:
    """Return the same where each choice leaves one more call running."""
    rng, running = random.Random(7), Counter[str]()
    for turn in range(choices):
        now = tuple(replace(c, in_flight=running[c.url]) for c in endpoints)
        choice = strategy(Snapshot(now, turn), rng)
        assert choice is not None
        running[choice.url] += 1
    return running


@every_strategy
@given(candidates=candidates, turn=st.integers(0, 1_000_000), seed=st.integers())
def test_only_endpoints_that_may_be_called_are_chosen(
    name: str, candidates: tuple[Candidate, ...], turn: int, seed: int
) -> None:
    """Never a shut one, an ejected one only where all are, and None only where all are shut."""
    snapshot = Snapshot(candidates, turn)
    choice = STRATEGIES[name](snapshot, random.Random(seed))
    through = [c for c in candidates if c.availability is Availability.OPEN_TO_ALL]
    well = [c for c in through if not c.ejected]
    assert choice in (well or through) if through else choice is None


@every_strategy
@given(candidates=candidates, turn=st.integers(0, 1_000_000), seed=st.integers())
def test_the_same_snapshot_and_seed_give_the_same_choice(
    name: str, candidates: tuple[Candidate, ...], turn: int, seed: int
) -> None:
    """So a choice can be replayed."""
    snapshot = Snapshot(candidates, turn)
    strategy = STRATEGIES[name]
    assert strategy(snapshot, random.Random(seed)) == strategy(snapshot, random.Random(seed))


@every_strategy
def test_a_single_endpoint_is_always_chosen(name: str) -> None:
    """Whatever its load."""
    only = Candidate("a", weight=7, in_flight=99, latency_seconds=30.0, ramp_up=0.1)
    assert spread(STRATEGIES[name], [only], 50) == {"a": 50}


@every_strategy
def test_without_endpoints_there_is_no_choice(name: str) -> None:
    """Neither with none configured nor with all shut."""
    rng = random.Random(7)
    assert STRATEGIES[name](Snapshot(()), rng) is None
    shut = tuple(Candidate(url, availability=Availability.SHUT) for url in "ab")
    assert STRATEGIES[name](Snapshot(shut), rng) is None


@every_strategy
def test_equal_endpoints_share_alike(name: str) -> None:
    """Within four standard deviations of an even draw, at most."""
    chosen = spread(STRATEGIES[name], [Candidate(url) for url in "abcd"], 4000)
    assert all(abs(chosen[url] - 1000) < 4 * (4000 * 0.25 * 0.75) ** 0.5 for url in "abcd")


@pytest.mark.parametrize("name", ["weighted", "least_connections"])
def test_weights_are_honoured_exactly_over_a_round(name: str) -> None:
    """Five to one to one."""
    endpoints = [Candidate("a", weight=5), Candidate("b"), Candidate("c")]
    assert spread(STRATEGIES[name], endpoints, 70) == {"a": 50, "b": 10, "c": 10}


def test_running_calls_stand_in_proportion_to_the_weights() -> None:
    """Where calls never end the least loaded gets the next, for its weight."""
    endpoints = [Candidate("a", weight=3), Candidate("b")]
    running = loaded(STRATEGIES["least_connections"], endpoints, 400)
    assert running == {"a": 300, "b": 100}


def test_latency_aware_prefers_the_faster_and_the_heavier() -> None:
    """By far, when one is slow; by the weights among equals."""
    strategy = STRATEGIES["latency_aware"]
    slow_one = [Candidate("a", latency_seconds=5.0)] + [
        Candidate(url, latency_seconds=0.1) for url in "bcd"
    ]
    assert spread(strategy, slow_one, 1000)["a"] == 0
    heavy = [Candidate("a", weight=6), *(Candidate(url) for url in "bcd")]
    chosen = spread(strategy, heavy, 3000)
    assert chosen["a"] > 2 * max(chosen[url] for url in "bcd")


def test_latency_aware_spreads_a_herd() -> None:
    """The fastest does not get everything while its calls pile up."""
    endpoints = [Candidate("a", latency_seconds=0.1), Candidate("b", latency_seconds=0.3)]
    running = loaded(STRATEGIES["latency_aware"], endpoints, 400)
    assert running["a"] == pytest.approx(300, abs=3)


def test_an_unknown_endpoint_is_tried_with_one_call_at_a_time() -> None:
    """It may be the fastest, or broken."""
    rng = random.Random(7)
    known = Candidate("a", latency_seconds=0.2, in_flight=3)
    strategy = STRATEGIES["latency_aware"]
    assert strategy(Snapshot((known, Candidate("b"))), rng) == Candidate("b")
    assert strategy(Snapshot((known, Candidate("b", in_flight=1))), rng) == known


@every_strategy
def test_an_endpoint_that_comes_back_is_warmed_up(name: str) -> None:
    """It gets fewer calls than its equal, and some."""
    endpoints = [Candidate("a"), Candidate("b", ramp_up=0.1), Candidate("c"), Candidate("d")]
    chosen = spread(STRATEGIES[name], endpoints, 2000)
    assert 0 < chosen["b"] < 0.7 * min(chosen["a"], chosen["c"], chosen["d"])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6).map(tuple))
def test_smooth_order_gives_each_its_weight_and_no_runs(weights: tuple[int, ...]) -> None:
    """One round has each endpoint as often as its weight; in any prefix nobody is ahead by one."""
    order, total = smooth_order(weights), sum(weights)
    assert Counter(order) == Counter(dict(enumerate(weights)))
    for length in range(1, total + 1):
        had = Counter(order[:length])
        bound = len(weights)
        assert all(abs(had[i] - length * w / total) < bound for i, w in enumerate(weights))


def test_who_was_tried_is_not_chosen_again() -> None:
    """For failover: the rest of the snapshot."""
    snapshot = Snapshot((Candidate("a", weight=9), Candidate("b")), turn=3)
    choice = STRATEGIES["weighted"](snapshot.without({"a"}), random.Random(7))
    assert choice == Candidate("b")
