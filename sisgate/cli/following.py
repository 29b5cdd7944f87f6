"""Follows syncs until they end, and shows what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import Invocation
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.cli.watch import POLL_SECONDS, POLL_SECONDS_BY_HTTP, watch
from sisgate.domain.states import JobState
from sisgate.domain.validation import some_of
from sisgate.errors import DatabaseUnavailable, ServiceUnavailable, SisgateError, TransientError
from sisgate.stack.interrupts import interrupts

if TYPE_CHECKING:
    from sisgate.gateway import JobStatus

GRACE_SECONDS = 5.0
"""The reconciler ends jobs past their deadline within a few seconds."""


MOST_NAMED = 5
"""How many jobs are named when they can no longer be followed."""


def end_of_wait(error: TransientError, fate: str = "", jobs: Sequence[str] = ()) -> TransientError:
    """Return an outage as what ended a wait (75): some of it was accepted before."""
    what = str(error).replace(" Nothing was accepted.", "")
    named = jobs or filter(None, [error.detail.get("job")])
    return TransientError(f"{what} {fate}".rstrip(), jobs=list(named) or None)


@contextmanager
def accepting(invocation: Invocation, accepted: Collection[str], search: str) -> Iterator[None]:
    """Within the block, jobs are accepted, then followed: what ends it does not end them.

    `accepted` has the ids of those that are, and grows; `search` finds the others. An outage is
    raised as the end of a wait (75), and not as one before which nothing was accepted (4).
    """
    try:
        yield
    except TransientError as error:
        fate = _fate(invocation, accepted, search, error)
        if not fate:
            raise
        raise end_of_wait(error, fate, list(accepted)) from error
    except SisgateError as error:
        if fate := _fate(invocation, accepted, search, error):
            invocation.output.note(fate)
        raise


@contextmanager
def going_on(fate: str) -> Iterator[None]:
    """Within the block, wait for what goes on anyhow: an outage is the end of the wait (75)."""
    try:
        yield
    except TransientError as error:
        raise end_of_wait(error, fate) from error


def _fate(
    invocation: Invocation, accepted: Collection[str], search: str, error: SisgateError
) -> str:
    """Return what becomes of jobs that can no longer be followed; '' if there is none."""
    sisgate = invocation.command
    if isinstance(error, DatabaseUnavailable) and "job" in error.detail:
        accepted = [error.detail["job"]]
    if accepted:
        names, is_one = some_of(list(accepted), MOST_NAMED), len(accepted) == 1
        look = f"{sisgate} jobs show {names[:8]}" if is_one else f"{sisgate} jobs list {search}"
        return (
            f"Job {names} was accepted and continues: see `{look}`."
            if is_one
            else f"{len(accepted)} jobs were accepted and continue: see `{look}`. They are {names}."
        )
    if isinstance(error, ServiceUnavailable) and error.was_sent:
        look = f"`{sisgate} jobs list {search}`"
        return f"It may have been accepted all the same, and continues then: see {look}."
    return ""


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
