"""The search section: finding jobs among a million, by every qualifier of the filter and together.

On both databases, as the console and `/v1` search: a page of 50, the newest first; pages far behind
by cursor; the beginning of an id; counts before a bulk action. An index costs at each call, so the
price of a call (`price`) is the other side of this.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.report import Report, tell
from benchmarks.scale import Scale
from sisgate import Gateway
from sisgate.ledger import migrate
from testbed.installation import install
from testbed.large_ledger import fill
from testbed.ledgers import ENGINES, ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer

PROVIDERS = 300
ROUNDS = 7
SIZE = 51
TARGET_MS = 300

QUERIES = (
    "", "state:done", "state:failed", "state:accepted state:running", "state:unknown",
    "state:cancelled state:expired", "is:dead", "is:unretried", "provider:p7", "provider:p299",
    "provider:nothing", "resource:students", "resource:nothing", "app:app7", "app:nothing",
    "kind:sync", "kind:request", "priority:urgent", "error:provider_refused", "error:nothing",
    "since:1h", "since:29d", "until:29d", "until:15d",
    "state:failed provider:p299", "state:done provider:p299 resource:students",
    "provider:p299 priority:urgent kind:request", "provider:p7 since:1h", "provider:p7 until:29d",
    "is:dead provider:p299", "is:dead app:app7 error:provider_refused", "is:dead until:25d",
    "app:app7 resource:students state:done", "app:app7 state:failed until:20d",
    "app:nothing since:7d", "kind:request priority:low until:10d", "app:app7 provider:p299",
    "error:deadline_exceeded until:20d", "error:nothing provider:p7",
    "state:done until:29d", "resource:students app:nothing",
)  # fmt: skip
"""What people write; `nothing` matches no job, so that all that could match must be ruled out."""

_CONFIG = (
    '[providers.p{0}]\nkind = "oneroster"\nauth = "none"\n'
    '[[providers.p{0}.endpoints]]\nurl = "https://p{0}.example"\n'
)


def run(scale: Scale) -> Report:
    """Measure on both databases."""
    report = Report("search")
    with ExitStack() as exits:
        redis, postgres = RedisServer(), PostgresServer()
        exits.callback(redis.stop)
        exits.callback(postgres.stop)
        for engine in ENGINES:
            with ledger_of(postgres, engine) as (folder, url):
                text = "".join(map(_CONFIG.format, range(PROVIDERS)))
                gateway = Gateway(install(folder, text, redis_url=redis.url, database_url=url))
                migrate.upgrade(gateway.context.database)
                tell(f"{engine}: {scale.ledger_jobs:,} jobs are written")
                fill(gateway.context.database, jobs=scale.ledger_jobs, providers=PROVIDERS)
                tell(f"{engine}: searches")
                _show(report, engine, scale.ledger_jobs, of_searches(gateway))
                gateway.close()
    return report


def of_searches(gateway: Gateway) -> dict[str, list[float]]:
    """Return the times in ms of each kind of search."""
    jobs = gateway.jobs
    found = {query or "(all)": _times(partial(jobs.search, query, limit=SIZE)) for query in QUERIES}
    for query in ("", "state:done", "provider:p7", "app:app7", "is:dead"):
        found[f"{query or '(all)'}, page after page"] = _paged(gateway, query)
    some = jobs.search("until:10d", limit=1)[0].id
    for length in (4, 8, 36):
        found[f"an id's first {length}"] = _times(partial(jobs.search, some[:length], limit=SIZE))
    found["an id's first 8, to its page"] = _times(partial(jobs.find, some[:8]))
    for query in ("state:failed", "app:nothing", "", "error:nothing", "provider:p299"):
        found[f"count of {query or '(all)'}"] = _times(partial(jobs.review_bulk, "retry", query))
    found["dead letters"] = _times(partial(jobs.dead, limit=SIZE))
    found["held syncs"] = _times(jobs.held)
    return found


def _times(search: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        search()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def _paged(gateway: Gateway, query: str, pages: int = 25) -> list[float]:
    """Return the times of pages one behind the other, by cursor."""
    times, after = [], None
    for _ in range(pages):
        begun = time.perf_counter()
        page = gateway.jobs.search(query, after=after, limit=SIZE)
        times.append((time.perf_counter() - begun) * 1000)
        if len(page) < SIZE:
            break
        after = page[-1].cursor
    return times


def percentile(times: list[float], share: float) -> float:
    """Return the time that a share of them does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def _show(report: Report, engine: str, jobs: int, found: Mapping[str, list[float]]) -> None:
    every = [each for times in found.values() for each in times]
    slowest = sorted(found.items(), key=lambda item: -percentile(item[1], 0.5))
    rows = [
        [
            "all",
            f"{percentile(every, 0.5):,.1f}",
            f"{percentile(every, 0.95):,.1f}",
            f"{max(every):,.1f}",
        ]
    ]
    rows += [
        [
            name,
            f"{percentile(times, 0.5):,.1f}",
            f"{percentile(times, 0.95):,.1f}",
            f"{max(times):,.1f}",
        ]
        for name, times in slowest
    ]
    report.figures[engine] = {name: percentile(times, 0.95) for name, times in found.items()} | {
        "p95": percentile(every, 0.95)
    }
    report.add_table(
        f"{engine}, {jobs:,} jobs: p95 at most {TARGET_MS} ms",
        ["search", "p50 ms", "p95 ms", "longest"],
        rows,
    )
