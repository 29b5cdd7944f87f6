"""What a person leaves beside their records: in requests, answers, errors and edges of pages."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from sisgate.credentials.sealed import open_request
from sisgate.credentials.vault import Vault
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import CredentialError, InvalidState
from sisgate.ledger.calls import Purpose
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Call, Job, Response
from sisgate.privacy.person_search import ResidualMatch
from sisgate.privacy.persons import PersonMatcher

CHUNK = 200
ERASED = "[erased]"


class ResidualData:
    """Finds and erases a person's traces at one provider.

    Sealed texts are opened to be searched. What belongs to a job that has not ended is needed to
    go on and stays; it is told as left.
    """

    def __init__(
        self, database: Database, vault: Vault, provider: str, matcher: PersonMatcher
    ) -> None:
        self._database = database
        self._vault = vault
        self._provider = provider
        self._matcher = matcher

    def count(self, ids: Collection[str]) -> Counter[str]:
        """Return how many rows `erase` would change, those of live jobs included."""
        with self._database.read() as session:
            return Counter(name for name, _row, _job in self._find(session, ids))

    def erase(self, ids: Collection[str], pseudonym: str) -> Counter[str]:
        """Erase the traces in jobs that have ended; return how many rows. `ids` are row ids."""
        with self._database.read() as session:
            found = [
                (name, type(row), inspect(row).identity)
                for name, row, job in self._find(session, ids)
                if JobState(job.state).is_final
            ]
        for start in range(0, len(found), CHUNK):
            # Short transactions: nobody waits for the search.
            with self._database.write() as session:
                for _name, kind, key in found[start : start + CHUNK]:
                    row = session.get(kind, key)
                    if row is not None:
                        self._clear(session, row, ids, pseudonym)
        return Counter(name for name, _kind, _key in found)

    def remaining(self, ids: Collection[str]) -> list[ResidualMatch]:
        """Return what is left: traces in jobs that have not ended."""
        with self._database.read() as session:
            counts = Counter(name for name, _row, _job in self._find(session, ids))
        note = "a job that has not ended needs it: erase once more when it has"
        return [
            ResidualMatch(name, "of live jobs", rows, "identifier", note)
            for name, rows in sorted(counts.items())
        ]

    def _find(self, session: Session, ids: Collection[str]) -> Iterator[tuple[str, Base, Job]]:
        """Yield what it is, the row and its job."""
        jobs = select(Job).where(Job.provider == self._provider)
        for job in session.scalars(jobs.execution_options(yield_per=CHUNK)):
            if job.kind == JobKind.REQUEST.value and self._asks_for(job):
                yield "requests", job, job
            elif self._words(job.error, job.note, job.idempotency_key):
                yield "jobs", job, job
        calls = select(Call, Job).join(Job, Job.id == Call.job_id)
        calls = calls.where(Job.provider == self._provider)
        for call, job in session.execute(calls.execution_options(yield_per=CHUNK)):
            asked = call.target if call.purpose == Purpose.REQUEST else None
            if _has_ids(call, ids) or self._words(call.error, call.link, asked):
                yield "calls", call, job
        answers = select(Response, Job).join(Job, Job.id == Response.job_id)
        answers = answers.where(Job.provider == self._provider)
        for answer, job in session.execute(answers.execution_options(yield_per=CHUNK)):
            if self._answers_with(answer):
                yield "responses", answer, job

    def _clear(self, session: Session, row: Base, ids: Collection[str], pseudonym: str) -> None:
        if isinstance(row, Response):
            session.delete(row)
        elif isinstance(row, Call):
            row.edges = _masked(row.edges, ids)
            row.target = _masked(row.target, ids)
            if row.purpose == Purpose.REQUEST and self._words(row.target):
                row.target = {"method": (row.target or {}).get("method", "GET")}
            row.error = self._cleared(row.error)
            if row.link is not None and self._words(row.link):
                row.link = None
        elif isinstance(row, Job):
            if row.kind == JobKind.REQUEST.value and self._asks_for(row):
                row.options = {"method": row.options.get("method", "GET")}
                row.sealed_request = None
            row.error = self._cleared(row.error)
            row.note = ERASED if self._words(row.note) else row.note
            if self._words(row.idempotency_key):
                row.idempotency_key = f"{pseudonym}-{row.id}"

    def _cleared(self, error: dict[str, Any] | None) -> dict[str, Any] | None:
        if error is None or not self._words(error):
            return error
        return {"code": error.get("code", "erased"), "message": ERASED}

    def _words(self, *values: Any) -> bool:
        texts = [
            v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values if v
        ]
        return any(self._matcher.mention(text) for text in texts)

    def _asks_for(self, job: Job) -> bool:
        try:
            asked = json.dumps(open_request(self._vault, job), ensure_ascii=False)
        except InvalidState:
            return False
        except CredentialError:
            # Nobody can open it any more, so nobody can say that it names no one.
            return True
        return self._matcher.mention(asked, anywhere=False)

    def _answers_with(self, answer: Response) -> bool:
        try:
            body = self._vault.open(answer.sealed_body, f"responses/{answer.job_id}")
        except CredentialError:
            return True
        text = body.decode("utf-8", errors="replace") + json.dumps(answer.headers)
        if "\\u" in text:
            # A provider may write its JSON with escapes.
            text += json.dumps(_parsed(body), ensure_ascii=False)
        return self._matcher.mention(text, anywhere=False)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _has_ids(call: Call, ids: Collection[str]) -> bool:
    return any(each in ids for each in _strings(call.edges)) or any(
        each in ids for each in _strings(call.target)
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _masked(value: Any, ids: Collection[str]) -> Any:
    if isinstance(value, str):
        return ERASED if value in ids else value
    if isinstance(value, Mapping):
        return {name: _masked(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, ids) for each in value]
    return value


def compact(database: Database) -> bool | None:
    """Overwrite what was freed in a SQLite file; return whether that could be done now.

    None on PostgreSQL, whose VACUUM does it in its own time.
    """
    if not database.is_sqlite:
        return None
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        # VACUUM writes the file anew, without what is deleted; then the log is cut to nothing.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("VACUUM")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return not busy
