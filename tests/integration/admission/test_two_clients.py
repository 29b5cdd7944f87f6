"""Many clients at once, on the clock of Redis: together they get what one would get."""

import threading

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.clock import SystemClock
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.redis.client import connect

SPEC = LimitSpec((Rate(100, 3600),), burst=100)


def test_clients_at_once_share_one_limit(redis_url: str) -> None:
    """Six clients of their own ask all at once: a hundred permits, all different, no more."""
    permits: list[str] = []
    gate = threading.Barrier(6)

    def work() -> None:
        with connect(redis_url) as client:
            limiter = Limiter(client)
            limiter.rebuild("p", SPEC, [])
            gate.wait(10)
            while grant := limiter.take("p", SPEC, Priority.URGENT, want=3):
                permits.extend(grant.permits)
                limiter.finish("p", grant.permits[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(permits) == len(set(permits)) == 100


def test_no_real_window_holds_more_than_the_limit(redis_url: str) -> None:
    """Two clients with a backlog for four real windows: the arrivals keep the limit."""
    spec = LimitSpec((Rate(20, 0.5),))
    clock = SystemClock()
    arrivals: list[float] = []
    end = clock.monotonic() + 2.0

    def work() -> None:
        with connect(redis_url) as client:
            limiter = Limiter(client)
            limiter.rebuild("p", spec, [])
            while clock.monotonic() < end:
                grant = limiter.take("p", spec, Priority.LOW)
                for permit in grant.permits:
                    arrivals.append(clock.monotonic())
                    limiter.finish("p", permit)
                clock.sleep(min(grant.wait_seconds, 0.05))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    times = sorted(arrivals)
    assert len(times) > 20
    assert all(later - first > 0.5 for first, later in zip(times, times[20:], strict=False))
