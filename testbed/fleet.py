"""Real `celery -A workers` processes around a recording provider."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import tomllib
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from celery import Celery

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.broker import celery_app
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.priorities import Priority
from sisgate.gateway import Gateway
from sisgate.ledger import migrate
from sisgate.redis.client import RedisClient, connect
from sisgate.redis.queues import queue_depths, queue_keys
from testbed.installation import install, variables_of
from testbed.recorder import Recorder
from testbed.warm import start
from workers.runtime import Runtime

PATIENCE_SECONDS = 60.0
"""How long a test waits for what should take a moment; the machine may be busy."""

CLOCK = SystemClock()
UNACKED, UNACKED_INDEX = "unacked", "unacked_index"


MakeFleet = Callable[..., "Fleet"]
"""Makes a fleet of providers, each given as its name and lines of configuration."""


class Fleet:
    """One data folder, ledger and Redis; workers and beat as subprocesses.

    `providers` gives for each name more lines of its configuration. All of them are the recorder,
    speak the `oneroster` kind and want no authorisation, so a `request` job is one call.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        recorder: Recorder,
        providers: Mapping[str, str],
        *,
        database_url: str | None = None,
    ) -> None:
        self.folder = folder
        self.recorder = recorder
        configuration = _configuration(recorder, providers)
        self.settings = install(
            folder, configuration, redis_url=redis_url, database_url=database_url
        )
        self.environment = os.environ | variables_of(self.settings)
        self.app: Celery = celery_app(self.settings, redis_url)
        self.gateway = Gateway(self.settings)
        migrate.upgrade(self.gateway.context.database)
        self.redis: RedisClient = connect(redis_url)
        self.limiter = Limiter(self.redis)
        self._runtime = Runtime(self.settings)
        self.workers: list[Process] = []
        self._others: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A warm stop waits for the calls under way.
        self.recorder.release()
        for process in (*self.workers, *self._others):
            process.end()
        self.gateway.close()
        self.app.close()
        self.redis.close()

    def spec(self, provider: str) -> LimitSpec:
        """Return a provider's limits, as the workers read them."""
        return self._runtime.limits(self.gateway.configuration.current().providers[provider])

    def begin_counting(self) -> None:
        """Do what the reconciler does for limiters without state: rebuild, here from nothing."""
        for provider in self.gateway.configuration.current().providers:
            self.limiter.rebuild(provider, self.spec(provider), [])

    def start_worker(
        self,
        *queues: str,
        pool: str = "prefork",
        concurrency: int = 2,
        options: Iterable[str] = (),
        app: str = "workers",
        level: str = "INFO",
        meets: bool = False,
        serves_all: bool = False,
        **environment: str,
    ) -> "Process":
        """Start `celery worker` for some queues (all providers'); return when it listens.

        One that `serves_all` is started without -Q.

        A worker that `meets` the others asks for them first, which takes it a second.
        """
        chosen = [] if serves_all else ["-Q", ",".join(queues or self.settings.providers)]
        name = f"w{len(self.workers)}@test"
        worker = Process(
            f"-A {app} worker {' '.join(chosen)} -P {pool} -c {concurrency} -n {name}"
            f" -l {level}{'' if meets else ' --without-mingle'}",
            options,
            self.environment | environment,
            self.folder / f"{name}.log",
        )
        self.workers.append(worker)
        ask = self.app.control.ping
        self.wait(
            lambda: bool(ask([name], timeout=0.5, limit=1)), f"worker {name} is ready", worker
        )
        return worker

    def start_beat(self) -> "Process":
        """Start `celery beat`."""
        command = f"-A workers beat -s {self.folder / 'beat'} -l WARNING"
        beat = Process(command, (), self.environment, self.folder / "beat.log")
        self._others.append(beat)
        return beat

    def configure(self, **providers: str) -> int:
        """Put these providers into force for the whole fleet; return the version's number."""
        document = tomllib.loads(_configuration(self.recorder, providers))
        return self.gateway.configuration.apply(document, actor="test").version.number

    def request(self, provider: str, count: int = 1, priority: str = "normal") -> list[str]:
        """Ask for calls and return their jobs."""
        return [
            self.gateway.enqueue_request(
                provider, "GET", f"/{priority}/{number}", priority=priority
            ).id
            for number in range(count)
        ]

    def waiting(self, provider: str) -> int:
        """Return how many messages wait in a provider's queue."""
        return queue_depths(self.redis, [provider])[provider]

    def unacked(self) -> int:
        """Return how many messages are with workers."""
        return int(self.redis.hlen(UNACKED))

    def in_flight(self, provider: str) -> int:
        """Return how many permits are out."""
        return self.limiter.state(provider, self.spec(provider)).in_flight

    def put(self, provider: str, text: bytes, priority: Priority = Priority.NORMAL) -> None:
        """Put raw text into a provider's queue, as anybody who reaches Redis could, and signal."""
        key = queue_keys(provider)[list(Priority).index(priority)]
        self.redis.lpush(key, text)
        self._runtime.wakeups.signal_work(provider)

    def inspect(self, what: str) -> dict[str, Any]:
        """Return the answers to a remote-control inspection by worker."""
        answers: dict[str, Any] = {}

        def asked() -> bool:
            alive = sum(1 for worker in self.workers if worker.is_alive())
            inspect = self.app.control.inspect(timeout=1.0, limit=alive)
            answers.update(getattr(inspect, what)() or {})
            return len(answers) >= alive

        self.wait(asked, f"workers answer to inspect {what}")
        return answers

    def wait(
        self,
        ready: Callable[[], bool],
        what: str,
        *processes: "Process",
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait until `ready()`; fail with `what` and the logs when it never comes."""
        if poll_until(ready, clock=CLOCK, timeout_seconds=seconds, every_seconds=0.02):
            return
        logs = "\n".join(process.log[-6000:] for process in processes or self.workers)
        raise AssertionError(f"never came: {what}\n{logs}")


class Process:
    """One `celery …` in a session of its own."""

    def __init__(
        self, command: str, options: Iterable[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self._log = log
        words = ["celery", *command.split(), *options]
        # Before anything else is imported, gevent takes the place of what would block.
        self.popen = start(words, environment, log, afresh="gevent" in words)

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8", "replace")

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to its parent process."""
        self.popen.send_signal(number)

    def kill_all(self) -> None:
        """SIGKILL it and its children at once, as a lost machine would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Stop it in order, and by force where that does not come."""
        if self.is_alive():
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(20)
        self.kill_all()


def message(task: str, kwargs: Mapping[str, Any], queue: str, priority: int = 6) -> dict[str, Any]:
    """Return a message as kombu lays it into a list of Redis, made by hand."""
    task_id = str(uuid.uuid4())
    headers = {
        "lang": "py",
        "task": task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "origin": "test",
        "ignore_result": True,
    }
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": base64.b64encode(json.dumps([[], dict(kwargs), embed]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def _configuration(recorder: Recorder, providers: Mapping[str, str]) -> str:
    return "\n".join(
        f"""
        [providers.{name}]
        kind = "oneroster"
        auth = "none"
        allow_insecure = true
        endpoints = [{_endpoints(recorder, name)}]
        {lines}
        """
        for name, lines in providers.items()
    )


def _endpoints(recorder: Recorder, name: str) -> str:
    return ", ".join(f'{{ url = "{url}" }}' for url in recorder.urls(name))
