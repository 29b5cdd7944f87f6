"""Part of `resilience`: how long providers that answer badly hold a worker, and what they fill."""

import contextlib
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from sqlalchemy import select

from benchmarks.memory import peak_bytes
from benchmarks.report import Report, tell
from sisgate.ledger import schema as tables
from testbed.fleet import Fleet
from testbed.hostile import BROKEN, UNUSABLE, Answer, self_signed, server
from testbed.recorder import Recorder
from testbed.redis import RedisServer

TIMEOUT_SECONDS = 3.0
BOUND_SECONDS = TIMEOUT_SECONDS + 1.0
BOUND_BYTES = 64 * 2**20
PATIENCE_SECONDS = 60.0
MIB = 2**20
CONFIGURATION = f"""limit = "off"
timeout_seconds = {TIMEOUT_SECONDS:g}
retry = {{ tries = 1 }}
breaker = {{ fail_max = 1000, minimum_calls = 1000 }}"""
"""One attempt a call, and a provider that stays bad is asked again all the same."""

ROWS = BROKEN | UNUSABLE
BAD_TLS = "TLS that nobody signed"


@dataclass(frozen=True)
class Row:
    """One bad provider, asked for one thing."""

    provider: str
    asked: str
    ended: str
    seconds: float
    """The longest attempt; the whole job where no request left, so that there is no attempt."""
    growth_bytes: int
    """By how much the largest worker process grew at its peak."""

    @property
    def holds(self) -> bool:
        """Whether it ended in time and in its space."""
        return self.seconds <= BOUND_SECONDS and self.growth_bytes < BOUND_BYTES


class Hostile(Recorder):
    """Providers at addresses of their own, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: dict[str, str] = {}

    def urls(self, name: str) -> list[str]:
        """Return where the provider is."""
        return [self.addresses[name]]


@contextmanager
def _fleet(names: dict[str, str]) -> Iterator[Fleet]:
    """Give a running fleet with a bad provider for each name."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sisgate-bench-")))
        hostile = Hostile()
        exits.callback(hostile.stop)
        for name, words in names.items():
            tls = _untrusted(folder) if words == BAD_TLS else None
            answer: Answer = ROWS.get(words, UNUSABLE["a web page"])
            hostile.addresses[name] = exits.enter_context(server(answer, tls))
        redis = RedisServer()
        exits.callback(redis.stop)
        providers = dict.fromkeys(names, CONFIGURATION)
        fleet = exits.enter_context(Fleet(folder, redis.url, hostile, providers))
        fleet.begin_counting()
        fleet.start_worker("sisgate", *names, concurrency=2, level="ERROR")
        fleet.start_beat()
        yield fleet


def _untrusted(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder))
    return context


def _ask(fleet: Fleet, name: str, words: str, asked: str) -> Row:
    tell(f"a provider that is bad: {words}, {asked}")
    processes = _workers(fleet)
    begun = time.monotonic()
    before = {process.pid: _from_now(process) for process in processes}
    gateway = fleet.gateway
    made = (
        gateway.sync(name, "orgs")
        if asked == "sync"
        else gateway.enqueue_request(name, "GET", "/x")
    )
    ended = gateway.jobs.wait(made.id, PATIENCE_SECONDS)
    whole = time.monotonic() - begun
    growth = max(peak_bytes(process) - before[process.pid] for process in processes)
    query = select(tables.Attempt).join(tables.Call, tables.Call.id == tables.Attempt.call_id)
    with gateway.context.database.read() as session:
        attempts = session.scalars(query.where(tables.Call.job_id == made.id)).all()
        seconds = [(a.ended_at - a.started_at).total_seconds() for a in attempts if a.ended_at]
    return Row(words, asked, ended.state.value, max(seconds, default=whole), growth)


def _workers(fleet: Fleet) -> list[psutil.Process]:
    parent = psutil.Process(fleet.workers[0].popen.pid)
    return [parent, *parent.children(recursive=True)]


def _from_now(process: psutil.Process) -> int:
    """Let the kernel count the peak from now on, and return what is resident now."""
    with contextlib.suppress(OSError):  # elsewhere the peak is that since the start: larger
        Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")
    return int(process.memory_info().rss)


def measure(report: Report) -> None:
    """Add the table of bad providers."""
    names = {f"bad-{number}": words for number, words in enumerate([*ROWS, BAD_TLS])}
    with _fleet(names) as fleet:
        # The first call of a process loads what all calls need.
        for _ in range(4):
            _ask(fleet, "bad-0", names["bad-0"], "request")
        found = [
            _ask(fleet, name, words, asked)
            for name, words in names.items()
            for asked in ("request", "sync")
        ]
    report.add_table(
        f"Providers that answer badly, deadline {TIMEOUT_SECONDS:g} s",
        ["the provider, asked for", "job ended", "longest attempt s", "growth MiB", "holds"],
        [
            [f"{r.provider}, {r.asked}", r.ended, f"{r.seconds:.2f}",
             f"{r.growth_bytes / MIB:.1f}", "yes" if r.holds else "NO"]
            for r in found
        ],
    )  # fmt: skip
    report.notes.append(
        f"bad providers: holds when an attempt ends within {BOUND_SECONDS:g} s and no worker "
        f"process grows by {BOUND_BYTES // MIB} MiB; max_body_mb is the default."
    )
    report.figures["bad_providers"] = [asdict(row) | {"holds": row.holds} for row in found]
