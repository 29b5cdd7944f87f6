"""The whole log as lines of JSON, and verifying such a file without the database.

Lines in order: each seal, then the events it covers; then the events that no seal covers yet; the
signed head; and at the end a signature over all lines before it, so that an auditor who has the
public key and the file needs nothing else. `{"seal": …}`, `{"event": …}`, `{"unsealed": …}`,
`{"head": …}`, `{"signed": …}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.chain import ChainVerifier, IssueKind, VerificationResult
from sisgate.audit.content import compact_json, ranges_of
from sisgate.audit.heads import Broken, Head, head_of, parse_head
from sisgate.audit.keys import KeyRing, Verifiers
from sisgate.audit.verification import Progress
from sisgate.errors import AuditError
from sisgate.ledger.audit_chain import (
    EVENT_COLUMNS,
    SEAL_COLUMNS,
    EventRow,
    SealRow,
    event_counts,
    events_between,
    newest_seal,
    seals_through,
)
from sisgate.ledger.schema import AuditSeal


def lines(session: Session, keys: KeyRing) -> Iterator[str]:
    """Stream the log as this session sees it."""
    yield from ended(_events_and_seals(session), newest_seal(session), keys)


def ended(lines: Iterable[str], newest: AuditSeal | None, keys: KeyRing) -> Iterator[str]:
    """Stream lines, and at their end the head of the log and the signature over all of it."""
    digest, count = hashlib.sha256(), 0
    head = [] if newest is None else [compact_json({"head": asdict(head_of(newest, keys))})]
    for line in chain(lines, head):
        digest.update(_raw(line))
        count += 1
        yield line
    key = keys.newest
    signature = key.sign(_signed_content(count, digest.hexdigest(), key.id.hex()))
    words = {
        "lines": count,
        "sha256": digest.hexdigest(),
        "key": key.id.hex(),
        "signature": signature,
    }
    yield compact_json({"signed": words})


def _signed_content(count: int, digest: str, key: str) -> bytes:
    return compact_json(["sisgate audit export", count, digest, key]).encode()


def _raw(line: str) -> bytes:
    return f"{line}\n".encode("utf-8", "surrogateescape")


def _events_and_seals(session: Session) -> Iterator[str]:
    covered: dict[int, int] = {}
    for seal in seals_through(session):
        yield from segment(session, seal)
        covered |= {writer: last for writer, _, last in ranges_of(seal.fields[4])}
    for writer, _, _, last in list(event_counts(session)):
        if last > covered.get(writer, 0):
            for event in events_between(session, writer, covered.get(writer, 0) + 1):
                yield compact_json({"unsealed": event_words(event)})


def segment(session: Session, seal: SealRow) -> Iterator[str]:
    """Stream one seal and its events."""
    yield compact_json({"seal": seal_words(seal)})
    for writer, first, last in ranges_of(seal.fields[4]):
        for event in events_between(session, writer, first, last):
            yield compact_json({"event": event_words(event)})


def event_words(event: EventRow) -> dict[str, Any]:
    """Return an event by column, the MAC in hex."""
    words = dict(zip(EVENT_COLUMNS, event.fields, strict=True))
    return {**words, "mac": event.mac.hex()}


def seal_words(seal: SealRow) -> dict[str, Any]:
    """Return a seal by column, digest and head in hex."""
    words = dict(zip(SEAL_COLUMNS, seal.fields, strict=True))
    return {**words, "digest": bytes(words["digest"]).hex(), "head": seal.head.hex()}


def verify_file(
    path: Path,
    keys: Verifiers,
    progress: Progress = lambda _: None,
    *,
    heads: Iterable[Head | Broken] = (),
) -> VerificationResult:
    """Verify an exported file, in constant memory. Raises `AuditError` where it is none.

    `keys` are the audit keys or their public parts. With these the MACs of events and seals are
    not checked: the signature over the file stands for them, and that nothing that was kept by
    `heads` is missing or another.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return _File(file, path, keys, progress, heads).verify()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"The export {path} cannot be read: {error}.") from error


class _File:
    def __init__(
        self,
        file: Iterable[str],
        path: Path,
        keys: Verifiers,
        progress: Progress,
        heads: Iterable[Head | Broken],
    ) -> None:
        self._lines = enumerate(file, start=1)
        self._path = path
        self._keys = keys
        self._progress = progress
        self._verification = ChainVerifier(keys, heads)
        self._line = 0
        self._digest = hashlib.sha256()
        self._kind, self._words = self._next()

    def verify(self) -> VerificationResult:
        verifier = self._verification
        while self._kind == "seal":
            seal = _seal_of(self._words)
            self._kind, self._words = self._next()
            verifier.seal(seal, self._events("event"))
            self._progress(verifier.result.events)
        while self._kind == "unsealed":
            verifier.tail(self._words.get("writer", 0), self._events_of_writer())
        result = verifier.end()
        if result.seals or result.unsealed or self._kind == "head":
            self._check_head(result)
        self._check_signature(result)
        return result

    def _check_head(self, result: VerificationResult) -> None:
        # Without its head a file that was cut would look like a shorter log.
        place = f"{self._path}:{self._line}"
        if self._kind != "head":
            result.add(IssueKind.TRUNCATED, place, "the file does not end with the head of its log")
            return
        head = parse_head(compact_json(self._words), self._keys)
        self._kind, self._words = self._next()
        if head is None:
            result.add(
                IssueKind.HEAD_BROKEN, place, "the line is no head that our keys have signed"
            )
            return
        result.heads += 1
        result.newest_head = max(result.newest_head or 0, head.number)
        if (head.number, head.head) != (result.last_seal, self._verification.last_head.hex()):
            what = f"the log ended with seal {head.number}, the file with {result.last_seal}"
            result.add(IssueKind.TRUNCATED, place, what)

    def _check_signature(self, result: VerificationResult) -> None:
        place = f"{self._path}:{self._line}"
        if self._kind != "signed":
            what = "the file does not end with the signature over its lines"
            result.add(IssueKind.NOT_SIGNED, place, what)
            return
        words = self._words
        lines, digest = self._line - 1, self._digest.hexdigest()
        content = _signed_content(lines, digest, str(words.get("key")))
        key = self._keys.of(_hex(words.get("key")))
        if key is None:
            what = f"it names audit key {words.get('key')}, which is not here"
            result.add(IssueKind.UNKNOWN_KEY, place, what)
        elif (words.get("lines"), words.get("sha256")) != (lines, digest) or not key.has_signed(
            content, str(words.get("signature"))
        ):
            result.add(IssueKind.NOT_SIGNED, place, "the signature is not of these lines")
        if self._next()[0] != "end":
            what = "the line stands after the signature, which nothing follows"
            result.add(IssueKind.INSERTED, f"{self._path}:{self._line}", what)

    def _events(self, kind: str) -> Iterator[EventRow]:
        while self._kind == kind:
            event = _event_of(self._words)
            self._kind, self._words = self._next()
            yield event

    def _events_of_writer(self) -> Iterator[EventRow]:
        writer = self._words.get("writer")
        while self._kind == "unsealed" and self._words.get("writer") == writer:
            event = _event_of(self._words)
            self._kind, self._words = self._next()
            yield event

    def _next(self) -> tuple[str, dict[str, Any]]:
        for number, line in self._lines:
            self._line = number
            try:
                ((kind, words),) = json.loads(line).items()
            except (ValueError, AttributeError):
                kind, words = "", None
            if not isinstance(words, dict) or line.rstrip("\n") != _as_written(kind, words):
                raise AuditError(
                    f"Line {number} of {self._path} is not one of an exported audit log: the file "
                    "was changed, or is another one. `sisgate audit export` writes it."
                )
            if kind != "signed":
                self._digest.update(_raw(line.rstrip("\n")))
            return kind, words
        return "end", {}


def _as_written(kind: str, words: dict[str, Any]) -> str | None:
    """Return the line as an export writes it, None for a kind that is none.

    A word more, or one that stands twice, would be shown to a reader and be checked by nobody.
    """
    match kind:
        case "seal":
            return compact_json({kind: seal_words(_seal_of(words))})
        case "event" | "unsealed":
            return compact_json({kind: event_words(_event_of(words))})
        case "head" | "signed":
            return compact_json({kind: words})
    return None


def _event_of(words: dict[str, Any]) -> EventRow:
    return EventRow(tuple(words.get(name) for name in EVENT_COLUMNS), _hex(words.get("mac")))


def _seal_of(words: dict[str, Any]) -> SealRow:
    fields = {**words, "digest": _hex(words.get("digest"))}
    return SealRow(tuple(fields.get(name) for name in SEAL_COLUMNS), _hex(words.get("head")))


def _hex(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        return b""
