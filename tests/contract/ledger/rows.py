"""Jobs, calls and records for the tests of the ledger, and threads to meet in it."""

import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.records import Row
from sisgate.domain.states import JobKind
from sisgate.ledger import acceptance, call_queue, datasets, deletions, jobs, records
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.database import Database
from sisgate.ledger.records import Tally
from sisgate.ledger.schema import Job

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
LEASE = timedelta(seconds=100)


def new_job(**words: Any) -> NewJob:
    """Return what an app asks for."""
    plain: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "kind": JobKind.SYNC,
        "app": "app",
        "provider": "lincoln",
        "priority": Priority.NORMAL,
        "resource": "students",
    }
    return NewJob(**{**plain, **words})


def accepted(session: Session, **words: Any) -> Job:
    """Accept a job and return its row."""
    job, _ = acceptance.accept(session, new_job(**words), NOW)
    return jobs.get(session, job.id)


def planned(database: Database, count: int = 1, **words: Any) -> tuple[str, list[int]]:
    """Plan a job's calls; return its id and theirs. None is queued."""
    with database.write() as session:
        job = accepted(session, **words)
        call_queue.plan(session, job, [NewCall(Purpose.PAGE)] * count, NOW)
        job_id = job.id
    with database.read() as session:
        from sisgate.ledger.schema import Call

        ids = [c.id for c in session.query(Call).filter_by(job_id=job_id).order_by(Call.id)]
    return job_id, ids


def queued(database: Database, count: int = 1, **words: Any) -> tuple[str, list[int]]:
    """Plan and queue a job's calls; return its id and theirs."""
    job_id, _ = planned(database, count, **words)
    with database.write() as session:
        return job_id, call_queue.queue_next(session, job_id, count, NOW)


def row(name: str, value: Any = 1, **words: Any) -> Row:
    """Return a record as a provider gave it."""
    data = {"sourcedId": name, "status": "active", "value": value, **words}
    return Row(name, data, {"raw": data})


def write(
    database: Database,
    rows: Sequence[Row],
    *,
    generation: int = 1,
    now: datetime = NOW,
    job_id: str = "job",
    resource: str = "students",
) -> Tally:
    """Write a page in a transaction of its own."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", resource)
        return records.write_page(
            session, dataset, rows, job_id=job_id, generation=generation, now=now
        )


def delete_marked(database: Database, *, now: datetime = NOW, job_id: str = "job") -> int:
    """End a sync of the students, as far as the provider's own marks go; return what went."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        return deletions.carry_out(session, dataset, job_id, None, now)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run functions in threads that begin together; return what each returned or raised."""
    gate = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results[place] = work()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def somebody_waits(database: Database) -> bool:
    """Whether a transaction of a PostgreSQL waits for another one's lock."""
    with database.read() as session:
        return bool(session.scalar(text("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")))
