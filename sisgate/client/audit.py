"""The audit log over HTTP: reading, verifying and exporting it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sisgate.audit.findings import VerificationResult
from sisgate.audit.heads import Head
from sisgate.audit.verification import Progress
from sisgate.client.connection import Connection
from sisgate.client.reading import reads_answers
from sisgate.client.values import moment, person_of, text_of, value_of
from sisgate.clock import Clock
from sisgate.errors import UsageError
from sisgate.gateway.audit_following import Following
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import AuditEvent
from sisgate.privacy.disclosures import PersonDisclosure

WHOLE_SECONDS = 600.0
"""How long the service may take before it answers, for what reads the whole log."""

_AT = "/v1/audit"


@reads_answers
class HttpAudit:
    """`gateway.audit` over HTTP. Events are without their MACs."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def tail(self, wanted: AuditFilter | None = None, *, limit: int = 50) -> Sequence[AuditEvent]:
        """Return the newest matching events, newest first."""
        query = {**_filter(wanted or AuditFilter()), "limit": limit}
        return [_event(each) for each in self._connection.get("/v1/audit/events", query)["events"]]

    def disclosures(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[PersonDisclosure]:
        """Return who read a person's records or responses with their data, oldest first."""
        body = {
            **person_of(provider, sourced_id), "resource": resource,
            "since": text_of("since", since), "until": text_of("until", until),
        }  # fmt: skip
        found = self._connection.post("/v1/persons/disclosures", body, may_repeat=True)
        return value_of(list[PersonDisclosure], found["disclosures"])

    def search(self, wanted: AuditFilter) -> Iterator[AuditEvent]:
        """Stream the matching events, oldest first."""
        lines = self._connection.lines("/v1/audit/search", _filter(wanted))
        return (_event(json.loads(line)) for line in lines)

    def verify(
        self, *, heads: Sequence[Path] = (), progress: Progress = lambda _: None
    ) -> VerificationResult:
        """Verify the whole log, and its end against the heads that the service has.

        Raises `UsageError` for other `heads`: they do not go over HTTP. `progress` hears of the
        end.
        """
        if heads:
            raise UsageError(
                "Files of heads do not go over HTTP. Save what `export` returns, and compare it "
                "with them: `sisgate audit verify FILE --heads HEADS`."
            )
        found = self._connection.post(f"{_AT}/verify", silence=WHOLE_SECONDS)
        progress(found["events"])
        return value_of(VerificationResult, found)

    def sealed_events(self) -> int | None:
        """Return None: how many events `verify` will check comes with its result."""
        return None

    def verify_export(
        self, path: Path, *, heads: Sequence[Path] = (), progress: Progress = lambda _: None
    ) -> VerificationResult:
        """Verify an exported file here, with the public audit keys of the service."""
        from sisgate.gateway.audit import verify_signed

        return verify_signed(path, self.public_keys(), heads=heads, progress=progress)

    def follow(self, wanted: AuditFilter, seen: Sequence[AuditEvent]) -> Following:
        """Return an object that yields the matching events after those in `seen`."""
        return Following(self.search, wanted, seen, self._clock.now())

    def export(self) -> Iterator[str]:
        """Stream the whole log as lines of JSON, which `verify_signed` can check."""
        lines = self._connection.lines(
            f"{_AT}/export", method="POST", may_repeat=False, silence=WHOLE_SECONDS
        )
        return (line.decode("utf-8", "surrogateescape") for line in lines)

    def seal(self) -> int | None:
        """Seal new events now; return the seal's number, or None without any."""
        number: int | None = self._connection.post(f"{_AT}/seal")["seal"]
        return number

    def head(self) -> Head | None:
        """Return the signed head of the newest seal, to keep on another system."""
        newest = self._connection.get(f"{_AT}/head")["head"]
        return value_of(Head, newest) if newest is not None else None

    def public_keys(self) -> Sequence[str]:
        """Return the public parts of the audit keys for an auditor, newest first."""
        keys: list[str] = self._connection.get(f"{_AT}/public-keys")["keys"]
        return keys


def _filter(wanted: AuditFilter) -> dict[str, Any]:
    values = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    subjects = list(values.pop("subjects")) or None
    times = {name: at.isoformat() for name, at in values.items() if isinstance(at, datetime)}
    return {**values, **times, "subject": subjects}


def _event(document: Mapping[str, Any]) -> AuditEvent:
    writer, _, number = document["event"].partition("/")
    detail = document["detail"]
    return AuditEvent(
        writer=int(writer), number=int(number), at=moment(document["at"]),
        actor=document["actor"], action=document["action"], subject=document["subject"],
        reason=document["reason"], provider=document["provider"], job_id=document["job"],
        request_id=document["request"], detail_text=json.dumps(detail) if detail else None,
    )  # fmt: skip
