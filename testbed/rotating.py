"""Rotations that are SIGKILLed from outside, at a commit of their own choosing, under load."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from sisgate.credentials.slots import policy_of, read_slots
from sisgate.domain.states import KeyState
from sisgate.gateway.keys import ProviderKeys
from sisgate.ledger.schema import Key, KeySlot
from sisgate.settings import Settings
from testbed.stack import CLOCK, PATIENCE_SECONDS, Stack

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["workers.maintenance.rotation", "sisgate.gateway", "testbed.stack"]
)

STEPS = {
    "order": ("order", 1),
    "stage": ("order", 2),
    "probe": ("probe", 1),
    "promote": ("promote", 1),
    "retire": ("retire", 1),
}
"""What a rotation commits: with which step a run begins that comes to it, and as which commit.

The source is asked between the first two, and told before the last.
"""

MOMENTS = ("before", "after")
QUICK = {
    "rotation.source": "sandbox",
    "rotation.source_seconds": 0.5,
    "rotation.overlap": 2,
    "rotation.check_every": 0.2,
    "rotation.retry_after": 1,
    "timeout_seconds": 2,
}
"""Seconds where an operator has minutes and days."""


def one_run(settings: Settings, commit: int = 0, moment: str = "") -> None:
    """What beat's task does, in a process of its own; killed around its n-th commit of a step."""
    from workers.maintenance import rotation
    from workers.runtime import Runtime

    # One step a run, so that a kill finds the step that it is for.
    rotation.MOST_STEPS = 1
    if commit:
        _arm(commit, moment)
    rotation.rotate(Runtime(settings))


def _arm(number: int, moment: str) -> None:
    seen = 0

    def mark(session: Session, _context: Any) -> None:
        changed = (*session.new, *session.dirty)
        if any(isinstance(row, Key | KeySlot) for row in changed):
            session.info["step"] = True

    def before(session: Session) -> None:
        nonlocal seen
        session.flush()
        if session.info.get("step"):
            seen += 1
            if seen == number and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)

    def after(session: Session) -> None:
        if session.info.get("step") and seen == number and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, "after_flush", mark)
    event.listen(Session, "before_commit", before)
    event.listen(Session, "after_commit", after)


@dataclass
class Rotating:
    """One provider whose primary key is rotated by runs that this process starts."""

    stack: Stack
    name: str
    beats: int = 1
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def keys(self) -> ProviderKeys:
        """What a person does."""
        return self.stack.gateway.keys.of(self.name)

    def rotate(self, kill: tuple[str, str] | None = None) -> str:
        """Rotate once, killed at a step if one is named; return the client id that is active then.

        Fails when the rotation does not end. Without a kill, `beats` runs go at once each time.
        """
        self.keys.rotate(actor="test")
        deadline = CLOCK.monotonic() + PATIENCE_SECONDS
        while True:
            step = self._next()
            if step is None and self._is_over():
                assert kill is None, f"{kill} was never reached"
                return self._client_id()
            assert CLOCK.monotonic() < deadline, f"{self.name}: no end at {step}"
            if step is None:
                CLOCK.sleep(0.05)
                continue
            if kill is not None and step == STEPS[kill[0]][0]:
                self._run_killed(kill)
                self.kills[kill] += 1
                kill = None
            else:
                self._run(self.beats)

    def _run_killed(self, kill: tuple[str, str]) -> None:
        process = self._start(STEPS[kill[0]][1], kill[1])
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == -signal.SIGKILL, f"{kill}: ended with {process.exitcode}"

    def _run(self, count: int) -> None:
        runs = [self._start() for _ in range(count)]
        for run in runs:
            run.join(PATIENCE_SECONDS)
            # 255 is the forkserver's word for a process that it lost: another run goes on.
            assert run.exitcode in {0, 255}, f"a run ended with {run.exitcode}"

    def _start(self, commit: int = 0, moment: str = "") -> Any:
        process = PROCESSES.Process(target=one_run, args=(self._settings, commit, moment))
        process.start()
        return process

    @property
    def _settings(self) -> Settings:
        # Only this provider's keys, so that runs for several do not do each other's steps.
        settings = self.stack.settings
        return settings.model_copy(update={"providers": {self.name: settings.providers[self.name]}})

    def _next(self) -> str | None:
        config = self.stack.settings.providers[self.name]
        with self.stack.gateway.context.database.read() as session:
            for slot in read_slots(session, [self.name]):
                step = slot.next_step(policy_of(config), CLOCK.now())
                if step is not None:
                    return step.act
        return None

    def _is_over(self) -> bool:
        with self.stack.gateway.context.database.read() as session:
            row = session.get(KeySlot, (self.name, "primary"))
            asked = row is not None and (row.requested_at or row.order_id)
        return not asked and [key.state for key in self.keys.list()] == [KeyState.ACTIVE]

    def _client_id(self) -> str:
        (key,) = self.keys.list()
        return key.client_id


@dataclass
class Load:
    """Calls that an app makes all the time, each a request job; counted by how they ended."""

    stack: Stack
    names: tuple[str, ...]
    pause_seconds: float = 0.05
    jobs: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Enqueue until the block ends, then wait for what was enqueued."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._run, args=(name, stop)) for name in self.names]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)

    def ended(self) -> Counter[str]:
        """Return how many ended how, by state and code; waits for all of them."""
        found: Counter[str] = Counter()
        for job_id in self.jobs:
            status = self.stack.gateway.jobs.wait(job_id, PATIENCE_SECONDS)
            code = (status.error or {}).get("code", "")
            found[f"{status.state} {code}".strip()] += 1
        return found

    def _run(self, name: str, stop: threading.Event) -> None:
        gateway = self.stack.new_gateway()
        request = self.stack.settings.providers[name].dialect.probe_request()
        try:
            while not stop.wait(self.pause_seconds):
                job = gateway.enqueue_request(
                    name,
                    request.method,
                    request.path,
                    query=dict(request.query),
                    json=request.json_body,
                    priority="normal",
                )
                self.jobs.append(job.id)
        finally:
            gateway.close()
