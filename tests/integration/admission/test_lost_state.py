"""Redis was emptied: nothing is granted until the ledger has told what was called."""

import threading
from datetime import timedelta

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.admission.state import LedgerCall
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import UNKNOWN_LIMITS
from testbed.clock import ManualClock

URGENT = Priority.URGENT
SPEC = LimitSpec((Rate(10, 10),), burst=10, lease_seconds=30)


def calls_of(clock: ManualClock, done: int, running: int) -> list[LedgerCall]:
    """Return what the ledger has: calls done a second ago, and calls with 20 s of lease left."""
    now = clock.now()
    before, lease = now - timedelta(seconds=1), now + timedelta(seconds=20)
    return [LedgerCall(before, before, lease)] * done + [LedgerCall(before, None, lease)] * running


def test_unknown_until_rebuilt(limiter: Limiter, redis: RedisClient, clock: ManualClock) -> None:
    """Missing state is not a full quota. The ledger's calls count as if nothing had happened."""
    assert limiter.take("p", SPEC, URGENT).reason == "unknown"
    assert limiter.rebuild("p", SPEC, [])
    assert limiter.take("p", SPEC, URGENT)
    redis.flushall()
    assert limiter.take("p", SPEC, URGENT).reason == "unknown"
    assert not limiter.state("p", SPEC).known
    assert limiter.rebuild("p", SPEC, calls_of(clock, done=4, running=3))
    assert len(limiter.take("p", SPEC, URGENT, want=20).permits) == 3


def test_calls_that_ran_count_until_a_period_after_their_lease(
    limiter: Limiter, clock: ManualClock
) -> None:
    """A rebuilt running call may be a dead one: it counts, in flight too, to its lease."""
    limiter.rebuild("p", SPEC, calls_of(clock, done=0, running=10))
    assert limiter.state("p", SPEC).in_flight == 10
    clock.advance(29.9)
    assert limiter.take("p", SPEC, URGENT).reason == "window"
    clock.advance(0.2)
    assert limiter.take("p", SPEC, URGENT)


def test_only_one_of_many_rebuilders_counts(redis: RedisClient, clock: ManualClock) -> None:
    """Eight race with the same ledger: the calls count once."""
    limiter = Limiter(redis, script_clock=clock)
    ledger = calls_of(clock, done=4, running=2)
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda: won.append(limiter.rebuild("p", SPEC, ledger)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1
    assert limiter.state("p", SPEC).windows[0].used == 6


def test_a_late_rebuild_neither_adds_nor_removes(limiter: Limiter, clock: ManualClock) -> None:
    """What was granted after the first rebuild stays counted."""
    limiter.rebuild("p", SPEC, calls_of(clock, done=2, running=0))
    limiter.take("p", SPEC, URGENT, want=3)
    assert not limiter.rebuild("p", SPEC, [])
    assert not limiter.rebuild("p", SPEC, calls_of(clock, done=9, running=9))
    assert limiter.state("p", SPEC).windows[0].used == 5


def test_permits_of_a_former_epoch_finish_the_calls_that_the_ledger_told_of(
    limiter: Limiter, redis: RedisClient, clock: ManualClock
) -> None:
    """A running call that is known by its permit ends as ever, and is not counted twice."""
    limiter.rebuild("p", SPEC, [])
    permits = limiter.take("p", SPEC, URGENT, want=2).permits
    now, lease = clock.now(), clock.now() + timedelta(seconds=30)
    redis.flushall()
    clock.advance(1)
    limiter.finish("p", permits[0])  # nothing is known yet: the ledger will tell
    ledger = [LedgerCall(now, clock.now(), lease, permits[0])]
    limiter.rebuild("p", SPEC, [*ledger, LedgerCall(now, None, lease, permits[1])])
    for _ in range(2):
        limiter.finish("p", permits[0])
        limiter.finish("p", permits[1])
    state = limiter.state("p", SPEC)
    assert (state.windows[0].used, state.in_flight) == (2, 0)
    clock.advance(10.1)
    assert limiter.state("p", SPEC).windows[0].used == 0


def test_a_permit_that_the_ledger_did_not_tell_of_counts_when_it_is_finished(
    limiter: Limiter, redis: RedisClient, clock: ManualClock
) -> None:
    """Finishing it twice counts it once; handing back what is not known does nothing."""
    limiter.rebuild("p", SPEC, [])
    unknown, unused = limiter.take("p", SPEC, URGENT, want=2).permits
    redis.flushall()
    clock.advance(1)
    limiter.rebuild("p", SPEC, [])
    limiter.finish("p", unknown)
    limiter.finish("p", unknown)
    limiter.hand_back("p", unused)
    assert limiter.state("p", SPEC).windows[0].used == 1


def test_a_skewed_clock_of_the_ledger_does_not_shorten_the_count(redis: RedisClient) -> None:
    """Only differences of the ledger's clock are used, so an hour of skew changes nothing."""
    ledger_clock = ManualClock()
    redis_clock = ManualClock(ledger_clock.now() + timedelta(hours=1))
    limiter = Limiter(redis, clock=ledger_clock, script_clock=redis_clock)
    limiter.rebuild("p", SPEC, calls_of(ledger_clock, done=7, running=0))
    assert limiter.state("p", SPEC).windows[0].used == 7


def test_a_rebuild_for_an_earlier_loss_does_nothing(
    limiter: Limiter, redis: RedisClient, clock: ManualClock
) -> None:
    """Who read the ledger, was frozen, and goes on after a second loss knows too few calls."""
    redis.hset(UNKNOWN_LIMITS(), "p", "1.5")
    read_by_the_frozen = calls_of(clock, done=1, running=0)
    assert limiter.rebuild("p", SPEC, read_by_the_frozen, "1.5")
    assert not redis.hexists(UNKNOWN_LIMITS(), "p")
    limiter.take("p", SPEC, URGENT, want=5)
    redis.flushall()
    assert not limiter.rebuild("p", SPEC, read_by_the_frozen, "1.5")
    redis.hset(UNKNOWN_LIMITS(), "p", "9.5")
    assert not limiter.rebuild("p", SPEC, read_by_the_frozen, "1.5")
    assert limiter.rebuild("p", SPEC, calls_of(clock, done=6, running=0), "9.5")
    assert limiter.state("p", SPEC).windows[0].used == 6
