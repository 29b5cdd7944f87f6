"""`sisgate jobs retry` and `resolve`: what a person does about jobs that did not succeed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.exits import exit_code
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import OfProvider, OneJob, time_ago
from sisgate.cli.presenter import Presenter
from sisgate.errors import DeferredError, SisgateError, UsageError
from sisgate.gateway import DeadLetter
from sisgate.gateway.job_actions import Resolution

app = Commands()

OfApp = Annotated[str | None, typer.Option("--app", help="Dead letters of this app.")]
OfError = Annotated[
    str | None,
    typer.Option(
        "--error",
        metavar="CODE",
        help="Dead letters with this error, such as provider_unavailable.",
    ),
]
Since = Annotated[datetime | None, time_ago("Dead letters from then on", "--since")]


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters are meant."""

    provider: str | None = None
    app: str | None = None
    error: str | None = None
    since: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all of them are."""
        return self == DeadLetterFilter()

    def find(self, invocation: Invocation, limit: int | None = None) -> Sequence[DeadLetter]:
        """Return those that fit; `UnknownProvider` and `UsageError` where one cannot be meant."""
        if self.provider is not None:
            invocation.gateway.providers.get(self.provider)
        return invocation.gateway.jobs.dead(
            provider=self.provider, app=self.app, error=self.error, since=self.since, limit=limit
        )


def show_dead(invocation: Invocation, output: Presenter, letters: Sequence[DeadLetter]) -> None:
    """Show dead letters, with what each died of."""
    now = invocation.clock.now()
    output.table(
        letters,
        {
            "job": "id",
            "age": lambda letter: letter.job.ended_at and now - letter.job.ended_at,
            "app": lambda letter: letter.job.app,
            "provider": lambda letter: letter.job.provider,
            "what": lambda letter: letter.job.resource or letter.job.kind,
            "tries": "tries",
            "lost": "lost_workers",
            "last error": _error_words,
        },
        empty="No dead letter fits.",
    )


def _error_words(letter: DeadLetter) -> str:
    error = letter.job.error or {}
    return f"{error.get('code', '')}: {error.get('message', '')}"


@app.add("sisgate jobs retry 3f8a 91bc", "sisgate jobs retry --dead --provider skyward --since 2h")
def retry(
    invocation: Invocation,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB...]", help="Ids, or their beginnings.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All matching dead letters.")] = False,
    provider: OfProvider = None,
    of_app: OfApp = None,
    error: OfError = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the jobs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")] = False,
) -> None:
    """Retry failed, expired or cancelled jobs as new jobs, each once."""
    output = invocation.output
    which = DeadLetterFilter(provider, of_app, error, since)
    if bool(jobs) == dead or not (dead or which.is_empty):
        raise UsageError("Name jobs, or choose dead letters with --dead and its filters.")
    lost: list[SisgateError] = []
    if dead:
        letters = which.find(invocation)
        if dry_run or not letters:
            show_dead(invocation, output, letters)
            return
        confirm(output, len(letters), yes=yes)
        found = [letter.id for letter in letters]
    else:
        found, lost = _full_ids(invocation, output, jobs or [])
        if dry_run:
            output.result(found, "\n".join(found))
            return
    done = retry_each(invocation, output, found)
    output.json(done.made)
    _show_retried(output, done.made, is_bulk=dead)
    if refused := [*lost, *done.refused]:
        raise typer.Exit(exit_code(refused[0]))


@app.add("sisgate jobs resolve 3f8a --as done --reason 'seen in PowerSchool'")
def resolve(
    invocation: Invocation,
    job: OneJob,
    resolution: Annotated[
        Resolution,
        typer.Option(
            "--as", help="What happened to it; retry: not carried out, and enqueued again."
        ),
    ],
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
) -> None:
    """Settle a job whose outcome is unknown."""
    job_id = invocation.gateway.jobs.find(job)
    status = invocation.gateway.jobs.resolve(job_id, resolution, reason=reason, actor=user_name())
    again = f" and is tried again as {status.id}" if status.id != job_id else ""
    invocation.output.result(status, f"Job {job_id} is resolved as {resolution}{again}.")


@dataclass
class Round:
    """What became of many jobs that were to be tried again."""

    made: list[dict[str, Any]] = field(default_factory=list)
    refused: list[SisgateError] = field(default_factory=list)


def retry_each(invocation: Invocation, output: Presenter, job_ids: Sequence[str]) -> Round:
    """Enqueue jobs once more, with a bar where there are many; each once, however often it is run.

    A job that cannot be tried again is told, and the others go on. What cannot be taken now (a
    backlog that is full) ends it, and so does Ctrl-C; the same command goes on with the rest.
    """
    done = Round()
    try:
        with output.progress(is_shown=len(job_ids) > 1) as bars:
            bar = bars.add_task("trying again", total=len(job_ids))
            for job_id in job_ids:
                try:
                    job = invocation.gateway.jobs.retry(job_id, actor=user_name())
                    done.made.append({"job": job.id, "retry_of": job_id, "is_new": job.is_new})
                except UsageError as error:
                    done.refused.append(error)
                    output.error(error)
                bars.advance(bar)
    except (KeyboardInterrupt, DeferredError):
        words = f"{len(done.made):,} of {len(job_ids):,} jobs were tried again."
        output.note(f"{words} The same command goes on with the rest; none is tried twice.")
        raise
    return done


def confirm(output: Presenter, count: int, *, yes: bool) -> None:
    """Ask whether so many jobs are to be tried again; `UsageError` where nobody can be asked."""
    if yes:
        return
    if output.as_json or not (sys.stdin.isatty() and output.is_live):
        raise UsageError(
            f"{count:,} dead letters fit. Add --yes to try them again, or --dry-run to see them."
        )
    typer.confirm(f"Try {count:,} jobs again?", abort=True, err=True)


def _show_retried(output: Presenter, made: Sequence[Mapping[str, Any]], *, is_bulk: bool) -> None:
    if is_bulk:
        output.show(f"{len(made):,} jobs are tried again.")
        return
    for pair in made:
        was = "is tried again" if pair["is_new"] else "was tried again before,"
        output.show(f"Job {pair['retry_of']} {was} as {pair['job']}.")


def _full_ids(
    invocation: Invocation, output: Presenter, words: Sequence[str]
) -> tuple[list[str], list[SisgateError]]:
    """Return the ids of jobs, and the errors of those that are none; the others go on."""
    found: list[str] = []
    lost: list[SisgateError] = []
    for word in words:
        try:
            found.append(invocation.gateway.jobs.find(word))
        except UsageError as error:
            lost.append(error)
            output.error(error)
    return found, lost
