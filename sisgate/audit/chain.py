"""Verification: every seal and event, the links between them, and the heads kept outside.

A pure decision over streams: what is fed in comes from the database or from an exported file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sisgate.audit.content import (
    EPOCH,
    Range,
    event_content,
    micros,
    ranges_of,
    seal_content,
    size_of,
)
from sisgate.audit.heads import Broken, Head
from sisgate.audit.keys import AuditKey, PublicKey, Verifiers
from sisgate.audit.sealer import FIRST_HEAD
from sisgate.audit.writers import first_id
from sisgate.ledger.audit_chain import EventRow, SealRow

CLOCKS_DIFFER = timedelta(hours=1)
"""How much the clocks of two machines of a fleet may differ."""

UNSEALED_FOR = timedelta(minutes=10)
"""Events this much older than the newest seal should be sealed."""


@dataclass(slots=True)
class Covered:
    """What seals have covered of one writer: first and last number, and how many are there."""

    first: int
    last: int
    present: int = 0


@dataclass(frozen=True)
class Anchor:
    """Where a log begins whose older part was archived: the last archived seal.

    `before` is the head of the seal before it, which its own head was linked to.
    """

    number: int
    head: str
    before: str

    def is_of(self, seal: SealRow, keys: Verifiers) -> bool:
        """Whether a seal is the one that was archived, in all its columns."""
        if (self.number, self.head) != (seal.fields[0], seal.head.hex()):
            return False
        key = keys.of(seal.head)
        content = seal_content(seal.fields, bytes.fromhex(self.before))
        return key is not None and key.seal_mac(content) in {None, seal.head}


class ChainVerifier:
    """Checks a log that is fed in order: each seal with its events, then the rest.

    `now` is the time of who verifies, where it is the log as it stands now.
    """

    def __init__(
        self, keys: Verifiers, heads: Iterable[Head | Broken] = (), now: datetime | None = None
    ) -> None:
        self.result = VerificationResult()
        self._keys = keys
        self._now = now
        self._heads = iter(heads)
        self._head = self._next_head()
        self._before: tuple[Any, ...] | None = None
        self._head_before = FIRST_HEAD
        self._covered: dict[int, Covered] = {}
        self._anchor: SealRow | None = None
        self._anchor_since = 0
        self._archived: set[Anchor] = set()
        # Once a seal cannot be trusted, what follows it need not begin where it ended.
        self._is_loose = False

    @property
    def last_head(self) -> bytes:
        """The head of the last seal that was fed."""
        return self._head_before

    @property
    def covered(self) -> dict[int, Covered]:
        """What the seals so far have covered, by writer."""
        return self._covered

    @property
    def complete_since(self) -> datetime | None:
        """From when on the log has every event; None where nothing was archived."""
        if self._anchor is None:
            return None
        return EPOCH + timedelta(microseconds=micros(self._anchor.fields[1])) + CLOCKS_DIFFER

    # Seals ------------------------------------------------------------------------------------

    def seal(self, seal: SealRow, events: Iterable[EventRow]) -> None:
        """Check a seal, its link to the one before, and its events, which come in its order."""
        try:
            ranges = self._check_seal(seal)
        except (TypeError, ValueError, OverflowError):
            self._seal_changed(seal, "it is not a seal that can be read")
            ranges, self._is_loose = [], True
        digest = self._check_events(ranges, events, self._keys.of(seal.head))
        if ranges and digest is not None and digest != seal.fields[5]:
            self._seal_changed(seal, "its events are not those it was made over")
        self._before, self._head_before = seal.fields, seal.head
        self.result.seals += 1

    def _check_seal(self, seal: SealRow) -> list[Range]:
        number, at, events, total, covers, _ = seal.fields
        ranges = ranges_of(covers)
        self._follow_heads(seal)
        result, before = self.result, self._before
        result.last_seal, result.last_sealed_at = (
            number,
            EPOCH + timedelta(microseconds=micros(at)),
        )
        if before is None:
            result.first_seal = number
            if number != 1:
                # What its head was linked to has been archived, and an event must say so.
                self._anchor = seal
                self._anchor_since = first_id(result.last_sealed_at + CLOCKS_DIFFER)
                return []
        elif number != before[0] + 1:
            result.add(
                IssueKind.SEAL_DELETED, f"seal {before[0] + 1}", f"missing up to seal {number - 1}"
            )
        key = self._keys.of(seal.head)
        if key is None:
            self._unknown(seal.head, f"seal {number}")
        elif key.seal_mac(seal_content(seal.fields, self._head_before)) not in {None, seal.head}:
            self._seal_changed(seal, "it, or the seal before it, is not what it was")
        elif before is not None and (micros(at) < micros(before[1]) or total != before[3] + events):
            self._seal_changed(seal, "it does not follow the seal before it")
        if size_of(ranges) != events:
            self._seal_changed(seal, "it does not cover as many events as it says")
            self._is_loose = True
            return []
        return ranges

    def _check_events(
        self,
        ranges: list[Range],
        events: Iterable[EventRow],
        sealed_with: AuditKey | PublicKey | None,
    ) -> bytes | None:
        """Check a seal's events; return their digest, or None where some are missing."""
        digest, is_complete = hashlib.sha256(), True
        rows = iter(events)
        row = next(rows, None)
        for writer, first, last in ranges:
            covered = self._extend(writer, first, last)
            for number in range(first, last + 1):
                if row is None or row.fields[:2] != (writer, number):
                    is_complete = False
                    what = "sealed, and no longer there"
                    self.result.add(IssueKind.DELETED, f"{writer}/{number}", what)
                    continue
                covered.present += 1
                mac = self._check_event(row, is_sealed=True, sealed_with=sealed_with)
                digest.update(mac or b"")
                is_complete = is_complete and mac is not None
                row = next(rows, None)
        while row is not None:
            place = "/".join(str(word) for word in row.fields[:2])
            self.result.add(IssueKind.INSERTED, place, "no seal covers it")
            row = next(rows, None)
        return digest.digest() if is_complete else None

    def _extend(self, writer: int, first: int, last: int) -> Covered:
        covered = self._covered.get(writer)
        expected = covered.last + 1 if covered else 1
        if first > expected and not self._may_begin_anywhere(writer):
            what = f"taken away before it could be sealed, up to {writer}/{first - 1}"
            self.result.add(IssueKind.DELETED, f"{writer}/{expected}", what)
        if covered is None:
            covered = self._covered[writer] = Covered(first, last)
        covered.last = max(covered.last, last)
        return covered

    def _check_event(
        self, row: EventRow, *, is_sealed: bool, sealed_with: AuditKey | PublicKey | None = None
    ) -> bytes | None:
        """Check an event; return what it adds to its seal's digest.

        An event of before there was a chain has no MAC: the key that sealed it stands in, and a
        public one cannot, so that the digest is not known.
        """
        writer, number = row.fields[:2]
        place = f"{writer}/{number}"
        self.result.events += 1
        is_from_before = writer == 0 and not row.mac and (is_sealed or not self.result.seals)
        key = sealed_with or self._keys.first if is_from_before else self._keys.of(row.mac)
        if key is None:
            self._unknown(row.mac, place)
            return row.mac
        mac: bytes | None = b""
        with suppress(TypeError, ValueError, OverflowError):
            mac = key.event_mac(event_content(row.fields))
        if mac != b"" and is_from_before:
            return mac
        if mac not in {None, row.mac}:
            self.result.add(IssueKind.CHANGED, place, "its content does not fit its MAC")
        elif row.fields[4] == ARCHIVED:
            self._note_archive(row.fields[10])
        return row.mac

    # The rest ---------------------------------------------------------------------------------

    def tail(self, writer: int, events: Iterable[EventRow]) -> None:
        """Check a writer's events that no seal covers yet: those after what is covered."""
        covered = self._covered.get(writer)
        is_old = self._may_begin_anywhere(writer)
        expected = covered.last + 1 if covered else 1
        for row in events:
            number = row.number
            if number != expected and not is_old:
                what = f"taken away before it could be sealed, up to {writer}/{number - 1}"
                self.result.add(IssueKind.DELETED, f"{writer}/{expected}", what)
            expected, is_old = number + 1, False
            before = self.result.counts.total()
            self._check_event(row, is_sealed=False)
            self.result.unsealed += 1
            if self.result.counts.total() == before:
                self._check_age(row)

    def stray(self, place: str) -> None:
        """Note an event among those of before, which no seal covers."""
        self.result.add(IssueKind.INSERTED, place, "no seal covers it")

    def noted(self, writer: int, sealed: int) -> None:
        """Compare how far the sealer has noted that a writer is sealed."""
        covered = self._covered.get(writer)
        if self._may_begin_anywhere(writer):
            return
        if sealed > (covered.last if covered else 0):
            what = f"the sealer has sealed it up to {sealed}, but no seal says so"
            self.result.add(IssueKind.TRUNCATED, f"{writer}/{sealed}", what)

    def end(self) -> VerificationResult:
        """Compare the end of the log with the heads that were kept; return what was found."""
        last = self.result.last_seal or 0
        while self._head is not None:
            missing = self._head.number - last
            what = (
                f"the log ends with seal {last}, and had {missing} more at {self._head.at}, "
                f"with {self._head.total} events in all"
            )
            self.result.add(IssueKind.TRUNCATED, f"seal {self._head.number}", what)
            self._head = self._next_head()
        if self._anchor is not None:
            self._check_anchor(self._anchor)
        return self.result

    def _check_anchor(self, seal: SealRow) -> None:
        number = seal.fields[0]
        archived = [anchor for anchor in self._archived if anchor.number == number]
        if not archived:
            what = "the log does not begin with seal 1, and no event says that it was archived"
            self.result.add(IssueKind.SEAL_DELETED, f"seal {number - 1}", what)
        elif not any(anchor.is_of(seal, self._keys) for anchor in archived):
            self._seal_changed(seal, "it is not the seal that was archived")

    # Parts ------------------------------------------------------------------------------------

    def _may_begin_anywhere(self, writer: int) -> bool:
        """Whether a writer may have begun in what was archived, or in a seal that is broken."""
        is_archived = self._anchor is not None and writer < self._anchor_since
        return self._is_loose or (is_archived and writer not in self._covered)

    def _follow_heads(self, seal: SealRow) -> None:
        number = seal.fields[0]
        while self._head is not None and self._head.number <= number:
            if self._head.number == number and self._head.head != seal.head.hex():
                what = (
                    f"its head was {self._head.head[:16]}… at {self._head.at}, and is another now"
                )
                self.result.add(IssueKind.REWRITTEN, f"seal {number}", what)
            self._head = self._next_head()

    def _next_head(self) -> Head | None:
        for found in self._heads:
            if isinstance(found, Head):
                self.result.heads += 1
                self.result.newest_head = found.number
                return found
            what = "the line is no head that was signed with an audit key that is here"
            self.result.add(IssueKind.HEAD_BROKEN, f"{found.path}:{found.line}", what)
        return None

    def _check_age(self, row: EventRow) -> None:
        newest = self.result.last_sealed_at
        at = micros(row.fields[2])
        if newest is not None and self._now is not None:
            # The clock of a sealer may have been ahead; what it left is not passed over yet.
            newest = min(newest, self._now)
        if newest is not None and at < micros(newest - UNSEALED_FOR):
            place = f"{row.fields[0]}/{row.fields[1]}"
            what = f"older than the newest seal by more than {UNSEALED_FOR}, and passed over by it"
            self.result.add(IssueKind.NOT_SEALED, place, what)

    def _note_archive(self, detail: str | None) -> None:
        words = json.loads(detail or "{}")
        self._archived.add(Anchor(words["through"], words["head"], words["before"]))

    def _seal_changed(self, seal: SealRow, what: str) -> None:
        self.result.add(IssueKind.SEAL_CHANGED, f"seal {seal.fields[0]}", what)

    def _unknown(self, made: bytes, place: str) -> None:
        what = (
            f"it names audit key {made[:4].hex() or 'none'}, which is not here: it was forged, or "
            "that key is missing in the audit key file"
        )
        self.result.add(IssueKind.UNKNOWN_KEY, place, what)


ARCHIVED = "audit:segment:archive"
"""The action that tells that the log's older part was archived: up to which seal, and its head."""


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


@dataclass(frozen=True)
class AuditIssue:
    """One thing that is wrong: what, where (an event as writer/number, or a seal), and in words."""

    kind: IssueKind
    place: str
    what: str


@dataclass
class VerificationResult:
    """What verification found. `findings` holds the first `MOST_FINDINGS`, `counts` all by kind."""

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

    def add(self, kind: IssueKind, place: str, what: str) -> None:
        """Note a finding."""
        self.counts[kind] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(AuditIssue(kind, place, what))
