"""The configuration section: how soon a fleet follows a change, and what 1,000 providers cost."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate.gateway.configuration import Configuration
from testbed.fleet import Fleet
from testbed.postgres import PostgresServer
from testbed.recorder import Recorder
from testbed.redis import RedisServer

WORKERS = ("prefork", "prefork", "threads", "gevent")
GATEWAYS = 2
CHANGES, QUICK_CHANGES = 200, 20
MANY = 1000
LOOK_SECONDS = 0.005
LONGEST_SECONDS = 60.0


def run(scale: Scale) -> Report:
    """Change a limit again and again; then apply many providers at once."""
    report = Report("configuration")
    with ExitStack() as exits:
        redis, postgres, recorder = RedisServer(), PostgresServer(), Recorder()
        for server in (redis, postgres, recorder):
            exits.callback(server.stop)
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        url = postgres.url(postgres.create_database())
        providers = {"alpha": 'limit = "100/h"'}
        fleet = exits.enter_context(Fleet(folder, redis.url, recorder, providers, database_url=url))
        following = exits.enter_context(Processes(fleet))
        tell("four workers, beat and two gateways are up")
        _changes(report, fleet, following, QUICK_CHANGES if scale == QUICK else CHANGES)
        tell(f"{MANY:,} providers")
        _many(report, fleet, following)
    return report


class Processes:
    """The processes of a fleet, and when each of them followed which version."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._apps: list[subprocess.Popen[str]] = []
        self._seen: dict[tuple[str, int], float] = {}
        self._is_over = threading.Event()
        self.names = [f"w{n}@test" for n in range(len(WORKERS))] + ["beat"]
        self.names += [f"gateway {n}" for n in range(GATEWAYS)]

    def __enter__(self) -> Self:
        for pool in WORKERS:
            self._fleet.start_worker(pool=pool, serves_all=True, level="WARNING")
        self._fleet.start_beat()
        for number in range(GATEWAYS):
            app = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.following_app"],
                env=self._fleet.environment, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            self._apps.append(app)
            threading.Thread(target=self._read, args=(f"gateway {number}", app)).start()
        threading.Thread(target=self._watch).start()
        self.wait(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for app in self._apps:
            app.terminate()
            app.wait(10)

    def wait(self, version: int) -> Mapping[str, float]:
        """Return when each process had a version, once all have it."""
        begun = time.monotonic()
        while not all((name, version) in self._seen for name in self.names):
            if time.monotonic() - begun > LONGEST_SECONDS:
                missing = [name for name in self.names if (name, version) not in self._seen]
                raise TimeoutError(f"version {version} never came to {', '.join(missing)}")
            time.sleep(LOOK_SECONDS)
        return {name: self._seen[name, version] for name in self.names}

    def _read(self, name: str, app: subprocess.Popen[str]) -> None:
        assert app.stdout is not None
        for line in app.stdout:
            version, at = line.split()
            self._seen[name, int(version)] = float(at)

    def _watch(self) -> None:
        heartbeats = self._fleet.gateway.context.heartbeats
        while not self._is_over.wait(LOOK_SECONDS):
            for process in heartbeats.read().processes:
                key = (process.name, process.configuration)
                self._seen.setdefault(key, time.monotonic())


def _changes(report: Report, fleet: Fleet, following: Processes, changes: int) -> None:
    configuration = fleet.gateway.configuration
    document = _document(1)
    first = configuration.apply(document, actor="bench").version.number
    following.wait(first)
    took: dict[str, list[float]] = {name: [] for name in following.names}
    slowest: list[float] = []
    for number in range(changes):
        document["providers"]["p0"]["limit"] = f"{100 + number}/h"
        begun = time.monotonic()
        version = configuration.apply(document, actor="bench").version.number
        seconds = {name: at - begun for name, at in following.wait(version).items()}
        for name, each in seconds.items():
            took[name].append(each)
        slowest.append(max(seconds.values()))
        # The processes look twice a second: not always at the same moment of a change.
        time.sleep(number * 0.037 % 0.5)
    kinds = {f"worker, {pool}": f"w{n}@test" for n, pool in enumerate(WORKERS)}
    kinds |= {"beat": "beat", "gateway": "gateway 0"}
    rows = [[kind, *_percentiles(took[name])] for kind, name in kinds.items()]
    rows.append(["every process of the fleet", *_percentiles(slowest)])
    report.add_table(
        f"From `apply` until a process has the version, {changes} changes, seconds",
        ["process", "median", "p99", "longest"], rows,
    )  # fmt: skip
    report.figures["seconds_until_all_follow"] = {
        "changes": changes, "median": _at(slowest, 0.5), "p99": _at(slowest, 0.99),
    }  # fmt: skip


def _many(report: Report, fleet: Fleet, following: Processes) -> None:
    configuration = fleet.gateway.configuration
    apply_seconds, version = _timed_apply(configuration, _document(MANY))
    begun = time.monotonic()
    followed = max(following.wait(version).values()) - begun
    changed = _document(MANY)
    for provider in changed["providers"].values():
        provider["limit"] = "7/h"
    begun = time.monotonic()
    plan = configuration.plan_change(changed)
    diff_seconds = time.monotonic() - begun
    assert len(plan.changes) == MANY
    again_seconds, _ = _timed_apply(configuration, changed)
    report.add_table(
        f"{MANY:,} providers, seconds",
        ["add them", "until all follow", "diff of all", "change all"],
        [[f"{s:.2f}" for s in (apply_seconds, followed, diff_seconds, again_seconds)]],
    )
    report.figures["many"] = {
        "providers": MANY, "apply_seconds": apply_seconds, "followed_seconds": followed,
        "diff_seconds": diff_seconds, "change_seconds": again_seconds,
    }  # fmt: skip


def _timed_apply(configuration: Configuration, document: Mapping[str, Any]) -> tuple[float, int]:
    begun = time.monotonic()
    version = configuration.apply(document, actor="bench").version.number
    return time.monotonic() - begun, version


def _document(providers: int) -> dict[str, Any]:
    return {
        "providers": {
            f"p{number}": {
                "kind": "oneroster", "auth": "none", "limit": "100/h",
                "endpoints": [{"url": f"https://sis-{number}.example"}],
            }
            for number in range(providers)
        }
    }  # fmt: skip


def _percentiles(seconds: list[float]) -> list[str]:
    return [f"{_at(seconds, share):.3f}" for share in (0.5, 0.99, 1.0)]


def _at(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
