"""The judgement alone: from facts to a verdict, for facts that no test has thought of."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisgate.admission.state import REASONS, LimiterState, WindowState
from sisgate.breakers.spec import BreakerView, State
from sisgate.domain.links import Link
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.domain.states import JobState
from sisgate.liveness.obstacles import Cause, Obstacle
from sisgate.verdict.facts import (
    AppBacklog,
    ByHand,
    FleetFacts,
    Host,
    JobFacts,
    KeyStanding,
    MetError,
    ProviderFacts,
    RecentCall,
    TimedCall,
    Timing,
)
from sisgate.verdict.finding import Certainty, Severity, Verdict
from sisgate.verdict.jobs import held
from sisgate.verdict.judgement import judge_fleet, judge_job, judge_provider
from sisgate.verdict.unattended import FailedSync, HeldSync

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
FLEET = FleetFacts(NOW)
STATUSES = (200, 304, 400, 401, 403, 404, 408, 429, 500, 503, None)
APPS = ("portal", "reports", "lms")
PARTS = ("students", "GET", "POST", "")

ages = st.floats(0, 600)
calls = st.builds(
    RecentCall, st.sampled_from(APPS), st.sampled_from(STATUSES), ages, st.sampled_from(PARTS)
)
errors = st.builds(
    MetError,
    st.sampled_from(
        ["provider_unavailable", "provider_refused", "token_refused", "answer_invalid", "throttled"]
    ),
    st.just("The provider said something."),
    st.sampled_from(STATUSES),
    st.none() | ages,
    st.just("3f8a"),
    link=st.sampled_from(Link),
    tls=st.none() | st.just("expired"),
)
timed = st.lists(
    st.builds(
        TimedCall,
        st.floats(0, 100),
        st.floats(0, 100),
        st.sampled_from(PARTS),
        st.sampled_from(["https://a.test", "https://b.test"]),
    ),
    max_size=30,
)
breakers = st.builds(
    BreakerView,
    st.sampled_from(["https://a.test", "https://b.test"]),
    st.sampled_from(State),
    st.just(float("inf")) | st.floats(0, 100),
    *[st.integers(0, 30)] * 6,
    st.booleans(),
    st.none() | st.just(NOW),
    st.none(),
    st.none(),
)
keys = st.builds(
    KeyStanding,
    st.just("0c1d2e3f-key"),
    st.sampled_from(["primary", "secondary"]),
    st.none() | st.floats(-1e6, 1e6),
    st.none() | ages,
)
backlogs = st.lists(
    st.builds(
        AppBacklog,
        st.sampled_from(APPS),
        st.dictionaries(st.sampled_from([int(each) for each in Priority]), st.integers(1, 500)),
        ages,
    ),
    max_size=3,
)
hosts = st.lists(
    st.builds(Host, st.sampled_from("abc"), st.none() | ages, st.none() | ages), max_size=3
)


@st.composite
def limiters(draw: st.DrawFn) -> LimiterState:
    """What a limiter may know."""
    reasons = st.sampled_from(REASONS)
    return LimiterState(
        "clark", draw(st.booleans()),
        (WindowState(Rate(100, 3600.0), draw(st.integers(0, 100))),),
        draw(st.floats(0, 100)), 10, draw(st.integers(0, 9)), draw(st.floats(0.05, 1)),
        draw(st.just(0.0) | st.floats(0, 900)),
        draw(st.sampled_from(["", "answered 429", "answered 503"])),
        draw(st.none() | st.just(datetime.max.replace(tzinfo=UTC))), draw(st.booleans()),
        {p: draw(st.floats(0, 4000)) for p in Priority}, {p: draw(reasons) for p in Priority},
    )  # fmt: skip


facts = st.builds(
    ProviderFacts,
    name=st.just("clark"),
    host=st.sampled_from("abc"),
    configured=st.just((Rate(100, 3600.0),)),
    limiter=st.none() | limiters(),
    queued=st.dictionaries(st.sampled_from([0, 3, 6, 9]), st.integers(1, 50)),
    pause=st.none() | st.builds(ByHand, st.sampled_from([None, "ana"])),
    breakers=st.lists(breakers, max_size=2),
    recent=st.lists(calls, max_size=30).map(lambda c: sorted(c, key=lambda each: each.seconds_ago)),
    usage=st.dictionaries(st.sampled_from(APPS), st.integers(1, 100)),
    backlog=backlogs,
    met=st.lists(errors, max_size=5),
    timing=st.builds(Timing, timed, timed),
    keys=st.lists(keys, max_size=2),
    warn_before_seconds=st.just(86_400.0),
    failed_syncs=st.lists(
        st.builds(
            FailedSync, st.just("3f8a"), st.sampled_from(["students", "orgs"]),
            st.just("provider_refused"), st.none() | st.just(403),
        ),
        max_size=2,
    ),
    running_seconds=st.lists(st.floats(0, 1000), max_size=3),
    lost=st.integers(0, 2),
    obstacles=st.lists(
        st.builds(
            Obstacle, st.sampled_from(Cause), st.just("m"), st.just("R."), st.just("clark"),
            st.booleans(), st.booleans(),
        ),
        max_size=2,
    ),
)  # fmt: skip


def check(verdict: Verdict) -> None:
    """What holds of every verdict."""
    json.dumps(verdict.as_dict(), allow_nan=False)
    ranks = [(each.severity, each.certainty) for each in verdict.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert (verdict.standing == "well") is not bool(verdict.findings)
    if verdict.culprit is not None:
        assert verdict.culprit.certainty >= Certainty.LIKELY
        assert verdict.culprit.severity is max(each.severity for each in verdict.findings)
    else:
        assert verdict.is_unclear is bool(verdict.findings)
    for each in verdict.findings:
        assert not each.message.endswith(".")
        assert each.remedy.endswith(".")
        assert "None" not in each.message


@given(facts, hosts)
def test_every_verdict_is_whole(provider: ProviderFacts, seen: list[Host]) -> None:
    """JSON-ready, the worst and surest first, and a culprit only where the evidence is good."""
    fleet = FleetFacts(NOW, hosts=seen, ledger_seconds=0.01)
    check(judge_provider(provider, fleet))
    check(judge_fleet(FleetFacts(NOW, provider.obstacles, [provider], seen)))


@settings(max_examples=60)
@given(facts, st.sampled_from(JobState), st.none() | st.sampled_from(list(Cause)), st.data())
def test_every_job_has_a_verdict(
    provider: ProviderFacts, state: JobState, cause: Cause | None, data: st.DataObject
) -> None:
    """Whatever its state and its error."""
    codes = [
        "provider_refused",
        "job_expired",
        "provider_unavailable",
        "poison",
        "transform_failed",
    ]
    error: Mapping[str, object] = {
        "code": data.draw(st.sampled_from(codes)),
        "message": "It failed.",
        "status": data.draw(st.sampled_from(STATUSES)),
        "cause": cause.value if cause else None,
    }
    job = JobFacts(
        "3f8a", "clark", data.draw(st.sampled_from([None, "students"])), "portal",
        int(data.draw(st.sampled_from(Priority))), state, 30.0,
        error=error, retry_in_seconds=data.draw(st.none() | st.floats(0, 90)),
        running=data.draw(st.integers(0, 2)), lost=data.draw(st.integers(0, 2)),
        met=data.draw(st.none() | errors),
    )  # fmt: skip
    verdict = judge_job(job, provider, FLEET)
    check(verdict)
    if state is JobState.DONE:
        assert verdict.standing == "well"
    elif state.is_final:
        assert verdict.standing != "well"


def test_a_provider_without_a_trouble_is_well() -> None:
    """Good calls, a free limiter, closed breakers."""
    recent = [RecentCall("portal", 200, float(age)) for age in range(10)]
    verdict = judge_provider(ProviderFacts("clark", recent=recent), FLEET)
    assert verdict.standing == "well"
    assert verdict.summary == "clark: all is well."


def test_silence_of_one_provider_alone_is_not_blamed_on_it() -> None:
    """It may be our own network; when other hosts answer, it is not."""
    silent = [RecentCall("portal", None, float(age)) for age in range(6)]
    provider = ProviderFacts("clark", host="a", recent=silent)
    alone = judge_provider(provider, FleetFacts(NOW, hosts=[Host("a", None, 5.0)]))
    assert alone.is_unclear
    assert {each.cause for each in alone.findings} == {"provider_unreachable", "network_down"}
    others = [Host("a", None, 5.0), Host("b", 1.0)]
    beside = judge_provider(provider, FleetFacts(NOW, hosts=others)).culprit
    assert beside is not None
    assert beside.party.kind == "provider"
    all_silent = [Host("a", 60.0, 5.0), Host("b", 50.0, 4.0)]
    network = judge_provider(provider, FleetFacts(NOW, hosts=all_silent)).culprit
    assert network is not None
    assert (network.cause, network.party.kind) == ("network_down", "fleet")


def test_several_that_cannot_be_reached_at_once_are_told_of_together() -> None:
    """It points to our own network, or to a host that they share."""
    silent = [RecentCall("portal", None, float(age)) for age in range(6)]
    both = [ProviderFacts(name, host="a", recent=silent) for name in ("clark", "adams")]
    verdict = judge_fleet(FleetFacts(NOW, providers=both, hosts=[Host("a", 60.0, 5.0)]))
    assert verdict.findings[0].message == (
        "2 providers cannot be reached at once (clark and adams), and no other host has "
        "answered since: our own network does not let us out, or a, the host of all of them, is "
        "down"
    )
    causes = [each.cause for each in verdict.findings]
    assert causes == ["network_down", "provider_unreachable", "provider_unreachable"]
    alone = judge_provider(both[0], FleetFacts(NOW, hosts=[Host("a", 60.0, 5.0)]))
    assert "no other host has answered since" in alone.summary


def test_a_held_sync_says_once_what_would_be_deleted() -> None:
    """In the words of its note, which name no command."""
    note = "120 of 300 records would be deleted: absent."
    finding = held(HeldSync("3f8a1c2d", "students", note), "clark")
    assert finding.message == (
        "the sync of clark students is held: 120 of 300 records would be deleted: absent"
    )
    later = held(HeldSync("3f8a", "students", None, 4 * 86_400.0), "clark").message
    assert (
        later
        == "the sync of clark students is held for 4 d, because too many records would be deleted"
    )


def test_answers_before_the_failure_do_not_clear_the_network() -> None:
    """What another host answered before this one fell silent proves nothing."""
    silent = [RecentCall("portal", None, float(age)) for age in range(6)]
    provider = ProviderFacts("clark", host="a", recent=silent)
    seen = [Host("a", 90.0, 5.0), Host("b", 20.0)]
    assert judge_provider(provider, FleetFacts(NOW, hosts=seen)).is_unclear


def test_what_has_recovered_is_forgotten() -> None:
    """Three good answers since the last failure."""
    failed = [RecentCall("portal", 500, 100.0 + age) for age in range(10)]
    good = [RecentCall("portal", 200, float(age)) for age in range(3)]
    assert judge_provider(ProviderFacts("clark", recent=[*good, *failed]), FLEET).standing == "well"
    still = judge_provider(ProviderFacts("clark", recent=[*good[:2], *failed]), FLEET)
    assert still.culprit is not None
    assert still.culprit.cause == "provider_down"


def called(pattern: str, every: float = 5.0) -> list[RecentCall]:
    """Return calls, newest first: `+` was answered, `-` got no connection."""
    return [
        RecentCall("portal", 200, every * age)
        if each == "+"
        else RecentCall("portal", None, every * age, link=Link.CONNECTION)
        for age, each in enumerate(pattern, start=1)
    ]


def closed(seconds: float) -> BreakerView:
    """Return a breaker that closed so long ago."""
    return BreakerView(
        "https://a.test", State.CLOSED, 0.0, 2, 0, 1, 2, 0, 0, False, None, None, seconds
    )


@pytest.mark.parametrize("pattern", ["++-----+++++++++++++", "+-----"])
def test_an_outage_is_over_once_its_breaker_has_closed(pattern: str) -> None:
    """However few calls were answered since, and what the calls met that still wait."""
    met = [MetError("provider_unavailable", "No connection.", link=Link.CONNECTION)]
    facts = ProviderFacts(
        "clark", host="a", recent=called(pattern), met=met, breakers=[closed(4.0)]
    )
    assert judge_provider(facts, FLEET).standing == "well"
    fails = replace(facts, breakers=[replace(closed(0.0), state=State.OPEN, closed_seconds=None)])
    assert judge_provider(fails, FLEET).standing == "stopped"


def test_good_answers_before_an_outage_do_not_prolong_it() -> None:
    """Three since are enough, where no breaker has opened."""
    facts = ProviderFacts("clark", host="a", recent=called("+++----+++++++++++++"))
    assert judge_provider(facts, FLEET).standing == "well"


@pytest.mark.parametrize("pattern", ["+--+--+--+--+--+--+", "++-++-++-++-++-++-"])
def test_a_provider_that_answers_now_and_then_is_told_of(pattern: str) -> None:
    """Also after its breaker has closed, and in the past: its newest call was answered."""
    facts = ProviderFacts("clark", host="a", recent=called(pattern), breakers=[closed(4.0)])
    verdict = judge_provider(facts, FLEET)
    causes = [each.cause for each in verdict.findings]
    assert causes == ["provider_unreachable", "network_down"]
    failed, among = pattern.count("-"), len(pattern)
    assert f"clark could not be reached by {failed} of the last {among} calls" in verdict.summary
    assert "cannot" not in verdict.summary
    assert "does not" not in verdict.summary


def test_one_of_many_providers_does_not_stop_the_fleet() -> None:
    """Its trouble comes first all the same."""
    down = ProviderFacts("clark", recent=[RecentCall("portal", 500, 1.0)] * 5)
    verdict = judge_fleet(FleetFacts(NOW, providers=[ProviderFacts("adams"), down]))
    assert verdict.standing == "degraded"
    assert verdict.culprit is not None
    assert verdict.culprit.provider == "clark"
    alone = judge_fleet(FleetFacts(NOW, providers=[down]))
    assert alone.findings[0].severity is Severity.STOPS
