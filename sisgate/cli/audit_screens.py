"""How the audit log looks in a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text

from sisgate.audit.verdict import Kind, Verdict
from sisgate.cli.output import Output, to_json, write_lines
from sisgate.cli.screens import facts, moment, number, table
from sisgate.ledger.audit_schema import AuditEvent


def show_events(output: Output, found: Iterable[AuditEvent]) -> None:
    """Show events as a table, or as lines of JSON."""
    events = list(found)
    if output.as_json:
        write_lines(map(json_line, events))
        return
    if not events:
        output.note("No events.")
        return
    more = () if output.is_narrow else ("detail",)
    made = table(("at", "actor", "action", "subject", *more), folds=("subject", "detail"))
    for event in events:
        told = Text(_told(event), "dim")
        cells = (moment(event.at), event.actor, event.action, event.subject)
        made.add_row(*cells, *((told,) if more else ()))
    output.show(made)


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


def verdict_words(verdict: Verdict) -> dict[str, Any]:
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


def show_verdict(output: Output, verdict: Verdict, seconds: float) -> None:
    """Show what verification found."""
    rows = [
        ("events", f"{number(verdict.events)} checked in {seconds:.1f} s"),
        ("seals", f"{number(verdict.seals)}, the newest at {moment(verdict.last_sealed_at)}"),
        ("not yet sealed", number(verdict.unsealed)),
        (
            "heads kept outside",
            f"{number(verdict.heads)}, the newest of seal {verdict.newest_head}",
        ),
    ]
    output.show(facts(rows))
    if verdict.findings:
        made = table(("where", "what", ""), folds=("",))
        for found in verdict.findings:
            made.add_row(found.place, Text(found.kind.value, "bold red"), found.what)
        output.show(made)
    left = verdict.counts.total() - len(verdict.findings)
    if left > 0:
        output.note(f"And {number(left)} more.")
    if not verdict.heads:
        output.warn("There are no heads to compare with: a log whose end was cut off looks whole.")
    if verdict.is_whole:
        output.show(Text("The log is whole.", "bold green"))
    else:
        what = "The log was changed."
        if set(verdict.counts) == {Kind.UNKNOWN_KEY}:
            what = "Audit keys are missing here, or the log was forged."
        output.show(Text(f"{what} docs/audit.md tells what to do.", "bold red"))
