"""`sisgate jobs`: lists, shows and cancels jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.commands import dead_letters
from sisgate.cli.commands.dead_letters import DeadLetterFilter, OfApp, OfError, Since, show_dead
from sisgate.cli.formats import number, short_moment, zone_name
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import OfProvider, OneJob
from sisgate.cli.tables import Columns
from sisgate.domain.states import JobState
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import JobStatus
    from sisgate.gateway.answer import RequestTarget

app = Commands("jobs", "Show, cancel and retry jobs.", panel="Work")


@app.add(
    "sisgate jobs list --state running",
    "sisgate jobs list --dead --provider skyward --json",
    name="list",
)
def list_jobs(
    invocation: Invocation,
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
    """List the newest jobs, or the dead letters."""
    which = DeadLetterFilter(provider, of_app, error, since)
    if dead and states:
        raise UsageError("--state does not combine with --dead: dead letters have failed.")
    if dead:
        show_dead(invocation, invocation.output, which.find(invocation, limit))
        return
    if which != DeadLetterFilter(provider):
        raise UsageError("--app, --error and --since select dead letters: add --dead.")
    jobs = invocation.gateway.jobs.list(states=states or (), provider=provider, limit=limit)
    accepted = f"accepted {zone_name(invocation.clock.now())}"
    columns: Columns = {
        "job": "id",
        accepted: lambda status: short_moment(status.accepted_at),
        "provider": "provider",
        "what": lambda status: status.resource or status.kind,
        "state": "state",
        "app": "app",
        "calls": "calls_made",
        "read": "rows_seen",
        "ins": "inserted",
        "upd": "updated",
        "del": "deleted",
        "error": lambda status: (status.error or {}).get("message"),
    }
    invocation.output.table(jobs, columns, empty="No matching jobs.")


@app.add("sisgate jobs show 3f8a")
def show(invocation: Invocation, job: OneJob) -> None:
    """Show everything about a job."""
    status = invocation.gateway.jobs.status(invocation.gateway.jobs.find(job))
    wait, explanation = _wait(invocation, status)
    target = invocation.gateway.jobs.request_target(status.id)
    value = {**status.as_dict(), "waits_for": wait, "request": target}
    invocation.output.facts(_details(status, explanation, target), json=value)


@app.add("sisgate jobs cancel 3f8a")
def cancel(invocation: Invocation, job: OneJob) -> None:
    """Cancel a job. A call in flight finishes; its response is discarded."""
    status = invocation.gateway.jobs.cancel(invocation.gateway.jobs.find(job), actor=user_name())
    invocation.output.result(status, f"Job {status.id} is cancelled.")


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
    steps = ", ".join(f"{count} {call_state}" for call_state, count in sorted(status.calls.items()))
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
        ("calls", status.calls_made),
        ("also answered", f"{number(status.shared)} more requests" if status.shared else None),
        ("throttled", f"{number(status.throttled)} of them" if status.throttled else None),
        ("steps", steps or "none planned yet"),
        ("records", f"{number(status.rows_seen)} read, {_changed(status)}"),
        ("complete", status.complete),
        ("note", status.note),
        ("dead letter", _dead(status)),
        ("retried as", status.retried_as),
        *(status.error or {}).items(),
    ]


app.add_typer(dead_letters.app)
