"""`sisgate jobs deletions`: what a held sync would delete, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import number
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import OneJob
from sisgate.cli.presenter import to_json, write_lines
from sisgate.cli.tables import Columns

if TYPE_CHECKING:
    from sisgate.gateway import DoomedRecord, HeldDeletions

app = Commands()

AT_ONCE = 1000
_COLUMNS: Columns = {
    "sourcedId": "sourced_id",
    "why": "why",
    "last seen": "last_seen",
    "changed": "changed_at",
    "first seen": "first_seen",
}


@app.add(
    "sisgate jobs deletions 3f8a",
    "sisgate jobs deletions 3f8a -n 0 --json > doomed.jsonl",
    note="What to check before approving: docs/how-to/approve-a-held-sync.md",
)
def deletions(
    invocation: Invocation,
    job: OneJob,
    start: Annotated[str, typer.Option("--from", help="Only ids from this one on.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many; 0 for all.")] = 50,
) -> None:
    """Show which records a held sync would delete."""
    job_id, output = invocation.gateway.jobs.find(job), invocation.output
    at_once = min(limit or AT_ONCE, AT_ONCE)
    first = invocation.gateway.jobs.deletions(job_id, start=start, limit=at_once)
    shown = islice(_all(invocation, first), limit or None)
    if output.as_json:
        write_lines(map(to_json, shown))
        return
    if first.absent is not None and first.marked is not None:
        output.show(
            f"{number(first.absent + first.marked)} of {number(first.live)} records of "
            f"{first.provider} {first.resource} would be deleted: {number(first.absent)} absent "
            f"from the provider's list, {number(first.marked)} marked as deleted by it."
        )
    output.table(shown, _COLUMNS, empty="Nothing would be deleted any more.")
    if limit and first.next is not None:
        output.note("-n 0 shows all of them, --from ID those from an id on.")


def _all(invocation: Invocation, page: HeldDeletions) -> Iterator[DoomedRecord]:
    yield from page.records
    while page.next is not None:
        page = invocation.gateway.jobs.deletions(page.job_id, start=page.next, limit=AT_ONCE)
        yield from page.records
