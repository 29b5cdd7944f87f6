"""What one decision of the limiter costs, beside PING and two other limiters on the same Redis.

The section `limiter`, and a part of `admission`. Rounds of the contenders alternate, so that a
noisy machine is noisy for all; medians and best rounds are shown. The rate is high enough that
nothing is refused, except in the rows that say so. The others count a window from the grant and
know neither completion, leases, priorities nor rebuilding: the columns compare cost, not features.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from limits import RateLimitItemPerHour
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from pyrate_limiter import Limiter as PyrateLimiter
from pyrate_limiter import Rate as PyrateRate
from pyrate_limiter import RedisBucket

from benchmarks.report import Report, per_second, times
from benchmarks.scale import Scale
from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.redis.client import RedisClient, connect

PING = "PING"
PLENTY = 10_000_000
HOUR = 3600
Contender = Callable[[], int]
"""One decision; returns the permits it brought."""


def sisgate_contenders(redis: RedisClient) -> dict[str, Contender]:
    limiter = Limiter(redis)
    open_spec = LimitSpec((Rate(PLENTY, HOUR),), burst=PLENTY)
    two = LimitSpec((Rate(PLENTY, HOUR), Rate(PLENTY, 1)), burst=PLENTY, max_concurrency=PLENTY)
    full = LimitSpec((Rate(1000, HOUR),), burst=1000)
    for name, spec in {"open": open_spec, "two": two, "full": full}.items():
        limiter.rebuild(name, spec, [])
    limiter.take("full", full, Priority.URGENT, want=1000)

    def take_and_finish() -> int:
        grant = limiter.take("open", open_spec, Priority.LOW)
        limiter.finish("open", grant.permits[0])
        return 1

    return {
        "sisgate take": lambda: len(limiter.take("open", open_spec, Priority.LOW).permits),
        "sisgate take, 2 windows + concurrency": lambda: len(
            limiter.take("two", two, Priority.LOW).permits
        ),
        "sisgate take, refused": lambda: len(limiter.take("full", full, Priority.LOW).permits),
        "sisgate take + finish": take_and_finish,
        "sisgate take, 10 permits": lambda: len(
            limiter.take("open", open_spec, Priority.LOW, want=10).permits
        ),
    }


def other_contenders(redis: RedisClient, url: str) -> dict[str, Contender]:
    item = RateLimitItemPerHour(PLENTY)
    moving = MovingWindowRateLimiter(RedisStorage(url))
    bucket = RedisBucket.init([PyrateRate(PLENTY, HOUR * 1000)], redis, "pyrate")
    pyrate = PyrateLimiter(bucket)
    return {
        "limits, moving window": lambda: int(moving.hit(item, "p")),
        "pyrate-limiter, RedisBucket": lambda: int(bool(pyrate.try_acquire("p", blocking=False))),
    }


def one_round(contender: Contender, decisions: int) -> tuple[list[float], float]:
    """Return the seconds of each decision and the permits per second of the round."""
    times, permits = [], 0
    begun = time.perf_counter()
    for _ in range(decisions):
        start = time.perf_counter()
        permits += contender()
        times.append(time.perf_counter() - start)
    return times, permits / (time.perf_counter() - begun)


def run(scale: Scale) -> Report:
    """Measure what the section `limiter` is."""
    report = Report("limiter")
    measure(report, scale)
    return report


def measure(report: Report, scale: Scale) -> None:
    """Add the table of all contenders on one private Redis."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        redis = connect(server.url)
        contenders: dict[str, Contender] = {PING: lambda: int(bool(redis.ping())) * 0}
        contenders |= sisgate_contenders(redis) | other_contenders(redis, server.url)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(scale.decision_rounds):
            for name, contender in contenders.items():
                each, rate = one_round(contender, scale.decisions)
                seconds[name].append(statistics.median(each))
                rates[name].append(rate)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    rows = []
    for name, median in medians.items():
        rate, ratio = statistics.median(rates[name]), median / medians[PING]
        rows.append([name, f"{median * 1e6:.0f}", times(ratio), per_second(rate or None)])
        report.figures.setdefault("decisions", {})[name] = {
            "median_us": median * 1e6, "ratio_to_ping": ratio, "permits_per_second": rate,
        }  # fmt: skip
    report.add_table(
        f"One decision (median of {scale.decision_rounds} rounds of {scale.decisions})",
        ["contender", "median µs", "to PING", "permits/s"],
        rows,
    )
