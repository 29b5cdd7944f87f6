"""`sisgate records` and `sisgate changes`: stream the data in constant memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import moment
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider, Purpose, Resource
from sisgate.cli.presenter import Presenter, to_json, write_csv, write_lines
from sisgate.cli.tables import CONTROLS, Columns
from sisgate.stack.interrupts import interrupts

if TYPE_CHECKING:
    from sisgate.gateway import StoredChange, StoredRecord

app = Commands()

TABLE_ROWS = 20
TABLE_COLUMNS = 5
FOLLOW_SECONDS = 1.0

_FIRST = (
    "identifier", "title", "name", "givenName", "familyName", "grades", "type", "classCode",
    "courseCode", "role", "user", "class", "course", "school", "org", "beginDate", "endDate",
    "startDate", "birthDate", "sex", "email", "username",
)  # fmt: skip
"""The most informative fields, for the table."""

Format = Literal["table", "jsonl", "csv"]
OfFormat = Annotated[Format, typer.Option("--format", "-f", help="Output format.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=0, help="How many; 0 for all.",
        show_default=f"{TABLE_ROWS} in a table, else all",
    ),
]  # fmt: skip


@app.add(
    "sisgate records powerschool students -n 5",
    "sisgate records skyward enrollments -f csv > enrollments.csv",
    panel="Look",
)
def records(
    invocation: Invocation,
    provider: Provider,
    resource: Resource,
    form: OfFormat = "table",
    limit: Limit = None,
    include_deleted: Annotated[
        bool, typer.Option("--include-deleted", help="Include deleted records.")
    ] = False,
    purpose: Purpose = None,
) -> None:
    """Show the records of a dataset, as OneRoster 1.2."""
    form = "jsonl" if invocation.as_json else form
    count = _limit(limit, form)
    invocation.gateway.datasets.check(provider, resource)

    def stream() -> Iterator[StoredRecord]:
        all_records = invocation.gateway.records(
            provider, resource, include_deleted=include_deleted, purpose=purpose
        )
        return islice(all_records, count)

    if form == "jsonl":
        write_lines(to_json(record.as_line()) for record in stream())
    elif form == "csv":
        # Fields differ between records: the first pass finds the columns, the second writes.
        columns = sorted({name for record in stream() for name in record.data} - {"sourcedId"})
        names = ["sourcedId", *columns, "changedAt", "deletedAt"]
        write_csv(names, map(_csv_row, stream()))
    else:
        _show_records(invocation.output, stream(), count)


@app.add(
    "sisgate changes powerschool students --since 120 --json",
    "sisgate changes skyward enrollments --follow",
    panel="Look",
)
def changes(
    invocation: Invocation,
    provider: Provider,
    resource: Resource,
    since: Annotated[int, typer.Option(min=0, help="Only changes above this number.")] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for more changes until Ctrl-C.")
    ] = False,
    form: OfFormat = "table",
    limit: Limit = None,
    purpose: Purpose = None,
) -> None:
    """Show the inserts, updates and deletes of a dataset, in order."""
    form = "jsonl" if invocation.as_json else form
    invocation.gateway.datasets.check(provider, resource)
    count = None if follow and limit is None else _limit(limit, form)
    read = partial(invocation.gateway.changes, provider, resource, purpose=purpose)
    all_changes = _follow(invocation, read, since) if follow else read(since=since)
    stream = islice(all_changes, count)
    last = since

    def noted() -> Iterator[StoredChange]:
        nonlocal last
        for change in stream:
            last = change.sequence
            yield change

    shown = noted() if follow else _begun(noted())
    if form == "jsonl":
        write_lines((to_json(each.as_line()) for each in shown), at_once=follow)
    elif form == "csv":
        columns = ["sequence", "operation", "sourcedId", "changedAt"]
        write_csv(columns, (each.as_line() for each in shown))
    else:
        write_lines(_change_text(shown), at_once=follow)
    if since and last == since and count != 0:
        newest = invocation.gateway.datasets.cursor(provider, resource)
        if since > newest:
            invocation.output.warn(
                f"The newest change of {provider} {resource} is number {newest}: the cursor "
                f"{since} is from another ledger or dataset."
            )
    invocation.output.note(f"cursor: {last}")


def _limit(limit: int | None, form: str) -> int | None:
    if limit is None:
        return TABLE_ROWS if form == "table" else None
    return min(limit, sys.maxsize) or None


def _follow(
    invocation: Invocation, read: Callable[..., Iterator[StoredChange]], since: int
) -> Iterator[StoredChange]:
    with interrupts() as stops:
        while stops.none:
            for change in read(since=since):
                since = change.sequence
                yield change
                if stops.count:
                    return
            invocation.clock.sleep(FOLLOW_SECONDS)


def _show_records(output: Presenter, stream: Iterator[StoredRecord], count: int | None) -> None:
    first = next(stream, None)
    if first is None:
        output.note("No records. `sisgate sync` reads them.")
        return
    fields = [name for name in _FIRST if name in first.data][:TABLE_COLUMNS]
    columns: Columns = {
        "sourcedId": lambda record: Text(
            record.sourced_id, "dim strike" if record.deleted_at else ""
        ),
        **{name: partial(_field, name) for name in fields},
        "changed": "changed_at",
    }
    count_shown, rows = 0, chain([first], stream)
    others: set[str] = set()
    # Tables of a few hundred rows keep memory constant.
    while chunk := list(islice(rows, 500)):
        output.table(chunk, columns)
        count_shown += len(chunk)
        others.update(*(record.data for record in chunk))
    if others := others.difference(fields, {"sourcedId"}):
        output.note(Text(f"More fields with --json: {', '.join(sorted(others))}.", "dim"))
    if count_shown == count:
        output.note(Text(f"Only the first {count_shown}; -n 0 shows all.", "dim"))


def _field(name: str, record: StoredRecord) -> str:
    return _plain(record.data.get(name))


def _csv_row(record: StoredRecord) -> dict[str, Any]:
    return {name: _plain(value) for name, value in {**record.as_line(), **record.data}.items()}


def _begun(stream: Iterator[StoredChange]) -> Iterator[StoredChange]:
    """Read the first, so that an error comes before the header of a table."""
    return chain(list(islice(stream, 1)), stream)


def _change_text(stream: Iterable[StoredChange]) -> Iterator[str]:
    yield f"{'number':>9}  {'what':<6}  {'when':<23}  sourcedId"
    for change in stream:
        when = moment(change.changed_at)
        sourced_id = change.sourced_id.translate(CONTROLS)
        yield f"{change.sequence:>9}  {change.operation:<6}  {when:<23}  {sourced_id}"


def _plain(value: Any) -> str:
    """Format a field: a reference as its id, a list with commas, other objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return str(value["sourcedId"]) if "sourcedId" in value else json.dumps(value)
    if isinstance(value, list):
        return ",".join(_plain(item) for item in value)
    return str(value)
