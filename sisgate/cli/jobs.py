"""`sisgate jobs`: what was asked for, and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from sisgate.cli import completion
from sisgate.cli.exits import exit_code
from sisgate.cli.invocation import Invocation, invocation_of
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
from sisgate.errors import SisgateError, UnknownJob, UsageError
from sisgate.gateway import JobStatus
from sisgate.ledger.schema import Job

app = typer.Typer(no_args_is_help=True, help="Look at jobs, cancel them, try them again.")

DEAD = (JobState.FAILED, JobState.EXPIRED)
Jobs = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", help="Ids, or their beginnings.", show_default=False),
]
OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Id, or its beginning.")]


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
    provider: Annotated[
        str | None,
        typer.Option(
            help="Only of this provider.", autocompletion=completion.providers, show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 30,
    dead: Annotated[bool, typer.Option("--dead", help="Only failed and expired ones.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show the newest jobs."""
    invocation, output = invocation_of(context), Output(as_json)
    wanted = [*_states(states or []), *(DEAD if dead else ())]
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
    output.json(status.as_dict())
    output.show(_details(status))


@app.command(epilog=examples("sisgate jobs cancel 3f8a"))
def cancel(context: typer.Context, job: OneJob, as_json: Json = False) -> None:
    """Cancel a job. A call under way ends, and its answer is dropped."""
    invocation, output = invocation_of(context), Output(as_json)
    status = invocation.gateway.cancel(full_id(invocation, job))
    output.json(status.as_dict())
    output.show(Text(f"Job {status.id} is cancelled."))


@app.command(epilog=examples("sisgate jobs retry 3f8a 91bc"))
def retry(context: typer.Context, jobs: Jobs, as_json: Json = False) -> None:
    """Enqueue failed, expired or cancelled jobs once more, as new jobs."""
    invocation, output = invocation_of(context), Output(as_json)
    made: list[dict[str, str]] = []
    refused: list[SisgateError] = []
    for word in jobs:
        try:
            old = full_id(invocation, word)
            made.append({"job": invocation.gateway.retry(old).id, "retry_of": old})
        except UsageError as error:
            # The others are tried all the same; the exit code tells that one was refused.
            refused.append(error)
            output.note(Text.assemble(("error: ", "bold red"), str(error)))
    output.json(made)
    for pair in made:
        output.show(Text(f"Job {pair['retry_of']} is tried again as {pair['job']}."))
    if refused:
        raise typer.Exit(exit_code(refused[0]))


def full_id(invocation: Invocation, beginning: str) -> str:
    """Return the id of the one job whose id begins so; `UnknownJob` or `UsageError` else."""
    wanted = beginning.strip().lower()
    if not wanted:
        raise UsageError("A job is named by its id or the beginning of it.")
    query = select(Job.id).where(Job.id.startswith(wanted, autoescape=True)).limit(3)
    with invocation.database.read() as session:
        found = list(session.scalars(query))
    if not found:
        raise UnknownJob(f"No job's id begins with {wanted}. See `sisgate jobs list`.")
    if wanted in found:
        return wanted
    if len(found) > 1:
        several = ", ".join(job_id[: len(wanted) + 4] for job_id in found)
        raise UsageError(f"Several jobs begin with {wanted} ({several}, …): write more of the id.")
    return found[0]


def _states(words: list[str]) -> list[JobState]:
    known = [state.value for state in JobState]
    for word in words:
        if word not in known:
            raise UsageError(f"--state is one of {', '.join(known)}, not {word!r}.")
    return [JobState(word) for word in words]


def _changed(status: JobStatus) -> str:
    words = ("inserted", "updated", "deleted")
    return ", ".join(f"{number(getattr(status, word))} {word}" for word in words)


def _details(status: JobStatus) -> Table:
    calls = ", ".join(f"{count} {word}" for word, count in sorted(status.calls.items()))
    rows: list[tuple[str, Text | str | None]] = [
        ("job", status.id),
        ("state", state(status.state)),
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
        *((name, str(value)) for name, value in (status.error or {}).items()),
    ]  # fmt: skip
    return facts((name, value) for name, value in rows if value is not None)
