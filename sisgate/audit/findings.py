"""What a verification of the log found: how much was verified, and each thing that is wrong."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

MOST_FINDINGS = 100
"""Findings that are kept in full; the rest is counted."""


class IssueKind(StrEnum):
    """What can be wrong with the log."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    NOT_SEALED = "not sealed"
    SEAL_CHANGED = "seal changed"
    SEAL_DELETED = "seal deleted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    HEAD_BROKEN = "head broken"
    UNKNOWN_KEY = "unknown key"
    NOT_SIGNED = "not signed"
    NO_EVENT = "no event"


OF_HEADS = frozenset({IssueKind.TRUNCATED, IssueKind.REWRITTEN, IssueKind.HEAD_BROKEN})
"""What only heads that were kept outside can show."""


@dataclass(frozen=True)
class AuditIssue:
    """One thing that is wrong: its kind, its place (an event as writer/number, a seal), and what.

    `what` says it in a sentence for people.
    """

    kind: IssueKind
    place: str
    what: str


@dataclass
class VerificationResult:
    """What was verified, and what is wrong.

    `findings` holds the first `MOST_FINDINGS` issues, `counts` counts all of them by kind.
    """

    seals: int = 0
    events: int = 0
    unsealed: int = 0
    heads: int = 0
    first_seal: int | None = None
    last_seal: int | None = None
    last_sealed_at: datetime | None = None
    newest_head: int | None = None
    findings: list[AuditIssue] = field(default_factory=list)
    counts: Counter[IssueKind] = field(default_factory=Counter)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "whole": self.is_whole, "events": self.events, "seals": self.seals,
            "unsealed": self.unsealed, "heads": self.heads, "last_seal": self.last_seal,
            "last_sealed_at": self.last_sealed_at, "newest_head": self.newest_head,
            "counts": {kind.value: count for kind, count in self.counts.items()},
            "findings": [
                {"kind": each.kind.value, "place": each.place, "what": each.what}
                for each in self.findings
            ],
        }  # fmt: skip

    def add(self, kind: IssueKind, place: str, what: str) -> None:
        """Add an issue."""
        self.counts[kind] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(AuditIssue(kind, place, what))
