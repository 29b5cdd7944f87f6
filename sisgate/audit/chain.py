"""Verification of the chain: every seal and event, their links, and the heads kept outside.

A pure decision over streams, which come from the database or from an exported file.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sisgate.audit.content import (
    EPOCH,
    FIRST_HEAD,
    Range,
    event_content,
    micros,
    ranges_of,
    seal_content,
    size_of,
)
from sisgate.audit.findings import IssueKind, VerificationResult
from sisgate.audit.heads import Broken, Head
from sisgate.audit.keys import AuditKey, PublicKey, Verifiers
from sisgate.audit.writers import first_id
from sisgate.ledger.audit_chain import EventRow, SealRow

ARCHIVED = "audit:segment:archive"
"""The action that says which part of the log was archived: up to which seal, and its head."""

CLOCKS_DIFFER = timedelta(hours=1)
"""How much the clocks of two machines of a fleet may differ."""

UNSEALED_FOR = timedelta(minutes=10)
"""Events this much older than the newest seal should be sealed."""


@dataclass(slots=True)
class Coverage:
    """What the seals have covered of one writer: first and last number, and how many are there."""

    first: int
    last: int
    present: int = 0


@dataclass(frozen=True)
class _Anchor:
    """Where a log begins whose older part was archived: at the last archived seal.

    `before` is the head of the seal before it, to which its own head was linked.
    """

    number: int
    head: str
    before: str

    def is_of(self, seal: SealRow, keys: Verifiers) -> bool:
        """Whether a seal is the one that was archived, in all its columns."""
        if (self.number, self.head) != (seal.number, seal.head.hex()):
            return False
        key = keys.of(seal.head)
        content = seal_content(seal[:-1], bytes.fromhex(self.before))
        return key is not None and key.seal_mac(content) in {None, seal.head}


class ChainVerifier:
    """Checks a log that is fed in order: each seal with its events, then the rest.

    `now` is the current time if the log is the one in the database.
    """

    def __init__(
        self, keys: Verifiers, heads: Iterable[Head | Broken] = (), now: datetime | None = None
    ) -> None:
        self.result = VerificationResult()
        self.coverage: dict[int, Coverage] = {}
        """What the seals so far have covered, by writer."""
        self._keys = keys
        self._now = now
        self._heads = self._good_heads(heads)
        self._head = next(self._heads, None)
        self._before: SealRow | None = None
        self._anchor: SealRow | None = None
        self._anchor_since = 0
        self._archived: set[_Anchor] = set()
        # Once a seal cannot be trusted, what follows it need not begin where it ended.
        self._is_loose = False

    @property
    def last_head(self) -> bytes:
        """The head of the last seal that was fed."""
        return self._before.head if self._before else FIRST_HEAD

    @property
    def complete_since(self) -> datetime | None:
        """The time since when the log has every event; None if nothing was archived."""
        return _moment(self._anchor.at) + CLOCKS_DIFFER if self._anchor else None

    def seal(self, seal: SealRow, events: Iterable[EventRow]) -> None:
        """Check a seal, its link to the one before, and its events, which come in its order."""
        try:
            ranges = self._check_seal(seal)
        except (TypeError, ValueError, OverflowError):
            self._seal_changed(seal, "it is not a seal that can be read")
            ranges, self._is_loose = [], True
        digest = self._check_events(ranges, events, self._keys.of(seal.head))
        if ranges and digest is not None and digest != seal.digest:
            self._seal_changed(seal, "its events are not those it was made over")
        self._before = seal
        self.result.seals += 1

    def _check_seal(self, seal: SealRow) -> list[Range]:
        """Check a seal without its events; return the ranges that it covers."""
        ranges = ranges_of(seal.covers)
        self._follow_heads(seal)
        result, before = self.result, self._before
        result.last_seal, result.last_sealed_at = seal.number, _moment(seal.at)
        if before is None:
            result.first_seal = seal.number
            if seal.number != 1:
                # What its head was linked to has been archived, and an event must say so.
                self._anchor = seal
                self._anchor_since = first_id(result.last_sealed_at + CLOCKS_DIFFER)
                return []
        elif seal.number != before.number + 1:
            what = f"missing up to seal {seal.number - 1}"
            result.add(IssueKind.SEAL_DELETED, f"seal {before.number + 1}", what)
        key = self._keys.of(seal.head)
        if key is None:
            self._unknown_key(seal.head, f"seal {seal.number}")
        elif key.seal_mac(seal_content(seal[:-1], self.last_head)) not in {None, seal.head}:
            self._seal_changed(seal, "it, or the seal before it, is not what it was")
        elif before is not None and not _follows(seal, before):
            self._seal_changed(seal, "it does not follow the seal before it")
        if size_of(ranges) != seal.events:
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
        """Check a seal's events; return their digest, or None if some are missing."""
        digest, is_complete = hashlib.sha256(), True
        rows = iter(events)
        row = next(rows, None)
        for writer, first, last in ranges:
            coverage = self._extend(writer, first, last)
            for number in range(first, last + 1):
                if row is None or row[:2] != (writer, number):
                    is_complete = False
                    what = "sealed, and no longer there"
                    self.result.add(IssueKind.DELETED, f"{writer}/{number}", what)
                    continue
                coverage.present += 1
                mac = self._check_event(row, is_sealed=True, sealed_with=sealed_with)
                digest.update(mac or b"")
                is_complete = is_complete and mac is not None
                row = next(rows, None)
        while row is not None:
            self.inserted(row.place)
            row = next(rows, None)
        return digest.digest() if is_complete else None

    def _extend(self, writer: int, first: int, last: int) -> Coverage:
        coverage = self.coverage.get(writer)
        expected = coverage.last + 1 if coverage else 1
        if first > expected and not self._may_begin_anywhere(writer):
            self._taken_away(writer, expected, first)
        if coverage is None:
            coverage = self.coverage[writer] = Coverage(first, last)
        coverage.last = max(coverage.last, last)
        return coverage

    def _check_event(
        self, row: EventRow, *, is_sealed: bool, sealed_with: AuditKey | PublicKey | None = None
    ) -> bytes | None:
        """Check an event; return what it adds to its seal's digest.

        An event from before there was a chain has no MAC: the key that sealed it stands in. A
        public key cannot, so then the digest is unknown.
        """
        self.result.events += 1
        predates_chain = row.writer == 0 and not row.mac and (is_sealed or not self.result.seals)
        key = sealed_with or self._keys.first if predates_chain else self._keys.of(row.mac)
        if key is None:
            self._unknown_key(row.mac, row.place)
            return row.mac
        mac: bytes | None = b""
        with suppress(TypeError, ValueError, OverflowError):
            mac = key.event_mac(event_content(row[:-1]))
        if mac != b"" and predates_chain:
            return mac
        if mac not in {None, row.mac}:
            self.result.add(IssueKind.CHANGED, row.place, "its content does not fit its MAC")
        elif row.action == ARCHIVED:
            detail = json.loads(row.detail or "{}")
            self._archived.add(_Anchor(detail["through"], detail["head"], detail["before"]))
        return row.mac

    def tail(self, writer: int, events: Iterable[EventRow]) -> None:
        """Check a writer's events that no seal covers yet: those after what is covered."""
        coverage = self.coverage.get(writer)
        expected = coverage.last + 1 if coverage else 1
        may_begin_here = self._may_begin_anywhere(writer)
        for row in events:
            if row.number != expected and not may_begin_here:
                self._taken_away(writer, expected, row.number)
            expected, may_begin_here = row.number + 1, False
            before = self.result.counts.total()
            self._check_event(row, is_sealed=False)
            self.result.unsealed += 1
            if self.result.counts.total() == before:
                self._check_age(row)

    def inserted(self, place: str) -> None:
        """Report an event, among those before the end of a seal, that no seal covers."""
        self.result.add(IssueKind.INSERTED, place, "no seal covers it")

    def check_note(self, writer: int, sealed: int) -> None:
        """Check the sealer's own note of how far a writer is sealed."""
        coverage = self.coverage.get(writer)
        if not self._may_begin_anywhere(writer) and sealed > (coverage.last if coverage else 0):
            what = f"the sealer has sealed it up to {sealed}, but no seal says so"
            self.result.add(IssueKind.TRUNCATED, f"{writer}/{sealed}", what)

    def end(self) -> VerificationResult:
        """Check the end of the log against the heads that were kept; return the result."""
        last = self.result.last_seal or 0
        while (head := self._head) is not None:
            what = (
                f"the log ends with seal {last}, and had {head.number - last} more at {head.at}, "
                f"with {head.total} events in all"
            )
            self.result.add(IssueKind.TRUNCATED, f"seal {head.number}", what)
            self._head = next(self._heads, None)
        if self._anchor is not None:
            self._check_anchor(self._anchor)
        return self.result

    def _check_anchor(self, seal: SealRow) -> None:
        archived = [anchor for anchor in self._archived if anchor.number == seal.number]
        if not archived:
            what = "the log does not begin with seal 1, and no event says that it was archived"
            self.result.add(IssueKind.SEAL_DELETED, f"seal {seal.number - 1}", what)
        elif not any(anchor.is_of(seal, self._keys) for anchor in archived):
            self._seal_changed(seal, "it is not the seal that was archived")

    def _may_begin_anywhere(self, writer: int) -> bool:
        """Whether a writer may have begun in what was archived, or in a seal that is broken."""
        is_archived = self._anchor is not None and writer < self._anchor_since
        return self._is_loose or (is_archived and writer not in self.coverage)

    def _follow_heads(self, seal: SealRow) -> None:
        while (head := self._head) is not None and head.number <= seal.number:
            if head.number == seal.number and head.head != seal.head.hex():
                what = f"its head was {head.head[:16]}… at {head.at}, and is another now"
                self.result.add(IssueKind.REWRITTEN, f"seal {seal.number}", what)
            self._head = next(self._heads, None)

    def _good_heads(self, heads: Iterable[Head | Broken]) -> Iterator[Head]:
        """Yield the heads; report the lines between them that are none."""
        for head in heads:
            if isinstance(head, Broken):
                what = "the line is no head that was signed with an audit key that is here"
                self.result.add(IssueKind.HEAD_BROKEN, f"{head.path}:{head.line}", what)
                continue
            self.result.heads += 1
            self.result.newest_head = head.number
            yield head

    def _check_age(self, row: EventRow) -> None:
        newest = self.result.last_sealed_at
        if newest is None:
            return
        if self._now is not None:
            # The clock of a sealer may have been ahead; what it left is not passed over yet.
            newest = min(newest, self._now)
        if micros(row.at) < micros(newest - UNSEALED_FOR):
            what = f"older than the newest seal by more than {UNSEALED_FOR}, and passed over by it"
            self.result.add(IssueKind.NOT_SEALED, row.place, what)

    def _taken_away(self, writer: int, expected: int, number: int) -> None:
        what = f"taken away before it could be sealed, up to {writer}/{number - 1}"
        self.result.add(IssueKind.DELETED, f"{writer}/{expected}", what)

    def _seal_changed(self, seal: SealRow, what: str) -> None:
        self.result.add(IssueKind.SEAL_CHANGED, f"seal {seal.number}", what)

    def _unknown_key(self, mac: bytes, place: str) -> None:
        what = (
            f"it names audit key {mac[:4].hex() or 'none'}, which is not here: it was forged, or "
            "that key is missing in the audit key file"
        )
        self.result.add(IssueKind.UNKNOWN_KEY, place, what)


def _moment(at: datetime | str) -> datetime:
    return EPOCH + timedelta(microseconds=micros(at))


def _follows(seal: SealRow, before: SealRow) -> bool:
    in_time = micros(seal.at) >= micros(before.at)
    return in_time and bool(seal.total == before.total + seal.events)
