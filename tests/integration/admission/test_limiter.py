"""What the limiter grants, refuses and tells."""

from datetime import UTC, datetime, time, timedelta

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import ConcurrencySchedule, ConcurrencyWindow, LimitSpec
from sisgate.admission.state import LedgerCall
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient
from testbed.clock import ManualClock

URGENT, HIGH, NORMAL, LOW = Priority
TEN = LimitSpec((Rate(10, 10),), burst=10)
HOURLY = LimitSpec((Rate(1000, 3600),), burst=1000)


def started(limiter: Limiter, spec: LimitSpec, provider: str = "p") -> Limiter:
    """Return the limiter after the first start of a provider."""
    assert limiter.rebuild(provider, spec, [])
    return limiter


def test_the_window_is_a_hard_cap(limiter: Limiter, clock: ManualClock) -> None:
    """Ten permits and no eleventh, until a period after the completion of the first."""
    started(limiter, TEN)
    grant = limiter.take("p", TEN, URGENT, want=25)
    assert len(grant.permits) == 10
    clock.advance(3)
    for permit in grant.permits:
        limiter.finish("p", permit)
    refused = limiter.take("p", TEN, URGENT)
    assert (refused.permits, refused.reason) == ((), "window")
    assert refused.wait_seconds == pytest.approx(10, abs=1e-5)
    clock.advance(refused.wait_seconds - 0.001)
    assert not limiter.take("p", TEN, URGENT)
    clock.advance(0.001)
    assert limiter.take("p", TEN, URGENT, want=25)


def test_all_windows_hold_at_once(limiter: Limiter, clock: ManualClock) -> None:
    """A short window beside a long one stops a burst that the long one would allow."""
    spec = LimitSpec((Rate(100, 3600), Rate(3, 1)), burst=100)
    started(limiter, spec)
    assert len(limiter.take("p", spec, URGENT, want=10).permits) == 3
    state = limiter.state("p", spec)
    assert [w.left for w in state.windows] == [97, 0]


def test_a_permit_never_finished_counts_until_a_period_after_its_lease(
    limiter: Limiter, clock: ManualClock
) -> None:
    """A crash is taken to have made its call at the last moment."""
    spec = LimitSpec((Rate(1, 10),), lease_seconds=30)
    started(limiter, spec)
    assert limiter.take("p", spec, URGENT)
    clock.advance(39.9)
    assert not limiter.take("p", spec, URGENT)
    clock.advance(0.2)
    assert limiter.take("p", spec, URGENT)


def test_a_permit_handed_back_was_never_there(limiter: Limiter, clock: ManualClock) -> None:
    """Its slot and its token return at once; handing back twice returns them once."""
    started(limiter, TEN)
    grant = limiter.take("p", TEN, URGENT, want=10)
    limiter.hand_back("p", grant.permits[0])
    limiter.hand_back("p", grant.permits[0])
    assert len(limiter.take("p", TEN, URGENT, want=10).permits) == 1


def test_a_finished_permit_cannot_be_handed_back(limiter: Limiter) -> None:
    """The call was made: it counts. Finishing again changes nothing either."""
    started(limiter, TEN)
    permit = limiter.take("p", TEN, URGENT, want=10).permits[0]
    limiter.finish("p", permit)
    limiter.finish("p", permit)
    limiter.hand_back("p", permit)
    assert limiter.state("p", TEN).windows[0].used == 10


def test_the_bucket_shapes_what_the_window_allows(limiter: Limiter, clock: ManualClock) -> None:
    """A burst at full speed, then the pace of the limit."""
    spec = LimitSpec((Rate(60, 60),), burst=5)
    started(limiter, spec)
    assert len(limiter.take("p", spec, URGENT, want=10).permits) == 5
    refused = limiter.take("p", spec, URGENT)
    assert refused.reason == "bucket"
    assert refused.wait_seconds == pytest.approx(1, abs=1e-4)
    clock.advance(refused.wait_seconds)
    assert limiter.take("p", spec, URGENT)


def test_min_interval_spaces_grants(limiter: Limiter, clock: ManualClock) -> None:
    """One permit at a time, and the next one after the interval."""
    spec = LimitSpec((), min_interval_seconds=2)
    started(limiter, spec)
    assert limiter.take("p", spec, URGENT).reason == "interval"  # a grant may have been lost
    clock.advance(2)
    assert len(limiter.take("p", spec, URGENT, want=5).permits) == 1
    refused = limiter.take("p", spec, URGENT)
    assert (refused.reason, refused.wait_seconds) == ("interval", 2.0)
    clock.advance(2)
    assert limiter.take("p", spec, URGENT)


def test_concurrency_is_counted_by_lease(limiter: Limiter, clock: ManualClock) -> None:
    """Two at once; a finished call makes room, and so does a lease that ended."""
    spec = LimitSpec((), max_concurrency=2, lease_seconds=30)
    started(limiter, spec)
    first, _ = limiter.take("p", spec, URGENT, want=5).permits
    assert limiter.take("p", spec, URGENT).reason == "concurrency"
    limiter.finish("p", first)
    assert limiter.take("p", spec, URGENT)
    assert limiter.state("p", spec).in_flight == 2
    clock.advance(30)
    assert len(limiter.take("p", spec, URGENT, want=5).permits) == 2


def test_concurrency_follows_the_schedule(limiter: Limiter, clock: ManualClock) -> None:
    """The number valid now is what the limiter holds to."""
    school = ConcurrencySchedule("UTC", (ConcurrencyWindow(time(9), time(17), 1),), otherwise=5)
    spec = LimitSpec((), schedule=school)
    started(limiter, spec)
    assert len(limiter.take("p", spec, URGENT, want=9).permits) == 5  # 08:00 on a Tuesday
    clock.advance(2 * 3600)
    assert len(limiter.take("p", spec, URGENT, want=9).permits) == 1


def test_reserves_keep_the_last_tokens_for_higher_priorities(limiter: Limiter) -> None:
    """Low stops at a tenth of the bucket, normal at a twentieth, high at a fiftieth."""
    spec = LimitSpec((Rate(100_000, 3600),), burst=100)
    started(limiter, spec)
    assert len(limiter.take("p", spec, LOW, want=200).permits) == 90
    assert len(limiter.take("p", spec, NORMAL, want=200).permits) == 5
    assert len(limiter.take("p", spec, HIGH, want=200).permits) == 3
    assert len(limiter.take("p", spec, URGENT, want=200).permits) == 2


def test_low_work_alone_leaves_only_the_standing_part_of_a_window(limiter: Limiter) -> None:
    """What never was asked for is not kept idle: 3 of 1000."""
    spec = LimitSpec(HOURLY.windows, burst=1000, reserves={LOW: 0.1})
    started(limiter, spec)
    for _ in range(2):
        limiter.take("p", spec, LOW, want=1000)
        limiter._redis.hset("sisgate:1:limit:{p}:state", "tokens", 1000)
    assert limiter.take("p", spec, LOW).reason == "reserve"
    assert len(limiter.take("p", spec, URGENT, want=10).permits) == 3


def test_low_work_leaves_a_window_what_urgent_took_lately(
    limiter: Limiter, clock: ManualClock
) -> None:
    """After fifty urgent calls low leaves room for fifty more; a day later it no longer does."""
    spec = LimitSpec(HOURLY.windows, burst=1000, reserves={LOW: 0.1, URGENT: 0.0})
    started(limiter, spec)
    for permit in limiter.take("p", spec, URGENT, want=50).permits:
        limiter.finish("p", permit)
    limiter.take("p", spec, LOW, want=850)
    limiter._redis.hset("sisgate:1:limit:{p}:state", "tokens", 1000)
    assert len(limiter.take("p", spec, LOW, want=100).permits) == 50
    assert limiter.state("p", spec).windows[0].left == 50
    assert limiter.take("p", spec, LOW).reason == "reserve"
    clock.advance(86400)
    limiter.take("p", spec, LOW, want=900)
    limiter._redis.hset("sisgate:1:limit:{p}:state", "tokens", 1000)
    assert len(limiter.take("p", spec, LOW, want=100).permits) == 97


def test_a_block_holds_everything_and_the_longer_one_stays(
    limiter: Limiter, clock: ManualClock
) -> None:
    """Retry-After counts for every priority, is capped at an hour, and is never cut short."""
    started(limiter, TEN)
    limiter.block("p", 60, "429")
    limiter.block("p", 5, "503")
    refused = limiter.take("p", TEN, URGENT)
    assert (refused.reason, refused.wait_seconds) == ("blocked", 60.0)
    assert limiter.state("p", TEN).block_reason == "429"
    limiter.block("p", 1e9)
    assert limiter.state("p", TEN).blocked_seconds == 3600
    limiter.unblock("p")
    assert limiter.take("p", TEN, URGENT)


def test_a_pause_ends_by_itself_or_by_resume(limiter: Limiter, clock: ManualClock) -> None:
    """A pause has a time or none; the state tells which."""
    started(limiter, TEN)
    limiter.pause("p", clock.now() + timedelta(seconds=30))
    assert limiter.take("p", TEN, URGENT).wait_seconds == 30
    assert limiter.state("p", TEN).paused_until == clock.now() + timedelta(seconds=30)
    clock.advance(30)
    assert limiter.take("p", TEN, URGENT)
    limiter.pause("p")
    assert limiter.take("p", TEN, URGENT).reason == "paused"
    assert limiter.state("p", TEN).paused_until == datetime.max.replace(tzinfo=UTC)
    limiter.resume("p")
    assert limiter.state("p", TEN).paused_until is None
    assert limiter.take("p", TEN, URGENT)


def test_of_many_decisions_on_one_factor_the_first_counts(limiter: Limiter) -> None:
    """Calls refused together lower the pace once; the factor keeps to its floor."""
    started(limiter, TEN)
    assert limiter.take("p", TEN, URGENT).factor == 1.0
    assert limiter.set_factor("p", 0.5, was=1.0)
    assert not limiter.set_factor("p", 0.5, was=1.0)
    assert limiter.take("p", TEN, URGENT).factor == 0.5
    assert limiter.set_factor("p", 0.0)
    assert limiter.state("p", TEN).factor == 0.05


def test_an_override_holds_for_all_from_the_next_take(limiter: Limiter, redis: RedisClient) -> None:
    """Another worker's limiter sees new limits at once, without being told."""
    started(limiter, TEN)
    other = Limiter(redis, script_clock=limiter._script_clock)
    other.set_limits("p", [Rate(2, 10)])
    assert len(limiter.take("p", TEN, URGENT, want=9).permits) == 2
    assert limiter.state("p", TEN).overridden
    limiter.set_limits("p", None)
    assert limiter.state("p", TEN).windows[0].left == 8


def test_a_longer_period_asks_the_ledger_for_what_was_forgotten(
    limiter: Limiter, clock: ManualClock
) -> None:
    """Calls older than the old period count in the new one; the younger ones not twice."""
    started(limiter, TEN)
    calls = []
    for _ in range(5):
        permit = limiter.take("p", TEN, URGENT).permits[0]
        limiter.finish("p", permit)
        now = clock.now()
        calls.append(LedgerCall(now, now, now + timedelta(seconds=60)))
        clock.advance(100)
    day = LimitSpec((Rate(100, 86400),), burst=100)
    limiter.set_limits("p", day.windows)
    assert limiter.take("p", TEN, URGENT).reason == "unknown"
    assert limiter.rebuild("p", TEN, calls)
    assert limiter.state("p", TEN).windows[0].used == 5
    assert limiter.take("p", TEN, URGENT)


def test_the_state_tells_when_each_priority_may_go_next(limiter: Limiter) -> None:
    """Looking changes nothing."""
    spec = LimitSpec((Rate(3600, 3600),), burst=10)
    started(limiter, spec)
    limiter.take("p", spec, LOW, want=9)
    before = limiter.state("p", spec)
    assert before.next_permit_in_seconds[URGENT] == 0
    assert before.next_permit_in_seconds[LOW] == pytest.approx(1, abs=1e-4)
    assert (before.waiting_for[URGENT], before.waiting_for[LOW]) == ("granted", "bucket")
    assert limiter.state("p", spec) == before


def test_many_permits_of_old_are_forgotten(limiter: Limiter, clock: ManualClock) -> None:
    """Memory is bounded by what the longest window can hold."""
    spec = LimitSpec((Rate(500, 10),), burst=500)
    started(limiter, spec)
    for _ in range(5):
        for permit in limiter.take("p", spec, URGENT, want=500).permits:
            limiter.finish("p", permit)
        for _ in range(5):
            clock.advance(4)
            limiter.take("p", spec, URGENT)
    assert limiter._redis.zcard("sisgate:1:limit:{p}:calls") < 600


def test_redis_time_is_the_clock(redis: RedisClient) -> None:
    """Without a test clock the scripts read the time of Redis, not the worker's."""
    limiter = started(Limiter(redis, clock=ManualClock(datetime(1999, 1, 1, tzinfo=UTC))), TEN)
    assert len(limiter.take("p", TEN, URGENT, want=25).permits) == 10
    assert 9 < limiter.take("p", TEN, URGENT).wait_seconds <= 10.001


def test_an_unreachable_redis_is_a_broker_unavailable(limiter: Limiter) -> None:
    """Nothing is granted and the caller can tell that it may try again."""
    no_retry = Retry(NoBackoff(), 0)
    gone = Limiter(RedisClient(unix_socket_path="/nonexistent/redis.sock", retry=no_retry))
    with pytest.raises(BrokerUnavailable):
        gone.take("p", TEN, URGENT)
    with pytest.raises(BrokerUnavailable):
        gone.finish("p", "1-1")
