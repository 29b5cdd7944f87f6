"""`sisgate audit tail`, `search` and `disclosures`: who did what, and who read whose data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sisgate.cli.app import Commands
from sisgate.cli.commands import audit_chain
from sisgate.cli.formats import moment, number
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import OfProvider, time_ago
from sisgate.cli.presenter import Presenter, to_json, write_csv, write_lines
from sisgate.cli.tables import Columns
from sisgate.errors import UsageError
from sisgate.stack.interrupts import until_interrupted

if TYPE_CHECKING:
    from sisgate.gateway import AuditEvent

app = Commands("audit", "Read, verify and export the audit log.", panel="Look")

FOLLOW_SECONDS = 1.0
MOST_SHOWN = 1000
"""Default limit of events in a table."""

COLUMNS = ("at", "actor", "action", "subject", "reason", "provider", "job", "request", "detail")

Actor = Annotated[
    str | None,
    typer.Option(help="Who did it: a name, with whichever token and as an app; app:NAME, worker."),
]
ActionName = Annotated[str | None, typer.Option("--action", help="The action, or its beginning.")]
Subject = Annotated[str | None, typer.Option(help="The object of the action.")]
Person = Annotated[
    str | None,
    typer.Option(metavar="PROVIDER/ID", help="Events about this person, such as skyward/8f3a-11."),
]
JobId = Annotated[
    str | None, typer.Option("--job", help="Only this job: its id, or the beginning of it.")
]
Since = Annotated[datetime | None, time_ago("Only from this time")]
Until = Annotated[datetime | None, time_ago("Only before this time")]


@app.add("sisgate audit tail -n 50", "sisgate audit tail -f --json")
def tail(
    invocation: Invocation,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more events.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    actor: Actor = None,
    action: ActionName = None,
    provider: OfProvider = None,
) -> None:
    """Show the newest events."""
    from sisgate.gateway import AuditFilter

    query = AuditFilter(actor=actor, action=action, provider=provider)
    newest = list(reversed(invocation.gateway.audit.tail(query, limit=limit)))
    if not follow:
        _show_events(invocation.output, newest)
        return
    write = to_json if invocation.as_json else _text_line
    following = invocation.gateway.audit.follow(query, newest)
    write_lines(map(write, newest), at_once=True)
    for _ in until_interrupted(invocation.clock, FOLLOW_SECONDS):
        write_lines(map(write, following.new()), at_once=True)


@app.add(
    "sisgate audit search --job 5f3a --json",
    "sisgate audit search --action gateway:dataset:disclose --since 7d",
)
def search(
    invocation: Invocation,
    actor: Actor = None,
    action: ActionName = None,
    subject: Subject = None,
    person: Person = None,
    provider: OfProvider = None,
    job: JobId = None,
    request: Annotated[
        str | None, typer.Option("--request", help="The app's own request id.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help=f"How many; {MOST_SHOWN} by default in a table."),
    ] = None,
    form: Annotated[
        Literal["table", "jsonl", "csv"], typer.Option("--format", help="Output format.")
    ] = "table",
) -> None:
    """Search events, oldest first. Without --since, reads the whole log."""
    from sisgate.gateway import AuditFilter

    log = invocation.gateway.audit
    subjects = [subject] if subject else []
    if person is not None:
        subjects += invocation.gateway.privacy.pseudonyms(*_person(person))
    events: Iterable[AuditEvent] = log.search(
        AuditFilter(
            actor=actor, action=action, subjects=tuple(subjects), provider=provider, job=job,
            request_id=request, since=since, until=until,
        )
    )  # fmt: skip
    if invocation.as_json or form == "jsonl":
        write_lines(map(to_json, islice(events, limit)))
    elif form == "csv":
        rows = ({**e.as_dict(), "detail": e.detail_text} for e in islice(events, limit))
        write_csv(COLUMNS, rows)
    else:
        # A table is laid out as a whole: it needs a limit.
        most = limit or MOST_SHOWN
        shown = list(islice(events, most + 1))
        _show_events(invocation.output, shown[:most])
        if len(shown) > most:
            more = "for more, use --limit, --since or --format jsonl"
            invocation.output.note(f"Only the first {number(most)} are shown; {more}.")


@app.add(
    "sisgate audit disclosures skyward/8f3a-11",
    "sisgate audit disclosures powerschool/1042 --resource students --since 90d --json",
    note="The audit log records this query too.",
)
def disclosures(
    invocation: Invocation,
    person: Annotated[
        str, typer.Argument(metavar="PROVIDER/ID", help="The person's id at the provider.")
    ],
    resource: Annotated[
        str | None, typer.Option(help="students or teachers, if both have the id.")
    ] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Show who read records or responses with a person's data, when, and why."""
    output, (provider, sourced_id) = invocation.output, _person(person)
    disclosures = invocation.gateway.audit.disclosures(
        provider, sourced_id, actor=user_name(), resource=resource, since=since, until=until
    )
    columns: Columns = {
        "when": "at",
        "who": lambda each: f"{each.actor}, {each.user}" if each.user else each.actor,
        "what": lambda each: f"{'' if each.is_certain else 'perhaps '}{each.what} of {each.place}",
        "fields": lambda each: "all" if each.fields is None else ", ".join(each.fields),
        "purpose": lambda each: each.purpose or "not stated",
    }
    output.table(
        disclosures,
        columns,
        json={"disclosures": disclosures},
        empty="Nobody has read this person's records, as far back as the log reaches.",
    )
    if not all(each.is_certain for each in disclosures):
        output.note("“perhaps”: the reader stopped early, or the response cannot be searched.")


def _person(text: str) -> tuple[str, str]:
    provider, slash, sourced_id = text.partition("/")
    if not slash or not sourced_id:
        raise UsageError("Write a person as PROVIDER/ID, such as skyward/8f3a-11.")
    return provider, sourced_id


def _show_events(output: Presenter, events: Sequence[AuditEvent]) -> None:
    """Show events as a table, or as lines of JSON."""
    if output.as_json:
        write_lines(map(to_json, events))
        return
    columns: Columns = {
        "at": "at", "actor": "actor", "action": "action", "subject": "subject", "detail": _detail,
    }  # fmt: skip
    output.table(events, columns, empty="No events.")


def _detail(event: AuditEvent) -> str:
    parts = [f"{name}={value}" for name, value in (event.detail or {}).items() if value is not None]
    return "  ".join(([event.reason] if event.reason else []) + parts)


def _text_line(event: AuditEvent) -> str:
    """Return an event as a line of text."""
    parts = (moment(event.at), event.actor, event.action, event.subject, _detail(event))
    return "  ".join(filter(None, parts))


app.add_typer(audit_chain.app)
