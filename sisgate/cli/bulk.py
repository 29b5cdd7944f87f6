"""Retrying or cancelling all jobs that match a filter: review, confirmation, conflicts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from sisgate.cli.exits import ExitCode
from sisgate.cli.following import end_of_wait
from sisgate.cli.formats import counted, number, short_moment
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns, Grid
from sisgate.errors import DeferredError, TransientError, UsageError

if TYPE_CHECKING:
    from sisgate.gateway import BulkReview
    from sisgate.gateway.bulk_actions import BulkAction, BulkConflict

JOBS: Columns = {
    "job": "id",
    "accepted": lambda status: short_moment(status.accepted_at),
    "provider": "provider",
    "what": lambda status: status.resource or status.kind,
    "state": "state",
    "app": "app",
}

CONSEQUENCES = {
    "retry": "Each is enqueued again as a new job. A failed sync resumes where it ended.",
    "cancel": "Each ends now as cancelled. Calls in flight finish; their responses are discarded.",
}
DONE = {"retry": "retried", "cancel": "cancelled"}


def act_on_all(
    invocation: Invocation,
    action: BulkAction,
    query: str,
    *,
    reason: str | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Show what would be done to all jobs that match, ask, and do it, round by round.

    Exits with 1 if jobs were left as they are because they had moved or may not be touched.
    """
    output = invocation.output
    found = invocation.gateway.jobs.review_bulk(action, query)
    if dry_run or not found.count:
        _show_review(output, found)
        output.json(found)
        return
    if not yes:
        _confirm(output, found)
    done, conflicts = _rounds(invocation, found, reason)
    _show_outcome(output, action, done, conflicts)
    if conflicts:
        raise typer.Exit(ExitCode.FAILED)


def _rounds(
    invocation: Invocation, found: BulkReview, reason: str | None
) -> tuple[int, list[BulkConflict]]:
    """Do it to what was reviewed; return to how many it was done, and the conflicts."""
    output, after, done = invocation.output, None, 0
    conflicts: list[BulkConflict] = []
    total = None if found.is_capped else found.count
    try:
        with output.progress(is_shown=found.count > 1) as bars:
            bar = bars.add_task(found.action, total=total)
            while True:
                outcome = invocation.gateway.jobs.run_bulk(
                    found.action, found.query, after=after, actor=user_name(), reason=reason
                )
                done, after = done + outcome.done, outcome.after
                conflicts += outcome.conflicts
                bars.update(bar, completed=done + len(conflicts))
                if after is None:
                    return done, conflicts
    except (KeyboardInterrupt, DeferredError, TransientError) as error:
        output.note(
            f"{counted(done, 'job')} were {DONE[found.action]} at least. The same command goes on "
            "with the rest; none is handled twice."
        )
        if done and isinstance(error, TransientError):
            raise end_of_wait(error) from error
        raise


def _confirm(output: Presenter, found: BulkReview) -> None:
    if output.as_json or not (sys.stdin.isatty() and output.is_live):
        raise UsageError(
            f"{counted(found.count, 'job')} would be {DONE[found.action]}. Add --yes to do it, or "
            "--dry-run to see them."
        )
    _show_review(output, found)
    if not typer.confirm(f"{found.action.capitalize()} {counted(found.count, 'job')}?", err=True):
        output.note(f"No job was {DONE[found.action]}.")
        raise typer.Exit(ExitCode.FAILED)


def _show_review(output: Presenter, found: BulkReview) -> None:
    more = "more than " if found.is_capped else ""
    count = f"{more}{counted(found.count, 'job')}"
    output.show(f"{count} to {found.action}{_states(found.by_state)}.")
    if found.left_out:
        output.show(f"Left out, because {found.action} is not possible{_states(found.left_out)}.")
    if found.forbidden:
        output.show(f"Left out, because you may not touch them: {counted(found.forbidden, 'job')}.")
    if not found.count:
        return
    output.show(CONSEQUENCES[found.action])
    if found.count > len(found.sample):
        output.show(f"The newest {len(found.sample)}:")
    output.show("")
    output.show(Grid(JOBS, found.sample))


def _states(counts: object) -> str:
    assert isinstance(counts, dict)
    listed = ", ".join(f"{number(count)} {state}" for state, count in sorted(counts.items()))
    return f": {listed}" if listed else ""


def _show_outcome(
    output: Presenter, action: BulkAction, done: int, conflicts: Sequence[BulkConflict]
) -> None:
    output.json({"action": action, "done": done, "conflicts": conflicts})
    left = len(conflicts)
    text = f"; {counted(left, 'job')} left as they are" if left else ""
    output.show(f"{counted(done, 'job')} {DONE[action]}{text}.")
    if left:
        output.show(Grid({"job": "job", "why not": "message"}, conflicts))
