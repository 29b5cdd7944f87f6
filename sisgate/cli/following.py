"""Follows syncs until they end, and shows what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import Invocation
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.cli.watch import POLL_SECONDS, POLL_SECONDS_BY_HTTP, watch
from sisgate.domain.states import JobState
from sisgate.stack.interrupts import interrupts

if TYPE_CHECKING:
    from sisgate.gateway import JobStatus

GRACE_SECONDS = 5.0
"""The reconciler ends jobs past their deadline within a few seconds."""


def warn_of_fleet(invocation: Invocation, providers: Collection[str]) -> bool:
    """Warn of what stops the jobs, by the first provider; return whether anything does."""
    liveness = invocation.gateway.fleet.liveness(list(providers))
    stopped = [found for name in providers if (found := liveness.stopping(name))]
    if stopped:
        jobs = "The jobs wait."
        if len(providers) > 1:
            jobs = f"The jobs of {len(stopped)} of {len(providers)} providers wait; "
            jobs += "`sisgate providers` shows all."
        invocation.output.warn(f"{jobs} {' '.join(map(str, stopped[0]))}")
    return bool(stopped)


def follow(
    invocation: Invocation,
    jobs: Mapping[str, Sequence[str]],
    timeout: float | None,
    *,
    is_stopped: bool,
) -> ExitCode:
    """Follow jobs, given as ids by provider; show how they ended and return the exit code."""
    output = invocation.output
    limit = None if timeout is None else timeout + GRACE_SECONDS
    with interrupts() as stops:
        watched = watch(
            invocation.gateway,
            output,
            jobs,
            clock=invocation.clock,
            every_seconds=POLL_SECONDS_BY_HTTP if invocation.service else POLL_SECONDS,
            proceed=lambda _: stops.none,
            timeout=limit,
        )
    _show_ended(output, watched.jobs, of_many=len(jobs) > 1)
    if watched.is_final:
        failed = {JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED}
        return ExitCode.FAILED if any(s.state in failed for s in watched.jobs) else ExitCode.OK
    if not is_stopped:
        warn_of_fleet(invocation, jobs)
    rest = "The jobs continue"
    if timeout is not None:
        rest = "A job past its deadline expires"
    output.note(f"{rest}. See `{invocation.command} jobs list`.")
    return ExitCode.TRY_AGAIN if stops.none else ExitCode.INTERRUPTED


def _show_ended(output: Presenter, statuses: Sequence[JobStatus], *, of_many: bool = False) -> None:
    columns: Columns = {
        **({"provider": "provider"} if of_many else {}),
        "resource": "resource", "state": "state", "read": "rows_seen", "inserted": "inserted",
        "updated": "updated", "deleted": "deleted", "calls": "calls_made", "time": _time_taken,
        "mode": "mode",
    }  # fmt: skip
    output.table(statuses, columns)
    for line in remarks(statuses):
        output.warn(line)
    for status in statuses:
        if status.state is JobState.HELD:
            output.warn(
                f"{status.resource}: deletions are held back. If they are correct, approve them: "
                f"sisgate sync {status.provider} {status.resource} --mode full --allow-deletes"
            )


def remarks(statuses: Sequence[JobStatus]) -> list[str]:
    """Return the errors and notes of jobs, each once with all its datasets."""
    datasets: dict[str, list[str]] = {}
    for status in statuses:
        for text in ((status.error or {}).get("message"), status.note):
            if text:
                datasets.setdefault(text, []).append(str(status.resource))
    return [f"{', '.join(names)}: {text}" for text, names in datasets.items()]


def _time_taken(status: JobStatus) -> timedelta | None:
    if status.ended_at is None:
        return None
    return status.ended_at - (status.started_at or status.accepted_at)
