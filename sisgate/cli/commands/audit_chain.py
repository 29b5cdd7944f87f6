"""`sisgate audit verify`, `export`, `archive` and other commands that prove the log intact."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import moment, number
from sisgate.cli.invocation import Invocation, Needs, user_name
from sisgate.cli.params import Reason, time_ago
from sisgate.cli.presenter import Presenter, write_csv, write_lines
from sisgate.errors import AuditError, CredentialError, DatabaseUnavailable, UsageError

if TYPE_CHECKING:
    from sisgate.gateway import VerificationResult

app = Commands()


@app.add("sisgate audit export > audit.jsonl", "sisgate audit verify audit.jsonl")
def export(
    invocation: Invocation,
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="Only jsonl can be verified.")
    ] = "jsonl",
) -> None:
    """Write the whole log with its seals and signed head."""
    from sisgate.gateway.audit import EXPORT_COLUMNS

    lines = invocation.gateway.audit.export()
    if form == "jsonl" or invocation.as_json:
        write_lines(lines)
        return
    parsed = (json.loads(line).items() for line in lines)
    write_csv(EXPORT_COLUMNS, ({"row": kind, **fields} for ((kind, fields),) in parsed))


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
        list[Path] | None, typer.Option(help="File of heads. Default: the configured one.")
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Verify EXPORT with only this public key, or file of keys."
        ),
    ] = None,
) -> None:
    """Check every event, seal and link, and the end of the log against heads kept elsewhere.

    With EXPORT and --public-key, no database or configuration is needed.
    """
    from sisgate.gateway.audit import verify_signed

    if public_key and exported is None:
        raise UsageError("--public-key needs EXPORT, an exported file.")
    output, log = invocation.output, invocation.gateway.audit
    begun, kept = invocation.clock.monotonic(), heads or ()
    with output.progress() as bars:
        bar = bars.add_task("verifying", total=None if exported else log.sealed_events())

        def progress(done: int) -> None:
            bars.update(bar, completed=done)

        if exported is None:
            result = log.verify(heads=kept, progress=progress)
        elif public_key:
            result = verify_signed(exported, public_key, heads=kept, progress=progress)
        else:
            try:
                result = log.verify_export(exported, heads=kept, progress=progress)
            except (CredentialError, DatabaseUnavailable) as error:
                raise type(error)(
                    f"{error.message} To verify the export here, give --public-key the output of "
                    "`sisgate audit public-key` from the machine that wrote it."
                ) from error
    _show_result(output, result, invocation.clock.monotonic() - begun)
    if not result.is_whole:
        raise typer.Exit(ExitCode.FAILED)


def _heads(result: VerificationResult) -> str:
    if not result.heads:
        return "none"
    return f"{number(result.heads)}, the newest of seal {result.newest_head}"


def _show_result(output: Presenter, result: VerificationResult, seconds: float) -> None:
    """Show the result of a verification."""
    from sisgate.gateway import IssueKind

    rows: list[tuple[str, object]] = [
        ("events", f"{number(result.events)} checked in {seconds:.1f} s"),
        ("seals", f"{number(result.seals)}, the newest at {moment(result.last_sealed_at)}"),
        ("not yet sealed", result.unsealed),
        ("heads kept elsewhere", _heads(result)),
    ]
    output.facts(rows, json={**result.as_dict(), "seconds": round(seconds, 2)})
    if result.findings and not output.as_json:
        output.table(
            result.findings,
            {
                "where": "place",
                "what": lambda each: Text(each.kind.value, "bold red"),
                "detail": "what",
            },
        )
    more = result.counts.total() - len(result.findings)
    if more > 0:
        output.note(f"And {number(more)} more.")
    if not result.heads:
        output.warn(
            "There are no heads to compare with: a missing end of the log would go unnoticed."
        )
    if result.is_whole:
        output.show(Text("The log is whole.", "bold green"))
    else:
        what = "The log was changed."
        if set(result.counts) == {IssueKind.UNKNOWN_KEY}:
            what = "Audit keys are missing, or the log was forged."
        output.show(Text(f"{what} See docs/how-to/verify-the-audit-log.md.", "bold red"))


@app.add("sisgate audit public-key > audit-public-keys", name="public-key")
def public_key(invocation: Invocation) -> None:
    """Show the public audit keys that an auditor needs with an export."""
    keys = invocation.gateway.audit.public_keys()
    invocation.output.json({"keys": keys})
    if not invocation.as_json:
        write_lines(keys)


@app.add("sisgate audit seal")
def seal(invocation: Invocation) -> None:
    """Seal new events now; beat does so every second."""
    seal = invocation.gateway.audit.seal()
    invocation.output.result({"seal": seal}, f"Created seal {seal}." if seal else "No new events.")


@app.add("sisgate audit head > head.json")
def head(invocation: Invocation) -> None:
    """Show the signed head of the log, to keep on another system."""
    latest = invocation.gateway.audit.head()
    if latest is None:
        raise AuditError("Nothing is sealed yet. Beat seals new events every second.")
    write_lines([latest.line])


@app.add("sisgate audit archive ./audit-2025.jsonl --before 2026-01-01", needs=Needs.INSTALLATION)
def archive(
    invocation: Invocation,
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    before: Annotated[datetime, time_ago("Archive what was sealed before")],
    reason: Reason = None,
) -> None:
    """Move the oldest part of the log into a file."""
    from sisgate.gateway import Segment

    moved = invocation.installation.audit.archive(
        Segment(before), file, actor=user_name(), reason=reason
    )
    invocation.output.result(
        {
            "file": str(moved.path), "through": moved.through, "head": moved.head,
            "events": moved.events, "sha256": moved.sha256,
        },
        f"Moved {number(moved.events)} events up to seal {moved.through} to {moved.path}. "
        f"Its SHA-256 is {moved.sha256}.",
    )  # fmt: skip


@app.add("sisgate audit new-key ./secrets/audit_key", name="new-key", needs=Needs.INSTALLATION)
def new_key(
    invocation: Invocation, file: Annotated[Path, typer.Argument(help="The audit key file.")]
) -> None:
    """Add a new key to an audit key file. Older keys stay for verification."""
    key = invocation.installation.audit.new_key(file)
    invocation.output.result(
        {"file": str(file), "key": key.id.hex(), "public": str(key.public)},
        f"Audit key {key.id.hex()} is now first in {file}. Set audit_key_file to this file and "
        f"restart every process. The public key of its heads is {key.public}.",
    )
