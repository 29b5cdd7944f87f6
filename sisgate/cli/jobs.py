"""`sisgate jobs`: what was asked for, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from sisgate.cli import completion, remedies
from sisgate.cli.dead_letters import Filter, OfApp, OfError, OfProvider, Since, show_dead
from sisgate.cli.hold_words import wait_words
from sisgate.cli.invocation import Invocation, invocation_of, user_name
from sisgate.cli.job_ids import OneJob, full_id
from sisgate.cli.no_answer import what_is_down
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.cli.screens import (
    facts,
    moment,
    number,
    short_moment,
    state,
    table,
    zone_name,
)
from sisgate.domain.states import JobState
from sisgate.errors import UsageError
from sisgate.gateway import JobStatus

app = typer.Typer(no_args_is_help=True, help="Look at jobs, cancel them, try them again.")
app.command(epilog=remedies.RETRY_EPILOG)(remedies.retry)
app.command(epilog=remedies.RESOLVE_EPILOG)(remedies.resolve)


@app.command(
    "list",
    epilog=examples(
        "sisgate jobs list --state running", "sisgate jobs list --dead --provider skyward --json"
    ),
)
def list_jobs(
    context: typer.Context,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state", "-s", help="Only in this state; several times for several.",
            autocompletion=completion.states, show_default=False,
        ),
    ] = None,
    provider: OfProvider = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 30,
    dead: Annotated[
        bool, typer.Option("--dead", help="Only dead letters: what was given up, oldest first.")
    ] = False,
    of_app: OfApp = None,
    error: OfError = None,
    since: Since = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show the newest jobs, or the dead letters."""
    invocation, output = invocation_of(context), Output(as_json)
    which = Filter(provider, of_app, error, since)
    if dead and states:
        raise UsageError("--state does not go with --dead: dead letters have failed.")
    if dead:
        show_dead(invocation, output, which.find(invocation, limit))
        return
    if which != Filter(provider):
        raise UsageError("--app, --error and --since choose among dead letters: add --dead.")
    wanted = _states(states or [])
    if provider is not None:
        invocation.gateway.provider(provider)
    found = invocation.gateway.jobs(states=wanted, provider=provider, limit=limit)
    output.json([status.as_dict() for status in found])
    tallies = ("ins", "upd", "del") if not output.is_narrow else ()
    numbers = ("calls", "read", *tallies)
    accepted = f"accepted {zone_name(invocation.clock.now())}"
    made = table(("job", accepted, "provider", "what", "state", *numbers), numbers=numbers)
    for status in found:
        counts = [status.calls_made, status.rows_seen]
        if tallies:
            counts += [status.inserted, status.updated, status.deleted]
        made.add_row(
            status.id[:8], short_moment(status.accepted_at), status.provider,
            status.resource or status.kind, state(status.state), *map(number, counts),
        )  # fmt: skip
    output.show(made if found else Text("No job fits.", "dim"))


@app.command(epilog=examples("sisgate jobs show 3f8a"))
def show(context: typer.Context, job: OneJob, as_json: Json = False) -> None:
    """Show everything the ledger knows of a job."""
    invocation, output = invocation_of(context), Output(as_json)
    status = invocation.gateway.job_status(full_id(invocation, job))
    wait, words = _wait(invocation, status)
    output.json({**status.as_dict(), "waits_for": wait})
    output.show(_details(status, words))


@app.command(epilog=examples("sisgate jobs cancel 3f8a"))
def cancel(context: typer.Context, job: OneJob, as_json: Json = False) -> None:
    """Cancel a job. A call under way ends, and its answer is dropped."""
    invocation, output = invocation_of(context), Output(as_json)
    status = invocation.gateway.cancel(full_id(invocation, job), actor=user_name())
    output.json(status.as_dict())
    output.show(Text(f"Job {status.id} is cancelled."))


def _wait(invocation: Invocation, status: JobStatus) -> tuple[dict[str, Any] | None, str | None]:
    """Return what a job waits for, for programs and for people; None twice for nothing."""
    if status.is_final:
        return None, None
    obstacle = what_is_down(invocation)
    if obstacle is not None:
        return {"reason": "down", "until": None, "by_hand": False}, f"the fleet. {obstacle}"
    wait = invocation.gateway.waits_for(status.id)
    return (wait.as_dict(), wait_words(wait, status.provider)) if wait else (None, None)


def _states(words: list[str]) -> list[JobState]:
    known = [state.value for state in JobState]
    for word in words:
        if word not in known:
            raise UsageError(f"--state is one of {', '.join(known)}, not {word!r}.")
    return [JobState(word) for word in words]


def _changed(status: JobStatus) -> str:
    words = ("inserted", "updated", "deleted")
    return ", ".join(f"{number(getattr(status, word))} {word}" for word in words)


def _dead_words(status: JobStatus) -> str | None:
    if not status.dead or status.retried_as is not None:
        return None
    return f"given up; `sisgate jobs retry {status.id[:8]}` tries it again"


def _details(status: JobStatus, waits_for: str | None) -> Table:
    calls = ", ".join(f"{count} {word}" for word, count in sorted(status.calls.items()))
    rows: list[tuple[str, Text | str | None]] = [
        ("job", status.id),
        ("state", state(status.state)),
        ("waits for", waits_for),
        ("what", f"{status.kind} {status.provider} {status.resource or ''} {status.mode or ''}"),
        ("app", f"{status.app}, priority {status.priority.word}"),
        ("accepted", moment(status.accepted_at)),
        ("started", moment(status.started_at)),
        ("ended", moment(status.ended_at)),
        ("deadline", moment(status.expires_at) if status.expires_at else None),
        ("calls", f"{status.calls_made} made; {calls or 'none planned yet'}"),
        ("throttled", number(status.throttled) if status.throttled else None),
        ("records", f"{number(status.rows_seen)} read, {_changed(status)}"),
        ("complete", {None: None, True: "yes", False: "no"}[status.complete]),
        ("note", status.note),
        ("dead letter", _dead_words(status)),
        ("tried again as", status.retried_as),
        *((name, str(value)) for name, value in (status.error or {}).items()),
    ]  # fmt: skip
    return facts((name, value) for name, value in rows if value is not None)
