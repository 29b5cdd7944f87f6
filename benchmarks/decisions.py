"""The limiter's section: what one decision costs, beside PING and two other limiters.

The contenders and what they show are described in `benchmarks.limiter`.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from redis import Redis

from benchmarks.limiter import Contender, one_round, other_contenders, sisgate_contenders
from benchmarks.report import Report, per_second, times
from benchmarks.scale import Scale
from sisgate.embedded.redis_server import EmbeddedRedis

PING = "PING"


def run(scale: Scale) -> Report:
    """Measure all contenders on one private Redis."""
    report = Report("limiter")
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        redis = Redis.from_url(server.url)
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
        report.figures[name] = {
            "median_us": median * 1e6, "ratio_to_ping": ratio, "permits_per_second": rate,
        }  # fmt: skip
    report.add_table(
        f"One decision (median of {scale.decision_rounds} rounds of {scale.decisions})",
        ["contender", "median µs", "to PING", "permits/s"],
        rows,
    )
    return report
