"""What a transparent request adds to the same call made directly with `requests`.

Callers in threads ask for the same path of the sandbox, directly and through an app with the
middleware, in alternating turns. Both wait for the sandbox's latency; what is over is added by the
app, the ledger, Redis and a worker, all on this machine. Steps are from stamps in the app and from
the times in the ledger, by the fleet's clock.

In two shapes. Callers that begin at once stay in step, as the latency never changes: each time all
of them queue behind one another for the processor. Callers that begin evenly spread over the
latency meet only by chance, as people's requests do.
"""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import requests
from sqlalchemy import select

from benchmarks.admission_ground import percentile
from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate.clock import SystemClock, poll_until
from sisgate.ledger import schema as tables
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.ledgers import ENGINES, ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.stack import Stack, end, running

NAME, PATH = "powerschool", "/ws/v1/district"
LATENCY_MS = 300.0
CALLERS = (1, 10, 50)
SHAPES = {"at once": 0.0, "spread": LATENCY_MS}
"""The milliseconds over which the callers begin."""

SLOTS = 64
CLOCK = SystemClock()

STEPS = (
    ("wait for a thread", "came", "enqueue_request begun"),
    ("accept: ledger and publish", "enqueue_request begun", "enqueue_request done"),
    ("until a worker has claimed it", "enqueue_request done", "claimed"),
    ("worker beside the provider's answer", None, None),
    ("wake the app, wait for a thread", "recorded", "answer_if_ended begun"),
    ("read and audit the answer", "answer_if_ended begun", "answer_if_ended done"),
    ("respond", "answer_if_ended done", "responded"),
)
"""Name, and the stamps between which it lies."""


def run(scale: Scale) -> Report:
    """Measure on both databases, in less than five minutes."""
    report = Report("middleware")
    seconds, turns = (3.0, 1) if scale is QUICK else (5.0, 2)
    rows = []
    postgres = PostgresServer()
    try:
        for engine in ENGINES:
            with ground_of(postgres, engine) as ground:
                for callers in CALLERS:
                    for shape in SHAPES if callers > 1 else ("at once",):
                        name = f"{engine}, {callers}" + (f" {shape}" if callers > 1 else "")
                        tell(name)
                        ask = partial(ground.ask, over_ms=SHAPES[shape])
                        rows.append(measure(report, ground, ask, name, callers, seconds, turns))
    finally:
        postgres.stop()
    report.add_table(
        "Added by the middleware",
        ["database, callers", "p50 ms", "p99 ms", "requests", "CPU ms: app", "worker", "load"],
        rows,
    )
    report.notes.append(
        f"The sandbox answers after {LATENCY_MS:g} ms. Callers, app, worker, database, Redis and "
        "sandbox share this machine's cores."
    )
    return report


class Ground:
    """A stack with one worker, an app process, and ways to ask."""

    def __init__(self, stack: Stack, url: str, app: psutil.Process, workers: list[int]) -> None:
        self.stack = stack
        self.url = url
        self.app = app
        self._workers = workers
        district = stack.sandbox.districts[NAME]
        self.ways = {
            "direct": f"{district.url}{PATH}",
            "through the app": f"{url}/sis/{NAME}{PATH}",
        }
        answer = requests.post(
            district.token_url, {"grant_type": "client_credentials"},
            auth=(district.client_id, district.client_secret), timeout=30,
        )  # fmt: skip
        self._token = answer.json()["access_token"]

    def ask(self, way: str, callers: int, seconds: float, over_ms: float = 0) -> list[float]:
        """Return the seconds of each request of callers for a while; they begin over so long."""
        took: list[float] = []
        ends_at = CLOCK.monotonic() + seconds

        def caller(number: int) -> None:
            CLOCK.sleep(number / callers * over_ms / 1e3)
            with requests.Session() as http:
                http.headers["Authorization"] = f"Bearer {self._token}"
                while CLOCK.monotonic() < ends_at:
                    begun = CLOCK.monotonic()
                    answer = http.get(self.ways[way], timeout=60)
                    took.append(CLOCK.monotonic() - begun)
                    assert answer.status_code == 200, answer.text

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(caller, range(callers)))
        return took

    def cpu_seconds(self) -> tuple[float, float]:
        """Return the processor time of the app, and of the workers."""
        workers = [psutil.Process(pid) for pid in self._workers]
        return _used(self.app), sum(
            map(_used, (each for one in workers for each in (one, *one.children(recursive=True))))
        )

    def steps(self) -> list[dict[str, float]]:
        """Return the length of each step of the requests since the last time."""
        taken = requests.get(f"{self.url}/stamps", timeout=60).json()
        by_job = {each["job"]: each for each in taken}
        rows = select(tables.Call).where(tables.Call.job_id.in_(by_job))
        with self.stack.gateway.context.database.read() as session:
            calls = list(session.scalars(rows))
        lengths = []
        for call in calls:
            stamps = by_job[call.job_id]
            if call.started_at is None or call.ended_at is None:
                continue
            stamps["claimed"] = call.started_at.timestamp()
            stamps["recorded"] = call.ended_at.timestamp()
            lengths.append(
                {
                    name: stamps[end] - stamps[begin]
                    if begin and end
                    else stamps["recorded"] - stamps["claimed"] - (call.elapsed_ms or 0) / 1e3
                    for name, begin, end in STEPS
                }
            )
        return lengths


def measure(
    report: Report,
    ground: Ground,
    ask: Callable[[str, int, float], list[float]],
    name: str,
    callers: int,
    seconds: float,
    turns: int,
) -> list[str]:
    """Add the tables of added latency and of its steps; return their row of the last table."""
    took: dict[str, list[float]] = {way: [] for way in ground.ways}
    ask("through the app", callers, seconds / 2)  # warm: connections, tokens, threads
    ground.steps()
    steps: list[dict[str, float]] = []
    used = [0.0, 0.0]
    for turn in range(turns):
        for way in sorted(took, reverse=bool(turn % 2)):
            before = ground.cpu_seconds()
            took[way] += ask(way, callers, seconds)
            if way != "direct":
                after = ground.cpu_seconds()
                used = [u + b - a for u, a, b in zip(used, before, after, strict=True)]
                steps += ground.steps()
    direct, through = took["direct"], took["through the app"]
    rows, figures = [], {}
    for word, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        one, other = percentile(direct, share), percentile(through, share)
        rows.append([word, *(f"{each * 1e3:.1f}" for each in (one, other, other - one))])
        figures[word] = {"direct": one, "through": other, "added": other - one}
    report.add_table(
        f"{name}: ms, {len(direct):,} and {len(through):,} requests",
        ["", "direct", "through the app", "added"],
        rows,
    )
    cpu = [each / len(through) * 1e3 for each in used]
    parts = {part: [each[part] for each in steps] for part, _, _ in STEPS}
    report.add_table(
        f"Steps, {name} (CPU of the app {cpu[0]:.2f} ms, of the worker {cpu[1]:.2f} ms a request)",
        ["step", "p50 ms", "p99 ms"],
        [
            [part, *(f"{percentile(found, share) * 1e3:.1f}" for share in (0.5, 0.99))]
            for part, found in parts.items()
        ],
    )
    report.figures[name] = {
        **figures, "cpu_ms": {"app": cpu[0], "worker": cpu[1]}, "requests": len(through),
        "steps_p50": {part: statistics.median(found) for part, found in parts.items()},
    }  # fmt: skip
    added = [f"{figures[word]['added'] * 1e3:.1f}" for word in ("p50", "p99")]
    return [
        name, *added, f"{len(through):,}", *(f"{each:.1f}" for each in cpu),
        f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip


@contextmanager
def ground_of(postgres: PostgresServer, engine: str, queues: str = NAME) -> Iterator[Ground]:
    """Give a stack on an engine, with a worker of some queues and the app."""
    district = DistrictSpec(
        NAME, "powerschool", students=100, quota=None, knobs={"latency_ms": LATENCY_MS}
    )
    with ExitStack() as stack:
        redis = RedisServer()
        stack.callback(redis.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sisgate-bench-")))
        sandbox = stack.enter_context(SandboxProcess(SandboxSpec(districts=(district,))))
        _, database_url = stack.enter_context(ledger_of(postgres, engine))
        # So that the limiter has work, and permits are at hand.
        options = {NAME: {"limit": "1000000/h", "burst": 10_000}}
        made = Stack(
            folder, sandbox, redis_url=redis.url, database_url=database_url, options=options
        )
        stack.enter_context(running(made))
        worker = made.spawn(
            "worker", "-Q", queues, "-P", "threads", "-c", str(SLOTS), "-n", "threads@%h",
            "-l", "WARNING", "--without-mingle", "--without-gossip",
        )  # fmt: skip
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as where uvicorn binds it
        port, number = listening.getsockname()[1], listening.fileno()
        app = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "benchmarks.middleware_app:app", "--fd", str(number),
             "--log-level", "warning"],
            env=made.environment(), pass_fds=[number], start_new_session=True,
        )  # fmt: skip
        stack.callback(end, app, signal.SIGTERM)
        url = f"http://127.0.0.1:{port}"
        assert poll_until(lambda: _answers(url), clock=CLOCK, timeout_seconds=60)
        made.gateway.request(NAME, "GET", PATH, timeout=60)
        yield Ground(made, url, psutil.Process(app.pid), [worker.pid])


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/stamps", timeout=5).ok
    except requests.RequestException:
        return False


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
