"""Personal data over HTTP: erasing a person, keeping one out of syncs, retention."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sisgate.client.connection import Connection
from sisgate.client.reading import reads_answers
from sisgate.client.values import Json, moment, person_of, value_of
from sisgate.privacy.erasure import ErasureReport
from sisgate.privacy.retention import RetentionResult, RetentionRule

ERASE_SECONDS = 300.0
"""How long it may take to search all tables, and to overwrite what was freed."""


@reads_answers
class HttpRetention:
    """`gateway.privacy.retention` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def preview(self) -> Sequence[RetentionResult]:
        """Return what each rule would delete now."""
        return list(map(_result, self._connection.get("/v1/retention")["rules"]))

    def run(self, *, actor: str | None = None, seconds: float = 20.0) -> Sequence[RetentionResult]:
        """Delete what is past its retention, for at most some seconds for each rule."""
        reply = self._connection.send(
            "POST", "/v1/retention/run", body={"seconds": seconds}, silence=10 * seconds
        )
        return list(map(_result, reply.json["rules"]))


@reads_answers
class HttpPrivacy:
    """`gateway.privacy` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.retention = HttpRetention(connection)

    def erase(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str | None = None,
        reason: str = "",
        resource: str | None = None,
        suppress: bool = True,
        dry_run: bool = False,
    ) -> ErasureReport:
        """Erase a person; report the deletions and what a search found. See `Privacy.erase`."""
        body = {
            **person_of(provider, sourced_id), "reason": reason or None, "resource": resource,
            "suppress": suppress, "dry_run": dry_run,
        }  # fmt: skip
        done = self._connection.post("/v1/persons/erase", body, silence=ERASE_SECONDS)
        return value_of(ErasureReport, {**done, "pseudonym": done["person"]})

    def lift(
        self,
        provider: str,
        sourced_id: str,
        *,
        reason: str,
        actor: str | None = None,
        resource: str | None = None,
    ) -> bool:
        """Let later syncs bring an erased person back; return whether they were left out."""
        body = {**person_of(provider, sourced_id), "reason": reason, "resource": resource}
        return bool(self._connection.post("/v1/persons/lift", body)["lifted"])

    def pseudonyms(self, provider: str, sourced_id: str) -> Sequence[str]:
        """Return a person's pseudonyms in the audit log, as a student and as a teacher."""
        body = person_of(provider, sourced_id)
        found: list[str] = self._connection.post(
            "/v1/persons/pseudonyms", body, may_repeat=True
        )["pseudonyms"]  # fmt: skip
        return found


def _result(document: Json) -> RetentionResult:
    seconds = document.get("keep_seconds")
    keep = None if seconds is None else timedelta(seconds=seconds)
    before = moment(document["before"])
    rule = RetentionRule(document["rule"], document["setting"], keep, before)
    return RetentionResult(rule, Counter(document["rows"]), document["finished"])
