"""`sisgate jobs retry` and `resolve`: handle jobs that did not succeed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.bulk import act_on_all
from sisgate.cli.exits import ExitCode, exit_code
from sisgate.cli.following import end_of_wait
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.job_queries import MaybeJobsOrFilter, is_filter, query_of
from sisgate.cli.params import DryRun, OfProvider, OneJob, Reason, Yes, time_ago
from sisgate.cli.presenter import Presenter
from sisgate.domain.choices import Resolution
from sisgate.errors import DeferredError, SisgateError, TransientError, UsageError

if TYPE_CHECKING:
    from sisgate.gateway import DeadLetter

app = Commands()

OfApp = Annotated[str | None, typer.Option("--app", help="Only of this app.")]
OfError = Annotated[
    str | None,
    typer.Option(
        "--error", metavar="CODE", help="Only with this error, such as provider_unavailable."
    ),
]
Since = Annotated[datetime | None, time_ago("Only since", "--since")]


@dataclass(frozen=True)
class DeadLetterFilter:
    """Selects dead letters, or with a filter's words any jobs."""

    provider: str | None = None
    app: str | None = None
    error: str | None = None
    since: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it selects all."""
        return self == DeadLetterFilter()

    def as_words(self) -> dict[str, str | None]:
        """Return it as words of a filter, by qualifier."""
        since = self.since.isoformat() if self.since is not None else None
        return {"provider": self.provider, "app": self.app, "error": self.error, "since": since}

    def find(self, invocation: Invocation, limit: int | None = None) -> Sequence[DeadLetter]:
        """Return the matches; `UnknownProvider` or `UsageError` for an impossible filter."""
        if self.provider is not None:
            invocation.gateway.datasets.check(self.provider)
        return invocation.gateway.jobs.dead(
            provider=self.provider, app=self.app, error=self.error, since=self.since, limit=limit
        )


def show_dead(invocation: Invocation, output: Presenter, letters: Sequence[DeadLetter]) -> None:
    """Show dead letters with their last errors."""
    now = invocation.clock.now()
    output.table(
        letters,
        {
            "job": lambda letter: letter.id[:8],
            "age": lambda letter: letter.job.ended_at and now - letter.job.ended_at,
            "app": lambda letter: letter.job.app,
            "provider": lambda letter: letter.job.provider,
            "what": lambda letter: letter.job.resource or letter.job.kind,
            "tries": "tries",
            "lost": "lost_workers",
            "last error": _error_text,
        },
        empty="No matching dead letters.",
    )


def _error_text(letter: DeadLetter) -> str:
    error = letter.job.error or {}
    return f"{error.get('code', '')}: {error.get('message', '')}"


@app.add(
    "sisgate jobs retry 3f8a 91bc",
    "sisgate jobs retry state:expired app:gradebook since:2h --dry-run",
    "sisgate jobs retry --dead --provider skyward --since 2h",
    note="With a filter: all that match. Exits with 1 if some were left as they are.",
)
def retry(
    invocation: Invocation,
    jobs: MaybeJobsOrFilter = None,
    dead: Annotated[bool, typer.Option("--dead", help="All matching dead letters.")] = False,
    provider: OfProvider = None,
    of_app: OfApp = None,
    error: OfError = None,
    since: Since = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Retry failed, expired or cancelled jobs as new jobs, each once."""
    output = invocation.output
    which = DeadLetterFilter(provider, of_app, error, since)
    if is_filter(jobs) and not dead:
        query = query_of(jobs, which.as_words())
        act_on_all(invocation, "retry", query, reason=reason, yes=yes, dry_run=dry_run)
        return
    if bool(jobs) == dead or not (dead or which.is_empty):
        raise UsageError(
            "Give jobs, or a filter such as state:failed since:2h, or select dead letters with "
            "--dead and its options."
        )
    refused: list[SisgateError] = []
    if dead:
        letters = which.find(invocation)
        if dry_run or not letters:
            show_dead(invocation, output, letters)
            return
        _confirm(output, len(letters), yes=yes)
        job_ids = [letter.id for letter in letters]
    else:
        job_ids = _find(invocation, jobs or [], refused)
        if dry_run:
            output.result(job_ids, "\n".join(job_ids))
            return
    retried = _retry_each(invocation, job_ids, refused, reason)
    output.json(retried)
    if dead:
        output.show(f"{len(retried):,} jobs were retried.")
    else:
        for pair in retried:
            again = "is retried" if pair["is_new"] else "was already retried"
            output.show(f"Job {pair['retry_of']} {again} as {pair['job']}.")
    if refused:
        raise typer.Exit(exit_code(refused[0]))


@app.add("sisgate jobs resolve 3f8a --as done --reason 'seen in PowerSchool'")
def resolve(
    invocation: Invocation,
    job: OneJob,
    resolution: Annotated[
        Resolution,
        typer.Option(
            "--as", help="Its outcome; retry: it was not carried out and is enqueued again."
        ),
    ],
    reason: Reason = None,
) -> None:
    """Settle a job whose outcome is unknown."""
    job_id = invocation.gateway.jobs.find(job)
    status = invocation.gateway.jobs.resolve(job_id, resolution, reason=reason, actor=user_name())
    again = f" and retried as {status.id}" if status.id != job_id else ""
    invocation.output.result(status, f"Job {job_id} is resolved as {resolution}{again}.")


def _find(
    invocation: Invocation, beginnings: Sequence[str], refused: list[SisgateError]
) -> list[str]:
    """Return the ids of jobs, reporting those without a single match."""
    job_ids: list[str] = []
    for beginning in beginnings:
        try:
            job_ids.append(invocation.gateway.jobs.find(beginning))
        except UsageError as error:
            refused.append(error)
            invocation.output.error(error)
    return job_ids


def _retry_each(
    invocation: Invocation, job_ids: Sequence[str], refused: list[SisgateError], reason: str | None
) -> list[dict[str, Any]]:
    """Retry each job once, however often this runs, with a progress bar for several.

    Jobs that cannot be retried are reported. A full backlog or Ctrl-C ends the loop; the same
    command then continues with the rest.
    """
    retried: list[dict[str, Any]] = []
    output = invocation.output
    try:
        with output.progress(is_shown=len(job_ids) > 1) as bars:
            bar = bars.add_task("retrying", total=len(job_ids))
            for job_id in job_ids:
                try:
                    job = invocation.gateway.jobs.retry(job_id, actor=user_name(), reason=reason)
                    retried.append({"job": job.id, "retry_of": job_id, "is_new": job.is_new})
                except UsageError as error:
                    refused.append(error)
                    output.error(error)
                bars.advance(bar)
    except (KeyboardInterrupt, DeferredError, TransientError) as error:
        output.note(
            f"{len(retried):,} of {len(job_ids):,} jobs were retried. The same command continues "
            "with the rest; none is retried twice."
        )
        if retried and isinstance(error, TransientError):
            raise end_of_wait(error) from error
        raise
    return retried


def _confirm(output: Presenter, count: int, *, yes: bool) -> None:
    """Ask for confirmation; `UsageError` outside a terminal."""
    if yes:
        return
    if output.as_json or not (sys.stdin.isatty() and output.is_live):
        raise UsageError(
            f"{count:,} dead letters match. Add --yes to retry them, or --dry-run to see them."
        )
    if not typer.confirm(f"Retry {count:,} jobs?", err=True):
        output.note("No job was retried.")
        raise typer.Exit(ExitCode.FAILED)
