"""The console section: the first paint of each page in a real Chromium, and many open consoles.

Twice: on little data with SQLite, as the demo is, and with 10,000 providers and a million jobs and
calls on PostgreSQL. The service is started as `sisgate serve` does. Then 50 consoles, each on a
page of its own, follow what changes.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.metrics import fleet_of, leave_work
from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate import Gateway
from sisgate.console.live import MOST_STREAMS
from testbed.heartbeats import be_heard
from testbed.installation import variables_of
from testbed.large_ledger import fill
from testbed.ledgers import ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer

FIND = Path(__file__).parents[1] / ".ci" / "find-chromium"
CONSOLES = 50
FOLLOW_SECONDS = 30
ROUNDS = 3
COOKIE = "sisgate_session"

PAINTED = """() => new Promise((resolve) => {
  const look = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const [way] = performance.getEntriesByType("navigation");
    if (!paint) { return setTimeout(look, 20); }
    resolve([paint.startTime, way.responseStart - way.requestStart, way.transferSize]);
  };
  look();
})"""
"""Milliseconds to the first paint of content, and to the first byte; and the size in bytes."""


@dataclass(frozen=True)
class Ground:
    """A running service, and a gateway on the same ledger."""

    gateway: Gateway
    url: str
    service: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the processor time of the service so far."""
        times = self.service.cpu_times()
        return float(times.user + times.system)


def run(scale: Scale) -> Report:
    """Measure on little data and on much."""
    report = Report("console")
    many = 1_000 if scale is QUICK else 10_000
    sizes = (("sqlite", 3, 500, 1_000), ("postgresql", many, scale.ledger_jobs, 2_000))
    with ExitStack() as exits:
        redis, postgres = RedisServer(), PostgresServer()
        exits.callback(redis.stop)
        exits.callback(postgres.stop)
        for engine, providers, jobs, most_ms in sizes:
            redis.wipe()
            tell(f"{engine}: {providers:,} providers, {jobs:,} jobs and calls are written")
            with ground_of(redis, postgres, engine, providers, jobs) as ground:
                name = f"{engine}, {providers:,} providers, {jobs:,} jobs and calls"
                tell("first paint of each page")
                _show_paints(report, name, first_paints(ground), most_ms)
                tell(f"{CONSOLES} open consoles for {FOLLOW_SECONDS} s")
                found = asyncio.run(follow(ground))
                report.figures[f"{name}: consoles"] = found
                rows = [[each, f"{value:,}"] for each, value in found.items()]
                report.add_table(f"{name}: {CONSOLES} open consoles", ["", ""], rows)
    return report


@contextmanager
def ground_of(
    redis: RedisServer, postgres: PostgresServer, engine: str, providers: int, jobs: int
) -> Iterator[Ground]:
    """Give a service with a filled ledger and a fleet that seems to live."""
    with ledger_of(postgres, engine) as (folder, url):
        gateway = fleet_of(folder, redis.url, url, providers)
        fill(gateway.context.database, jobs=jobs, providers=providers)
        document = tomllib.loads((folder / "sisgate.toml").read_text())
        for limit in ("500/h", "700/h"):  # two versions, to have a difference
            document["providers"]["p1"]["limit"] = limit
            gateway.configuration.apply(document, actor="bench")
        be_heard(gateway)
        leave_work(gateway, min(50, providers))
        more = {"SISGATE_ACCESS": "tokens", "SISGATE_LOG_LEVEL": "warning"}
        variables = variables_of(gateway.settings) | more
        command = [sys.executable, "-m", "sisgate.cli", "serve", "--port", "0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
            try:
                assert process.stdout is not None
                served = json.loads(process.stdout.readline())["url"]
                yield Ground(gateway, served, psutil.Process(process.pid))
            finally:
                process.terminate()
                gateway.close()


def pages_of(gateway: Gateway) -> list[str]:
    """Return an address of each page."""
    job = gateway.jobs.search("provider:p1 state:done", limit=1)[0].id
    return [
        "/", "/providers", "/providers?sort=waiting", "/providers/p1", "/providers/p1/pause",
        "/alerts", "/webhooks", "/processes", "/jobs", "/jobs?q=is:dead",
        "/jobs?q=state:failed+provider:p1", f"/jobs/{job}", "/jobs/bulk/retry?q=state:failed",
        "/held", "/schedules", "/datasets", "/datasets?provider=p1", "/datasets/p1/students/sync",
        "/quarantine", "/errors", "/sla", "/configuration", "/configuration/1",
        "/configuration/1/rollback", "/audit", "/audit?provider=p1", f"/audit?job={job}",
        "/audit?action=limits", "/tokens",
    ]  # fmt: skip


def first_paints(ground: Ground) -> dict[str, dict[str, float]]:
    """Return for each page the ms to its first paint, to its first byte, and of processor time."""
    found = subprocess.run([str(FIND)], capture_output=True, text=True, check=True)
    session = _session_of(ground.gateway, "painter")
    paints = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=["--no-sandbox"]
        )
        for path in pages_of(ground.gateway):
            paints[path] = _paint(browser, ground, session, path)
        browser.close()
    return paints


def _paint(browser: Browser, ground: Ground, session: str, path: str) -> dict[str, float]:
    taken: list[list[float]] = []
    for _ in range(ROUNDS):
        context = browser.new_context(base_url=ground.url)  # with an empty cache
        context.add_cookies([{"name": COOKIE, "value": session, "url": ground.url}])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.route("**/live?*", lambda route: route.abort())  # the stream comes afterwards
        begun = ground.cpu_seconds()
        response = page.goto(path, wait_until="commit")
        assert response is not None
        assert response.status == 200, (path, response.status)
        paint, first_byte, size = page.evaluate(PAINTED)
        taken.append([paint, first_byte, 1000 * (ground.cpu_seconds() - begun), size / 1024])
        context.close()
    names = ("paint", "first byte", "processor", "kB")
    medians = (statistics.median(each) for each in zip(*taken, strict=True))
    return {"first view": taken[0][0], **dict(zip(names, medians, strict=True))}


def _session_of(gateway: Gateway, name: str) -> str:
    token = gateway.tokens.add(name, ["admin"]).token
    assert token is not None
    return gateway.sessions.begin(token.get_secret_value()).secret.get_secret_value()


async def follow(ground: Ground) -> dict[str, float]:
    """Return what open consoles cost the service while jobs come and go."""
    sessions = [_session_of(ground.gateway, f"v{n}") for n in range(-(-CONSOLES // MOST_STREAMS))]
    pages = _to_follow(ground.gateway)
    idle = ground.service.memory_info().rss
    ended = threading.Event()
    changer = threading.Thread(target=_change, args=(ground.gateway, ended))
    changer.start()
    counts = [0] * CONSOLES
    try:
        followers = [
            asyncio.create_task(_follow(ground, sessions[n // MOST_STREAMS], pages[n], counts, n))
            for n in range(CONSOLES)
        ]
        await asyncio.sleep(FOLLOW_SECONDS / 2)  # all have begun
        before, news = ground.cpu_seconds(), sum(counts)
        begun = time.perf_counter()
        await asyncio.sleep(FOLLOW_SECONDS)
        took, cost = time.perf_counter() - begun, ground.cpu_seconds() - before
        for each in followers:
            each.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
    finally:
        ended.set()
        changer.join(30)
    return {
        "percent of a core": round(100 * cost / took, 1),
        "streams with news": sum(bool(count) for count in counts),
        "news a second": round((sum(counts) - news) / took, 1),
        "memory MB, before": round(idle / 2**20),
        "memory MB, with them": round(ground.service.memory_info().rss / 2**20),
    }


def _to_follow(gateway: Gateway) -> list[str]:
    """Return the pages that people leave open; each is another one."""
    jobs = [each.id for each in gateway.jobs.search("", limit=10)]
    names = list(gateway.providers.names())
    pages = [
        "/",
        "/jobs",
        "/providers",
        "/alerts",
        "/held",
        "/processes",
        "/schedules",
        "/webhooks",
    ]
    pages += [f"/jobs/{job}" for job in jobs] + [f"/providers/{name}" for name in names[:12]]
    pages += [f"/jobs?q=provider:{name}" for name in names[:12]]
    pages += [f"/jobs?q=app:app{n}" for n in range(20)] + [f"/jobs?q=since:{n}h" for n in range(9)]
    return pages[:CONSOLES]


def _change(gateway: Gateway, ended: threading.Event) -> None:
    """Enqueue a call and cancel it, five times a second."""
    while not ended.wait(0.2):
        gateway.jobs.cancel(gateway.enqueue_request("p0", "GET", "/x").id)


async def _follow(ground: Ground, session: str, page: str, counts: list[int], n: int) -> None:
    port = int(ground.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    writer.write(
        f"GET /live?of={page.replace('?', '%3F')} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Cookie: {COOKIE}={session}\r\n\r\n".encode()
    )
    try:
        async for line in reader:
            counts[n] += line == b"\n"  # the end of an event
    finally:
        writer.close()


def _show_paints(
    report: Report, name: str, paints: dict[str, dict[str, float]], most_ms: int
) -> None:
    report.figures[name] = paints
    slowest = sorted(paints.items(), key=lambda item: -item[1]["paint"])
    rows = [[path, *(f"{value:,.0f}" for value in each.values())] for path, each in slowest]
    columns = ["page", "first view", "median", "first byte", "processor", "kB"]
    title = f"{name}: ms to the first paint, at most {most_ms:,}; {ROUNDS} views, empty caches"
    report.add_table(title, columns, rows)
