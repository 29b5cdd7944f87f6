"""Follows jobs until they end, with a progress bar for each provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from sisgate.cli.formats import clock_time, number
from sisgate.cli.presenter import Presenter
from sisgate.clock import Clock
from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState
from sisgate.errors import BrokerUnavailable, UnknownProvider

if TYPE_CHECKING:
    from sisgate.client import HttpGateway
    from sisgate.gateway import Gateway, JobStatus

POLL_SECONDS = 0.25
POLL_SECONDS_BY_HTTP = 1.0
QUOTA_SECONDS = 1.0
"""How often to query the limiter for what a provider waits for."""

LONG_WAIT_SECONDS = 10.0
"""Shorter waits for a permit are not shown: they come from spreading calls evenly."""


@dataclass(frozen=True)
class Standing:
    """The progress of one provider's jobs."""

    jobs: int
    jobs_ended: int
    steps: int
    steps_ended: int
    calls: int
    rows: int

    @property
    def is_final(self) -> bool:
        """Whether every job has ended."""
        return self.jobs_ended == self.jobs


@dataclass(frozen=True)
class PermitWait:
    """The seconds until a provider's next permit, and the reason."""

    seconds: float
    reason: str


@dataclass
class Watched:
    """The last statuses, and the providers that wait for a permit."""

    statuses: dict[str, Sequence[JobStatus]]
    waits: dict[str, PermitWait]

    @property
    def is_final(self) -> bool:
        """Whether every job has ended."""
        return all(status.is_final for status in self.jobs)

    @property
    def jobs(self) -> list[JobStatus]:
        """All statuses."""
        return [status for each in self.statuses.values() for status in each]


def standing(statuses: Sequence[JobStatus]) -> Standing:
    """Return the progress of jobs. A job without steps yet counts as one step."""
    steps = [max(1, sum(status.calls.values())) for status in statuses]
    ended = [
        total
        if status.is_final
        else sum(n for state, n in status.calls.items() if CallState(state).is_final)
        for status, total in zip(statuses, steps, strict=True)
    ]
    return Standing(
        jobs=len(statuses),
        jobs_ended=sum(status.is_final for status in statuses),
        steps=sum(steps),
        steps_ended=sum(ended),
        calls=sum(status.calls_made for status in statuses),
        rows=sum(status.rows_seen for status in statuses),
    )


def watch(
    gateway: Gateway | HttpGateway,
    output: Presenter,
    jobs: Mapping[str, Sequence[str]],
    *,
    clock: Clock,
    proceed: Callable[[Watched], bool] = lambda _: True,
    timeout: float | None = None,
    every_seconds: float = POLL_SECONDS,
    pause: Callable[[float], None] | None = None,
) -> Watched:
    """Follow jobs, given as ids by provider, until all have ended.

    Stops early when `proceed` returns false or after `timeout` seconds; the jobs continue.
    `pause` replaces the clock's `sleep` between two polls.
    """
    begun, queried = clock.monotonic(), -QUOTA_SECONDS
    watched = Watched({}, {})
    with _Bars(output, list(jobs)) as bars:
        while True:
            watched.statuses = {name: gateway.jobs.statuses(ids) for name, ids in jobs.items()}
            waited = clock.monotonic() - begun
            if waited - queried >= QUOTA_SECONDS:
                watched.waits, queried = _waits(gateway, clock.now(), watched), waited
            for name, statuses in watched.statuses.items():
                bars.show(name, standing(statuses), remark_of(clock.now(), watched.waits.get(name)))
            late = timeout is not None and waited >= timeout
            if watched.is_final or late or not proceed(watched):
                return watched
            (pause or clock.sleep)(every_seconds)


def _waits(
    gateway: Gateway | HttpGateway, now: datetime, watched: Watched
) -> dict[str, PermitWait]:
    waits: dict[str, PermitWait] = {}
    liveness = gateway.fleet.liveness(list(watched.statuses))
    for name, statuses in watched.statuses.items():
        live = [status for status in statuses if not status.is_final]
        stopping = "; ".join(reason.message for reason in liveness.stopping(name)) if live else ""
        wait = PermitWait(0.0, stopping) if stopping else _permit_wait(gateway, now, name, live)
        if wait is not None:
            waits[name] = wait
    return waits


def _permit_wait(
    gateway: Gateway | HttpGateway, now: datetime, name: str, live: Sequence[JobStatus]
) -> PermitWait | None:
    if not live:
        return None
    try:
        state = gateway.providers.control(name).state()
    except UnknownProvider:  # it was removed
        return None
    except BrokerUnavailable:
        return PermitWait(0.0, "Redis cannot be reached")
    priority = Priority(min(status.priority for status in live))
    if state.paused_until is not None:
        left = (state.paused_until - now).total_seconds()
        return PermitWait(left, "paused")
    seconds = state.next_permit_in_seconds.get(priority, 0.0) if state.known else 0.0
    if seconds <= 0:
        return None
    return PermitWait(seconds, str(state.waiting_for.get(priority, "quota")))


def remark_of(now: datetime, wait: PermitWait | None) -> str:
    """Return what holds up a provider's jobs, '' for nothing worth a remark."""
    if wait is None:
        return ""
    if wait.reason == "paused":
        return "paused"
    if wait.seconds == 0:
        return wait.reason
    if wait.seconds < LONG_WAIT_SECONDS:
        return ""
    until = clock_time(now, wait.seconds)
    if wait.reason in {"window", "reserve"}:
        return f"quota used up, continues at {until}"
    if wait.reason == "blocked":
        return f"the provider asked us to wait, continues at {until}"
    if wait.reason == "bucket":
        return "waits for its turn at the pace of the limit; more urgent work goes first"
    return f"waits for a permit, expected at {until}"


def _count(text: str) -> TextColumn:
    return TextColumn(text, justify="right", table_column=Column(justify="right", no_wrap=True))


class _Bars:
    """A bar per provider on a terminal; elsewhere a line when its remark changes."""

    def __init__(self, output: Presenter, names: Sequence[str]) -> None:
        self._output = output
        self._shown: set[str] = set()
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            _count("{task.completed:,}/{task.total:,} calls"),
            # Not records: a page may repeat a row, and one row may give two records.
            _count("{task.fields[rows]} rows read"),
            TextColumn("[yellow]{task.fields[remark]}[/yellow]"),
            console=output.err,
            disable=not output.is_live,
            expand=output.err.width < 100,
        )
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task(name, total=1, rows="0", remark="") for name in names
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, name: str, standing: Standing, remark: str) -> None:
        """Update a provider's bar."""
        self._progress.update(
            self._tasks[name],
            total=standing.steps,
            completed=standing.steps_ended,
            rows=number(standing.rows),
            remark="" if standing.is_final else remark,
        )
        self._note(name, standing, remark)

    def _note(self, name: str, standing: Standing, remark: str) -> None:
        if self._output.is_live:
            return
        text = remark if not standing.is_final else "all ended"
        # A reason that only counts on, such as "not seen for 16 s", is the same one.
        kind = re.sub(r"\d+", "", f"{name} {text}")
        if text and kind not in self._shown:
            self._shown.add(kind)
            self._output.note(
                f"{name}: {text} ({standing.jobs_ended} of {standing.jobs} jobs, "
                f"{number(standing.calls)} calls, {number(standing.rows)} rows read)"
            )
