"""`sisgate audit`: who did what, and whether the log of it is whole."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer

from sisgate.cli.app import Commands
from sisgate.cli.commands.audit_screens import (
    event_words,
    json_line,
    show_disclosures,
    show_events,
    show_verdict,
    text_line,
)
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import number
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import time_ago
from sisgate.cli.presenter import write_lines
from sisgate.errors import AuditError, CredentialError, DatabaseUnavailable, UsageError
from sisgate.gateway import AuditEvent, AuditFilter, Segment
from sisgate.gateway.audit import EXPORT_COLUMNS, verify_signed
from sisgate.stack.interrupts import interrupts

app = Commands("audit", "Read, verify and export the audit log.", panel="Look")

FOLLOW_SECONDS = 1.0
MOST_SHOWN = 1000
"""Events that a search shows as a table unless told otherwise."""

COLUMNS = ("at", "actor", "action", "subject", "reason", "provider", "job", "request", "detail")

Actor = Annotated[str | None, typer.Option(help="Who did it: app:NAME, a user, worker.")]
ActionName = Annotated[str | None, typer.Option("--action", help="Beginning of the action.")]
Subject = Annotated[str | None, typer.Option(help="What it was done to.")]
Person = Annotated[
    str | None,
    typer.Option(metavar="PROVIDER/ID", help="A person, found by pseudonym: skyward/8f3a-11."),
]
ProviderName = Annotated[str | None, typer.Option("--provider", help="Only this provider.")]
JobId = Annotated[str | None, typer.Option("--job", help="Only this job.")]
Since = Annotated[datetime | None, time_ago("From then on")]
Until = Annotated[datetime | None, time_ago("Before then")]


@app.add("sisgate audit tail -n 50", "sisgate audit tail -f --json")
def tail(
    invocation: Invocation,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    actor: Actor = None,
    action: ActionName = None,
    provider: ProviderName = None,
) -> None:
    """Show the newest events."""
    wanted = AuditFilter(actor=actor, action=action, provider=provider)
    newest = list(reversed(invocation.gateway.audit.tail(wanted, limit=limit)))
    if not follow:
        show_events(invocation.output, newest)
        return
    write = json_line if invocation.as_json else text_line
    write_lines(map(write, newest), at_once=True)
    write_lines(map(write, _follow(invocation, wanted, newest)), at_once=True)


@app.add(
    "sisgate audit search --job 5f3a… --json",
    "sisgate audit search --action gateway:dataset:disclose --since 7d",
)
def search(
    invocation: Invocation,
    actor: Actor = None,
    action: ActionName = None,
    subject: Subject = None,
    person: Person = None,
    provider: ProviderName = None,
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
    log = invocation.gateway.audit
    subjects = [subject] if subject else []
    if person is not None:
        subjects += invocation.gateway.privacy.pseudonyms(*_person(person))
    found: Iterable[AuditEvent] = log.search(
        AuditFilter(
            actor=actor, action=action, subjects=tuple(subjects), provider=provider, job=job,
            request_id=request, since=since, until=until,
        )
    )  # fmt: skip
    if invocation.as_json or form == "jsonl":
        write_lines(map(json_line, islice(found, limit)))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**event_words(e), "detail": e.detail_text} for e in islice(found, limit))
    else:
        # A table is laid out as a whole, so it must end somewhere.
        most = limit or MOST_SHOWN
        shown = list(islice(found, most + 1))
        show_events(invocation.output, shown[:most])
        if len(shown) > most:
            more = "--limit, --since or --format jsonl shows more"
            invocation.output.note(f"These are the first {number(most)}; {more}.")


@app.add("sisgate audit export > audit.jsonl", "sisgate audit verify audit.jsonl")
def export(
    invocation: Invocation,
    form: Annotated[
        Literal["jsonl", "csv"],
        typer.Option("--format", help="Only jsonl can be verified."),
    ] = "jsonl",
) -> None:
    """Write the whole log with its seals and signed head."""
    lines = invocation.gateway.audit.export()
    if form == "jsonl" or invocation.as_json:
        write_lines(lines)
        return
    writer = csv.DictWriter(sys.stdout, EXPORT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        ((kind, words),) = json.loads(line).items()
        writer.writerow({"row": kind, **words})


@app.add("sisgate audit verify", "sisgate audit verify --heads /mnt/worm/heads.jsonl",
        "sisgate audit verify audit.jsonl --public-key audit-public-keys",
        note="Exits with 1 if anything is wrong.")  # fmt: skip
def verify(
    invocation: Invocation,
    exported: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help="Exported file to check instead of the database."),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option(help="File of heads; by default the configured one."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Verify EXPORT with only this public key, or file of keys."
        ),
    ] = None,
) -> None:
    """Check every event, seal and link, and the log's end against the heads kept outside.

    With EXPORT and --public-key, no database or configuration is needed.
    """
    if public_key and exported is None:
        raise UsageError("--public-key is for an exported file: name it.")
    output, log = invocation.output, invocation.gateway.audit
    begun, kept = invocation.clock.monotonic(), heads or ()
    with output.progress() as bars:
        bar = bars.add_task("verifying", total=None if exported else log.sealed_events())

        def progress(done: int) -> None:
            bars.update(bar, completed=done)

        if exported is None:
            verdict = log.verify(heads=kept, progress=progress)
        elif public_key:
            verdict = verify_signed(exported, public_key, heads=kept, progress=progress)
        else:
            try:
                verdict = log.verify_export(exported, heads=kept, progress=progress)
            except (CredentialError, DatabaseUnavailable) as error:
                raise type(error)(
                    f"{error.message} On a machine without it, --public-key verifies an export: "
                    "give it what `sisgate audit public-key` prints there."
                ) from error
    seconds = invocation.clock.monotonic() - begun
    show_verdict(output, verdict, seconds)
    if not verdict.is_whole:
        raise typer.Exit(ExitCode.FAILED)


@app.add("sisgate audit public-key > audit-public-keys", name="public-key")
def public_key(invocation: Invocation) -> None:
    """Show the public audit keys, which an auditor needs besides an export."""
    found = invocation.gateway.audit.public_keys()
    invocation.output.json({"keys": found})
    if not invocation.as_json:
        write_lines(found)


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
    """Show who read a person's records or a response naming them, when, and why."""
    output = invocation.output
    provider, sourced_id = _person(person)
    found = invocation.gateway.audit.disclosures(
        provider, sourced_id, actor=user_name(), resource=resource,
        since=since, until=until,
    )  # fmt: skip
    show_disclosures(output, found)


@app.add("sisgate audit seal")
def seal(invocation: Invocation) -> None:
    """Seal new events now; beat does so every second."""
    output = invocation.output
    made = invocation.gateway.audit.seal()
    output.result({"seal": made}, f"Seal {made} was made." if made else "Nothing was new.")


@app.add("sisgate audit head > head.json")
def head(
    invocation: Invocation,
) -> None:
    """Show the signed head of the log, to keep elsewhere."""
    found = invocation.gateway.audit.head()
    if found is None:
        raise AuditError("Nothing is sealed yet. Beat does so every second while it runs.")
    write_lines([found.line])


@app.add("sisgate audit archive ./audit-2025.jsonl --before 2026-01-01")
def archive(
    invocation: Invocation,
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    before: Annotated[datetime, time_ago("What was sealed before")],
    reason: Annotated[str | None, typer.Option(help="Why, for the audit log.")] = None,
) -> None:
    """Move the oldest part of the log into a file."""
    output = invocation.output
    done = invocation.gateway.audit.archive(Segment(before), file, actor=user_name(), reason=reason)
    output.result(
        {
            "file": str(done.path), "through": done.through, "head": done.head,
            "events": done.events, "sha256": done.sha256,
        },
        f"{number(done.events)} events up to seal {done.through} are in {done.path} now. "
        f"Its SHA-256 is {done.sha256}.",
    )  # fmt: skip


@app.add("sisgate audit new-key ./secrets/audit_key", name="new-key")
def new_key(
    invocation: Invocation,
    file: Annotated[Path, typer.Argument(help="The audit key file.")],
) -> None:
    """Add a new key to an audit key file; older keys stay, to verify with."""
    made = invocation.gateway.audit.new_key(file)
    invocation.output.result(
        {"file": str(file), "key": made.id.hex(), "public": str(made.public)},
        f"Audit key {made.id.hex()} is first in {file}. Set audit_key_file to it, and restart "
        f"every process. Its heads are signed for {made.public}.",
    )


def _follow(
    invocation: Invocation, wanted: AuditFilter, seen: list[AuditEvent]
) -> Iterator[AuditEvent]:
    following = invocation.gateway.audit.follow(wanted, seen)
    with interrupts() as asked:
        while asked.none:
            invocation.clock.sleep(FOLLOW_SECONDS)
            yield from following.new()


def _person(text: str) -> tuple[str, str]:
    provider, slash, sourced_id = text.partition("/")
    if not slash or not sourced_id:
        raise UsageError("Write a person as PROVIDER/ID, such as skyward/8f3a-11.")
    return provider, sourced_id
