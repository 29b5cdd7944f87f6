"""The whole log as lines of JSON, and verifying such a file without the database.

Lines in order: each seal, then the events it covers; then the events that no seal covers yet; the
signed head; and finally a signature over all lines before it, so that an auditor who has the public
key and the file needs nothing else. `{"seal": …}`, `{"event": …}`, `{"unsealed": …}`,
`{"head": …}`, `{"signed": …}`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.chain import ChainVerifier
from sisgate.audit.content import compact_json, ranges_of
from sisgate.audit.findings import IssueKind, VerificationResult
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
    key, sha256 = keys.newest, digest.hexdigest()
    signature = key.sign(_signed_content(count, sha256, key.id.hex()))
    signed = {"lines": count, "sha256": sha256, "key": key.id.hex(), "signature": signature}
    yield compact_json({"signed": signed})


def _signed_content(count: int, digest: str, key: str) -> bytes:
    return compact_json(["sisgate audit export", count, digest, key]).encode()


def _raw(line: str) -> bytes:
    return f"{line}\n".encode("utf-8", "surrogateescape")


def _events_and_seals(session: Session) -> Iterator[str]:
    covered: dict[int, int] = {}
    for seal in seals_through(session):
        yield from segment(session, seal)
        covered |= {writer: last for writer, _, last in ranges_of(seal.covers)}
    for writer, _, _, last in list(event_counts(session)):
        if last > covered.get(writer, 0):
            for event in events_between(session, writer, covered.get(writer, 0) + 1):
                yield _event_line("unsealed", event)


def segment(session: Session, seal: SealRow) -> Iterator[str]:
    """Stream one seal and its events."""
    yield _seal_line(seal)
    for writer, first, last in ranges_of(seal.covers):
        for event in events_between(session, writer, first, last):
            yield _event_line("event", event)


def _event_line(kind: str, event: EventRow) -> str:
    return compact_json({kind: {**event._asdict(), "mac": event.mac.hex()}})


def _seal_line(seal: SealRow) -> str:
    binary = {"digest": bytes(seal.digest).hex(), "head": seal.head.hex()}
    return compact_json({"seal": {**seal._asdict(), **binary}})


def verify_file(
    path: Path,
    keys: Verifiers,
    progress: Progress = lambda _: None,
    *,
    heads: Iterable[Head | Broken] = (),
) -> VerificationResult:
    """Verify an exported file, in constant memory. Raises `AuditError` if it is not one.

    `keys` are the audit keys or their public parts. With public parts the MACs of events and seals
    are not checked: the signature over the file stands for them, and `heads` prove that nothing
    that was kept is missing or different.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return _File(file, path, keys, progress, heads).verify()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise AuditError(f"The export {path} cannot be read: {why}.") from error


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
        self._verifier = ChainVerifier(keys, heads)
        self._result = self._verifier.result
        self._line = 0
        self._digest = hashlib.sha256()
        self._kind, self._content = self._next()

    def verify(self) -> VerificationResult:
        while self._kind == "seal":
            seal = _seal_of(self._content)
            self._kind, self._content = self._next()
            self._verifier.seal(seal, self._events("event"))
            self._progress(self._result.events)
        while self._kind == "unsealed":
            writer = self._content.get("writer")
            self._verifier.tail(writer or 0, self._events("unsealed", writer))
        result = self._verifier.end()
        if result.seals or result.unsealed or self._kind == "head":
            self._check_head()
        self._check_signature()
        return result

    def _add(self, kind: IssueKind, what: str) -> None:
        self._result.add(kind, f"{self._path}:{self._line}", what)

    def _check_head(self) -> None:
        # Without its head a file that was cut would look like a shorter log.
        if self._kind != "head":
            self._add(IssueKind.TRUNCATED, "the file does not end with the head of its log")
            return
        result, head = self._result, parse_head(compact_json(self._content), self._keys)
        if head is None:
            self._add(IssueKind.HEAD_BROKEN, "the line is no head that our keys have signed")
        else:
            result.heads += 1
            result.newest_head = max(result.newest_head or 0, head.number)
            if (head.number, head.head) != (result.last_seal, self._verifier.last_head.hex()):
                what = f"the log ended with seal {head.number}, the file with {result.last_seal}"
                self._add(IssueKind.TRUNCATED, what)
        self._kind, self._content = self._next()

    def _check_signature(self) -> None:
        if self._kind != "signed":
            what = "the file does not end with the signature over its lines"
            self._add(IssueKind.NOT_SIGNED, what)
            return
        signed = self._content
        lines, digest = self._line - 1, self._digest.hexdigest()
        content = _signed_content(lines, digest, str(signed.get("key")))
        key = self._keys.of(_hex(signed.get("key")))
        if key is None:
            what = f"it names audit key {signed.get('key')}, which is not here"
            self._add(IssueKind.UNKNOWN_KEY, what)
        elif (signed.get("lines"), signed.get("sha256")) != (lines, digest) or not key.has_signed(
            content, str(signed.get("signature"))
        ):
            self._add(IssueKind.NOT_SIGNED, "the signature is not of these lines")
        if self._next()[0] != "end":
            what = "the line comes after the signature, which must be the last"
            self._add(IssueKind.INSERTED, what)

    def _events(self, kind: str, writer: Any = None) -> Iterator[EventRow]:
        """Yield the events of the following lines of a kind; of one writer, if it is given."""
        while self._kind == kind and (writer is None or self._content.get("writer") == writer):
            event = _event_of(self._content)
            self._kind, self._content = self._next()
            yield event

    def _next(self) -> tuple[str, dict[str, Any]]:
        for number, line in self._lines:
            self._line = number
            try:
                ((kind, content),) = json.loads(line).items()
            except (ValueError, AttributeError):
                kind, content = "", None
            if not isinstance(content, dict) or line.rstrip("\n") != _as_written(kind, content):
                raise AuditError(
                    f"Line {number} of {self._path} is not one of an exported audit log: the file "
                    "was changed, or is another one. `sisgate audit export` writes it."
                )
            if kind != "signed":
                self._digest.update(_raw(line.rstrip("\n")))
            return kind, content
        return "end", {}


def _as_written(kind: str, content: dict[str, Any]) -> str | None:
    """Return the line as an export writes it, None for an unknown kind.

    An extra field, or one that is there twice, would be shown to a reader and checked by nobody.
    """
    match kind:
        case "seal":
            return _seal_line(_seal_of(content))
        case "event" | "unsealed":
            return _event_line(kind, _event_of(content))
        case "head" | "signed":
            return compact_json({kind: content})
    return None


def _event_of(content: dict[str, Any]) -> EventRow:
    fields = [content.get(name) for name in EVENT_COLUMNS]
    return EventRow._make([*fields, _hex(content.get("mac"))])


def _seal_of(content: dict[str, Any]) -> SealRow:
    fields = [content.get(name) for name in SEAL_COLUMNS[:-1]]
    return SealRow._make([*fields, _hex(content.get("digest")), _hex(content.get("head"))])


def _hex(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        return b""
