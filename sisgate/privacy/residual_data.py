"""What a person leaves beside their records: in requests, answers, errors and page boundaries."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from sisgate.credentials.sealed import open_request
from sisgate.credentials.vault import Vault
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import CredentialError, InvalidState
from sisgate.ledger import persons
from sisgate.ledger.calls import Purpose
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Call, Job, Response
from sisgate.ledger.statements import identity_of
from sisgate.privacy.person_search import ResidualMatch
from sisgate.privacy.persons import PersonMatcher, leaves

CHUNK = 200
ERASED = "[erased]"


class ResidualData:
    """Finds and erases what one provider's jobs still hold of a person.

    `ids` are the ids of the person's records. Sealed texts are opened to be searched. A job that
    has not ended needs what it holds, so that stays and is reported as left.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        provider: str,
        matcher: PersonMatcher,
        ids: Collection[str],
    ) -> None:
        self._database = database
        self._vault = vault
        self._provider = provider
        self._matcher = matcher
        self._ids = ids

    def count(self) -> Counter[str]:
        """Return how many rows name the person, including those of live jobs."""
        with self._database.read() as session:
            return Counter(name for name, _row, _job in self._find(session))

    def erase(self, pseudonym: str) -> Counter[str]:
        """Erase what jobs that have ended hold; return how many rows."""
        with self._database.read() as session:
            ended = [
                (name, type(row), identity_of(row))
                for name, row, job in self._find(session)
                if JobState(job.state).is_final
            ]
        for start in range(0, len(ended), CHUNK):
            # Short transactions: nobody waits for the search.
            with self._database.write() as session:
                for _name, kind, key in ended[start : start + CHUNK]:
                    row = session.get(kind, key)
                    if row is not None:
                        self._clear(session, row, pseudonym)
        return Counter(name for name, _kind, _key in ended)

    def remaining(self) -> list[ResidualMatch]:
        """Return what is left, which is in jobs that have not ended."""
        note = "a job that has not ended needs it: erase once more when it has"
        return [
            ResidualMatch(name, "of live jobs", rows, "identifier", note)
            for name, rows in sorted(self.count().items())
        ]

    def _find(self, session: Session) -> Iterator[tuple[str, Base, Job]]:
        """Yield the kind of each row that names the person, the row and its job."""
        for row, job in persons.jobs_with_parts(session, self._provider):
            if (kind := self._kind_of(row)) is not None:
                yield kind, row, job

    def _kind_of(self, row: Base) -> str | None:
        """Return what a row that names the person is, None for one that does not."""
        if isinstance(row, Job):
            if self._asks_for(row):
                return "requests"
            return "jobs" if self._matches(row.error, row.note, row.idempotency_key) else None
        if isinstance(row, Call):
            target = row.target if row.purpose == Purpose.REQUEST else None
            named = self._has_ids(row) or self._matches(row.error, row.link, target)
            return "calls" if named else None
        return "responses" if isinstance(row, Response) and self._answers_with(row) else None

    def _clear(self, session: Session, row: Base, pseudonym: str) -> None:
        if isinstance(row, Response):
            session.delete(row)
        elif isinstance(row, Call):
            row.edges = self._masked(row.edges)
            row.target = self._masked(row.target)
            if row.purpose == Purpose.REQUEST and self._matches(row.target):
                row.target = {"method": (row.target or {}).get("method", "GET")}
            row.error = self._cleared(row.error)
            row.link = None if self._matches(row.link) else row.link
        elif isinstance(row, Job):
            if self._asks_for(row):
                row.options = {"method": row.options.get("method", "GET")}
                row.sealed_request = None
            row.error = self._cleared(row.error)
            row.note = ERASED if self._matches(row.note) else row.note
            if self._matches(row.idempotency_key):
                row.idempotency_key = f"{pseudonym}-{row.id}"

    def _cleared(self, error: dict[str, Any] | None) -> dict[str, Any] | None:
        if error is None or not self._matches(error):
            return error
        return {"code": error.get("code", "erased"), "message": ERASED}

    def _matches(self, *values: Any) -> bool:
        return any(self._matcher.matches_json(value) for value in values)

    def _has_ids(self, call: Call) -> bool:
        values = (each for value in (call.edges, call.target) for _, each in leaves(value))
        return any(isinstance(each, str) and each in self._ids for each in values)

    def _asks_for(self, job: Job) -> bool:
        if job.kind != JobKind.REQUEST.value:
            return False
        try:
            return self._matcher.matches_request(open_request(self._vault, job))
        except InvalidState:
            return False
        except CredentialError:
            # It can no longer be opened, so it may name the person.
            return True

    def _answers_with(self, answer: Response) -> bool:
        try:
            body = self._vault.open(answer.sealed_body, f"responses/{answer.job_id}")
        except CredentialError:
            return True
        # Searched as text for what is not JSON or the name of a field, as JSON for what is escaped.
        text = body.decode("utf-8", errors="replace")
        if self._matcher.matches(text) or self._matches(answer.headers):
            return True
        try:
            return self._matches(json.loads(body))
        except (ValueError, RecursionError):
            return False

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return ERASED if value in self._ids else value
        if isinstance(value, Mapping):
            return {name: self._masked(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        return value
