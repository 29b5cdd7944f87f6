"""`sisgate sync`: enqueues syncs of datasets, and follows them until they end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import commands_of
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import (
    App,
    IdempotencyKey,
    OnUnavailable,
    Priority,
    Provider,
    complete_resource,
)
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.cli.watch import watch
from sisgate.domain.choices import Mode
from sisgate.domain.states import JobState
from sisgate.errors import UnknownResource
from sisgate.stack.interrupts import interrupts

if TYPE_CHECKING:
    from sisgate.gateway import Gateway, Job, JobStatus

app = Commands()


GRACE_SECONDS = 5.0
"""The reconciler ends jobs past their deadline within a few seconds."""


@app.add(
    "sisgate sync powerschool --wait",
    "sisgate sync skyward students enrollments -p high --mode full",
    panel="Work",
)
def sync(
    invocation: Invocation,
    provider: Provider,
    resources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RESOURCE]...",
            help="Datasets to sync. Default: the whole roster.",
            autocompletion=complete_resource,
        ),
    ] = None,
    priority: Priority = "normal",
    mode: Annotated[Mode, typer.Option("--mode", help="How much of the dataset to read.")] = "auto",
    wait: Annotated[bool, typer.Option("--wait", help="Follow the jobs until they end.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Deadline of the jobs, in seconds from now.")
    ] = None,
    allow_deletes: Annotated[
        bool, typer.Option("--allow-deletes", help="Approve any number of deletions.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Include datasets the provider has refused.")
    ] = False,
    idempotency_key: IdempotencyKey = None,
    app: App = None,
    on_unavailable: OnUnavailable = "wait",
) -> None:
    """Sync datasets of a provider into SQL."""
    output = invocation.output
    gateway = invocation.gateway
    names = resources or gateway.datasets.roster(provider, with_absent=force)
    _check(invocation, provider, names)
    if not resources and not force:
        _note_absent(output, gateway, provider)
    jobs = [
        gateway.sync(
            provider,
            resource,
            priority=priority,
            mode=mode,
            allow_deletes=allow_deletes,
            idempotency_key=_key_of(idempotency_key, resource, len(names)),
            timeout=timeout,
            app=app,
            on_unavailable=on_unavailable,
        )
        for resource in names
    ]
    ids = [job.id for job in jobs]
    if all(job.is_stale for job in jobs):
        _show_stale(output, gateway.jobs.statuses(ids), jobs)
        return
    is_stopped = _warn_of_fleet(invocation, output, provider)
    if not wait:
        _show_accepted(invocation, output, gateway.jobs.statuses(ids), is_stopped=is_stopped)
        return
    raise typer.Exit(_follow(invocation, provider, ids, timeout, is_stopped=is_stopped))


def _show_stale(output: Presenter, statuses: Sequence[JobStatus], jobs: Sequence[Job]) -> None:
    """Show the age of the data when nothing was enqueued because the provider takes no calls."""
    ages = {job.id: job.age_seconds or 0.0 for job in jobs}
    output.table(
        statuses,
        {
            "resource": "resource",
            "last synced by": "id",
            "age": lambda status: timedelta(seconds=ages[status.id]),
        },
        json=[{**status.as_dict(), "age_seconds": ages[status.id]} for status in statuses],
    )
    output.warn(
        f"{statuses[0].provider} takes no calls now, so nothing was enqueued. `sisgate records` "
        "shows the data of earlier syncs."
    )


def _note_absent(output: Presenter, gateway: Gateway, provider: str) -> None:
    names = [each.resource for each in gateway.datasets.absent(provider)]
    if names:
        output.note(
            f"Skipping {', '.join(names)}, which {provider} refused. `sisgate providers show "
            f"{provider}` says why, and when to try again; --force tries now."
        )


def _check(invocation: Invocation, provider: str, resources: Sequence[str]) -> None:
    # All or nothing: a typo in the last name must not leave the first ones enqueued.
    try:
        invocation.gateway.datasets.check(provider, *resources)
    except UnknownResource as error:
        raise UnknownResource(f"{error} Nothing was enqueued.", **error.detail) from error


def _key_of(key: str | None, resource: str, count: int) -> str | None:
    # Each dataset needs its own key.
    return f"{key}/{resource}" if key and count > 1 else key


def _warn_of_fleet(invocation: Invocation, output: Presenter, provider: str) -> bool:
    """Warn of what stops the jobs; return whether anything does."""
    stopping = invocation.gateway.fleet.liveness([provider]).stopping(provider)
    if stopping:
        output.warn(f"The jobs wait. {' '.join(map(str, stopping))}")
    return bool(stopping)


def _show_accepted(
    invocation: Invocation, output: Presenter, statuses: Sequence[JobStatus], *, is_stopped: bool
) -> None:
    columns: Columns = {
        "job": "id", "provider": "provider", "resource": "resource", "state": "state",
        "priority": lambda status: status.priority.word,
    }  # fmt: skip
    output.table(statuses, columns)
    sisgate = commands_of(invocation.settings)
    output.note(
        f"They run in the background{' then' if is_stopped else ''}. "
        f"Show one with `{sisgate} jobs show {statuses[0].id[:8]}`, "
        f"all with `{sisgate} jobs list`; `sync --wait` follows jobs until they end."
    )


def _follow(
    invocation: Invocation,
    provider: str,
    jobs: list[str],
    timeout: float | None,
    *,
    is_stopped: bool,
) -> ExitCode:
    output = invocation.output
    limit = None if timeout is None else timeout + GRACE_SECONDS
    with interrupts() as stops:
        watched = watch(
            invocation.gateway,
            output,
            {provider: jobs},
            proceed=lambda _: stops.none,
            timeout=limit,
        )
    _show_ended(output, watched.jobs)
    if watched.is_final:
        failed = {JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED}
        return ExitCode.FAILED if any(s.state in failed for s in watched.jobs) else ExitCode.OK
    if not is_stopped:
        _warn_of_fleet(invocation, output, provider)
    rest = "The jobs continue"
    if timeout is not None:
        rest = "A job past its deadline expires"
    output.note(f"{rest}. See `{commands_of(invocation.settings)} jobs list`.")
    return ExitCode.TRY_AGAIN if stops.none else ExitCode.INTERRUPTED


def _show_ended(output: Presenter, statuses: Sequence[JobStatus]) -> None:
    columns: Columns = {
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
