"""`sisgate jobs`: finds, shows and cancels jobs, one or all that match a filter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.bulk import act_on_all
from sisgate.cli.commands import dead_letters, held
from sisgate.cli.commands.dead_letters import DeadLetterFilter, OfApp, OfError, Since, show_dead
from sisgate.cli.formats import counted, duration, number, zone_name
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.job_queries import Filter, JobsOrFilter, is_filter, query_of
from sisgate.cli.params import DryRun, OfProvider, OneJob, Reason, Yes
from sisgate.cli.tables import Columns
from sisgate.domain.moments import local_time
from sisgate.domain.states import JobState
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import JobStatus
    from sisgate.gateway.answer import RequestTarget
    from sisgate.gateway.timeline_entry import TimelineEntry

app = Commands("jobs", "Show, cancel and retry jobs.", panel="Work")


TONES = {"good": "green", "warn": "yellow", "bad": "red", "busy": "cyan"}


@app.add(
    "sisgate jobs list state:failed provider:skyward since:2h",
    "sisgate jobs list --dead --provider skyward --json",
    name="list",
)
def list_jobs(
    invocation: Invocation,
    words: Filter = None,
    states: Annotated[
        list[JobState] | None,
        typer.Option(
            "--state", "-s", metavar="STATE",
            help="Only jobs in this state. May be repeated.",
        ),
    ] = None,
    provider: OfProvider = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 30,
    dead: Annotated[
        bool, typer.Option("--dead", help="Only dead letters, oldest first.")
    ] = False,
    of_app: OfApp = None,
    error: OfError = None,
    since: Since = None,
) -> None:  # fmt: skip
    """List the newest jobs that match a filter, or the dead letters."""
    which = DeadLetterFilter(provider, of_app, error, since)
    if dead and (states or words):
        what = "--state" if states else "A filter"
        raise UsageError(f"{what} does not combine with --dead. is:dead is the same as a filter.")
    if dead:
        show_dead(invocation, invocation.output, which.find(invocation, limit))
        return
    if provider is not None:
        invocation.gateway.datasets.check(provider)
    query = query_of(words, which.as_words(), states or ())
    jobs = invocation.gateway.jobs.search(query, limit=limit)
    columns = _columns(jobs, invocation.clock.now())
    invocation.output.table(jobs, columns, empty="No matching jobs.")
    if jobs and "app" not in columns:
        invocation.output.show(Text(f"All are of the app {jobs[0].app}.", "dim"))


def _columns(jobs: Sequence[JobStatus], now: datetime) -> Columns:
    """Return the columns of a list, so that a job takes one line of a usual terminal.

    The day is left out if all are of today, and the app if there is only one.
    """
    days = {each.accepted_at.astimezone().date() for each in jobs} | {now.astimezone().date()}
    when = "%H:%M" if len(days) == 1 else "%m-%d %H:%M"
    columns: Columns = {
        "job": lambda status: status.id[:8],
        "state": "state",
        f"accepted {zone_name(now)}" if len(days) > 1 else f"at {zone_name(now)}": (
            lambda status: f"{status.accepted_at.astimezone():{when}}"
        ),
        "what": lambda status: f"{status.provider}/{status.resource or status.kind}",
        "calls": "calls_made",
        "read": "rows_seen",
        "ins/upd/del": _changes,
    }
    if len({each.app for each in jobs}) > 1:
        columns = {**columns, "app": "app"}
    if any(each.settled_by for each in jobs):
        columns = {**columns, "settled by": lambda status: (status.settled_by or "")[:8] or None}
    return {**columns, "error": lambda status: (status.error or {}).get("message")}


def _changes(status: JobStatus) -> str | None:
    counts = (status.inserted, status.updated, status.deleted)
    return "/".join(map(number, counts)) if any(counts) else None


@app.add("sisgate jobs show 3f8a")
def show(invocation: Invocation, job: OneJob) -> None:
    """Show everything about a job."""
    status = invocation.gateway.jobs.status(invocation.gateway.jobs.find(job))
    wait, explanation = _wait(invocation, status)
    target = invocation.gateway.jobs.request_target(status.id)
    value = {**status.as_dict(), "waits_for": wait, "request": target}
    invocation.output.facts(_details(status, explanation, target), json=value)


@app.add("sisgate jobs timeline 3f8a")
def timeline(invocation: Invocation, job: OneJob) -> None:
    """Show what happened to a job, in order, and whose fault each wait was."""
    output, jobs = invocation.output, invocation.gateway.jobs
    found = jobs.timeline(jobs.find(job))
    columns: Columns = {
        f"at {zone_name(invocation.clock.now())}": lambda each: f"{each.at.astimezone():%H:%M:%S}",
        "lasted": lambda each: None if each.seconds is None else duration(each.seconds),
        "fault": lambda each: each.fault,
        "what": _told,
    }
    days = {each.at.astimezone().date() for each in found.entries}
    if len(days) > 1:
        columns = {"day": lambda each: f"{each.at.astimezone():%m-%d}", **columns}
    output.table(found.entries, columns, json=found)
    if not found.is_whole:
        output.note("The job has more calls; these are the first.")


@app.add(
    "sisgate jobs cancel 3f8a",
    "sisgate jobs cancel state:accepted state:running provider:skyward --dry-run",
    note="With a filter: all that match. Exits with 1 if some were left as they are.",
)
def cancel(
    invocation: Invocation,
    jobs: JobsOrFilter,
    reason: Reason = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Cancel a job, or all that match. Calls in flight finish; their responses are discarded."""
    if is_filter(jobs):
        query = " ".join(jobs)
        act_on_all(invocation, "cancel", query, reason=reason, yes=yes, dry_run=dry_run)
        return
    if len(jobs) > 1 or dry_run:
        raise UsageError("Give one job, or a filter such as state:running provider:skyward.")
    found = invocation.gateway.jobs.find(jobs[0])
    status = invocation.gateway.jobs.cancel(found, actor=user_name(), reason=reason)
    invocation.output.result(status, f"Job {status.id} is cancelled.")


def _told(entry: TimelineEntry) -> Text:
    return Text(entry.text, TONES.get(entry.tone, ""))


def _wait(invocation: Invocation, status: JobStatus) -> tuple[dict[str, Any] | None, str | None]:
    """Return what a job waits for, as JSON and as text; None for nothing."""
    if status.is_final:
        return None, None
    wait = invocation.gateway.jobs.waits_for(status.id)
    return (wait.as_dict(), wait.explanation(status.provider)) if wait else (None, None)


def _changed(status: JobStatus) -> str:
    kinds = ("inserted", "updated", "deleted")
    return ", ".join(f"{number(getattr(status, kind))} {kind}" for kind in kinds)


def _dead(status: JobStatus) -> str | None:
    if not status.dead or status.retried_as is not None:
        return None
    return f"given up; retry with `sisgate jobs retry {status.id[:8]}`"


def _settled(status: JobStatus) -> str | None:
    if status.settled_by is None:
        return None
    return f"by a later sync (job {status.settled_by[:8]}) at {local_time(status.settled_at)}"


def _target(target: RequestTarget | None) -> str | None:
    if target is None:
        return None
    if target.path is None:
        return f"{target.method or ''} (path not shown: {target.hidden})"
    query = "&".join(f"{name}={value}" for name, value in target.pairs)
    return f"{target.method} {target.path}{'?' if query else ''}{query}"


def _details(
    status: JobStatus, waits_for: str | None, target: RequestTarget | None
) -> list[tuple[str, object]]:
    calls = ", ".join(
        f"{number(count)} {call_state}" for call_state, count in sorted(status.calls.items())
    )
    return [
        ("job", status.id),
        ("state", status.state),
        ("waits for", waits_for),
        ("what", f"{status.kind} {status.provider} {status.resource or ''} {status.mode or ''}"),
        ("request", _target(target)),
        ("app", f"{status.app}, priority {status.priority.word}"),
        ("accepted", status.accepted_at),
        ("started", status.started_at or "-"),
        ("ended", status.ended_at or "-"),
        ("deadline", status.expires_at),
        ("calls made", status.calls_made),
        ("also answered", counted(status.shared, "more request") if status.shared else None),
        ("throttled", f"{number(status.throttled)} of them" if status.throttled else None),
        ("calls", calls or "none planned yet"),
        ("records", f"{number(status.rows_seen)} rows read, {_changed(status)}"),
        ("complete", status.complete),
        ("note", status.note),
        ("settled", _settled(status)),
        ("trace", status.trace),
        ("dead letter", _dead(status)),
        ("retried as", status.retried_as),
        *(status.error or {}).items(),
    ]


app.add_typer(held.app)
app.add_typer(dead_letters.app)
