"""How the audit log looks in a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from sisgate.cli.formats import moment, number
from sisgate.cli.presenter import Presenter, to_json, write_lines
from sisgate.cli.tables import Columns
from sisgate.gateway import AuditEvent, IssueKind, PersonDisclosure, VerificationResult


def show_events(output: Presenter, found: Iterable[AuditEvent]) -> None:
    """Show events as a table, or as lines of JSON."""
    events = list(found)
    if output.as_json:
        write_lines(map(json_line, events))
        return
    columns: Columns = {
        "at": "at", "actor": "actor", "action": "action", "subject": "subject", "detail": _told,
    }  # fmt: skip
    output.table(events, columns, empty="No events.")


def _told(event: AuditEvent) -> str:
    words = [f"{name}={value}" for name, value in (event.detail or {}).items() if value is not None]
    return "  ".join(([event.reason] if event.reason else []) + words)


def event_words(event: AuditEvent) -> dict[str, Any]:
    """Return an event JSON-ready."""
    return {
        "at": event.at, "actor": event.actor, "action": event.action, "subject": event.subject,
        "reason": event.reason, "provider": event.provider, "job": event.job_id,
        "request": event.request_id or event.job_id, "detail": event.detail,
    }  # fmt: skip


def json_line(event: AuditEvent) -> str:
    """Return an event as a line of JSON."""
    return to_json({"event": f"{event.writer}/{event.number}", **event_words(event)})


def text_line(event: AuditEvent) -> str:
    """Return an event as a line of text."""
    told = f"  {told}" if (told := _told(event)) else ""
    return f"{moment(event.at)}  {event.actor}  {event.action}  {event.subject}{told}"


def verdict_words(verdict: VerificationResult) -> dict[str, Any]:
    """Return what verification found, JSON-ready."""
    return {
        "whole": verdict.is_whole, "events": verdict.events, "seals": verdict.seals,
        "unsealed": verdict.unsealed, "heads": verdict.heads, "last_seal": verdict.last_seal,
        "last_sealed_at": verdict.last_sealed_at, "newest_head": verdict.newest_head,
        "counts": {kind.value: count for kind, count in verdict.counts.items()},
        "findings": [
            {"kind": found.kind.value, "place": found.place, "what": found.what}
            for found in verdict.findings
        ],
    }  # fmt: skip


def show_disclosures(output: Presenter, found: Sequence[PersonDisclosure]) -> None:
    """Show who was given a person's data."""
    columns: Columns = {
        "when": "at",
        "who": lambda each: f"{each.actor}, {each.user}" if each.user else each.actor,
        "what": lambda each: f"{'' if each.is_certain else 'perhaps '}{each.what} of {each.place}",
        "fields": lambda each: "all" if each.fields is None else ", ".join(each.fields),
        "purpose": lambda each: each.purpose or "not stated",
    }
    output.table(
        found,
        columns,
        json={"disclosures": [asdict(each) for each in found]},
        empty="Nobody was given this person's records, as far as the log reaches.",
    )
    if not all(each.is_certain for each in found):
        output.note(
            "“perhaps”: the reader stopped before the end, or the answer cannot be searched."
        )


def _heads_words(verdict: VerificationResult) -> str:
    if not verdict.heads:
        return "none"
    return f"{number(verdict.heads)}, the newest of seal {verdict.newest_head}"


def show_verdict(output: Presenter, verdict: VerificationResult, seconds: float) -> None:
    """Show what verification found."""
    rows: list[tuple[str, object]] = [
        ("events", f"{number(verdict.events)} checked in {seconds:.1f} s"),
        ("seals", f"{number(verdict.seals)}, the newest at {moment(verdict.last_sealed_at)}"),
        ("not yet sealed", verdict.unsealed),
        ("heads kept outside", _heads_words(verdict)),
    ]
    output.facts(rows, json={**verdict_words(verdict), "seconds": round(seconds, 2)})
    if verdict.findings and not output.as_json:
        output.table(
            verdict.findings,
            {
                "where": "place",
                "what": lambda found: Text(found.kind.value, "bold red"),
                "detail": "what",
            },
        )
    left = verdict.counts.total() - len(verdict.findings)
    if left > 0:
        output.note(f"And {number(left)} more.")
    if not verdict.heads:
        output.warn("There are no heads to compare with: a log whose end was cut off looks whole.")
    if verdict.is_whole:
        output.show(Text("The log is whole.", "bold green"))
    else:
        what = "The log was changed."
        if set(verdict.counts) == {IssueKind.UNKNOWN_KEY}:
            what = "Audit keys are missing here, or the log was forged."
        output.show(Text(f"{what} docs/explanation/audit.md tells what to do.", "bold red"))
