"""Which indexes serve a statement, with a long history, a backlog, and old statistics.

PostgreSQL takes its statistics when all calls have ended, so it expects none that wait or run.
SQLite has no statistics at all.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState, JobState
from sisgate.ledger import (
    acceptance,
    call_queue,
    calls,
    feeds,
    job_calls,
    job_search,
    jobs,
    redelivery,
    retries,
    workload,
)
from sisgate.ledger.calls import Claim
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Call, Job
from tests.contract.ledger.rows import LEASE, NOW, row, write
from tests.contract.ledger.test_call_statements import answer, claimed, request

HISTORY, BACKLOG = 2_000, 2_000
LATER = NOW + timedelta(hours=1)
CALL, JOB = "pk_calls", "pk_jobs"
OF_JOB = "ix_calls_job_id_id"
DUE, RUNNING = "ix_calls_not_before", "ix_calls_lease_until"
QUEUED, RETRIES = "ix_calls_provider_priority_published_at", "ix_calls_provider_is_retry"
DEADLINE, TO_PLAN = "ix_jobs_expires_at", "ix_jobs_priority_accepted_at"
JOBS_BY_STATE = "ix_jobs_provider_state"


def accept_many(database: Database, count: int) -> None:
    """Accept requests, whose calls are queued, a hundred a minute."""
    with database.write() as session:
        for minute in range(count // 100):
            at = NOW + timedelta(minutes=minute)
            list(acceptance.accept_many(session, [(request(), None) for _ in range(100)], at))


@pytest.fixture
def crowded(database: Database) -> Database:
    """A ledger with a history, statistics of that, and then a backlog."""
    accept_many(database, HISTORY)
    with database.engine.begin() as connection:
        connection.execute(update(Call).values(state=CallState.DONE.value, ended_at=NOW))
        connection.execute(update(Job).values(state=JobState.DONE.value, ended_at=NOW))
        if connection.dialect.name == "postgresql":
            for table in ("calls", "jobs"):
                connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
            connection.execute(text("ANALYZE calls, jobs"))
    accept_many(database, BACKLOG)
    return database


@contextmanager
def indexes(database: Database) -> Iterator[set[str]]:
    """Note by which indexes the statements meanwhile find jobs and calls, or that they scan."""
    seen: set[str] = set()

    def note(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if not re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)", statement):
            return
        with cursor.connection.cursor() if is_postgresql else cursor.connection as asking:
            if is_postgresql:
                asking.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                seen.update(_of_postgresql(asking.fetchone()[0][0]["Plan"]))
            else:
                plan = asking.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                seen.update(_of_sqlite(row[3] for row in plan))

    is_postgresql = database.engine.dialect.name == "postgresql"
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def _of_postgresql(plan: Any) -> Iterator[str]:
    name = plan.get("Index Name", "")
    if re.search("_(calls|jobs|changes)(_|$)", name):
        yield name
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in {"calls", "jobs", "changes"}:
        yield f"scan of {plan['Relation Name']}"
    for part in plan.get("Plans", ()):
        yield from _of_postgresql(part)


def _of_sqlite(lines: Any) -> Iterator[str]:
    for line in lines:
        found = re.match(r"(SEARCH|SCAN) (calls|jobs|changes)(?: USING (?:COVERING )?(.*))?", line)
        if not found:
            continue
        _, table, how = found.groups()
        if how is None:
            yield f"scan of {table}"
        elif how.startswith("INTEGER PRIMARY KEY") or "autoindex_jobs_1" in how:
            yield f"pk_{table}"
        else:
            yield how.split()[1]


Action = Callable[[Session, Claim], object]
OF_A_CLAIM: dict[str, Action] = {
    "finish": lambda session, claim: calls.finish(session, claim.call, CallState.DONE, NOW),
    "put back": lambda session, claim: calls.put_back(
        session, claim.call, NOW, failed=True, not_before=LATER
    ),
    "release": lambda session, claim: calls.release(session, claim.call, NOW, not_before=LATER),
    "claim twice": lambda session, claim: calls.claim(session, claim.call.id, NOW, LEASE),
    "is it live": lambda session, claim: job_search.live_among(session, [claim.job.id] * 3),
}
OF_A_JOB: dict[str, Action] = {
    "queue": lambda session, claim: call_queue.queue_next(session, claim.job.id, 10, NOW),
    "withdraw": lambda session, claim: call_queue.withdraw(session, claim.job.id, NOW),
    "running": lambda session, claim: job_calls.running(session, claim.job.id),
    "may be done": lambda session, claim: job_calls.may_be_done(session, claim.job.id),
    "live": lambda session, claim: job_calls.live_count(session, claim.job.id),
    "last failure": lambda session, claim: job_calls.last_failure(session, job_id=claim.job.id),
}
OF_THE_FLEET: dict[str, tuple[Action, set[str]]] = {
    "due": (lambda session, _: redelivery.due(session, LATER), {DUE, CALL}),
    "queues": (lambda session, _: redelivery.waiting_queues(session, LATER, LEASE), {QUEUED}),
    "missing": (
        lambda session, _: redelivery.missing(session, [("lincoln", 6)], LATER, LEASE, 5),
        {QUEUED, CALL},
    ),
    "lost": (
        lambda session, _: redelivery.recover_lost(session, LATER),
        {RUNNING, CALL, JOB, OF_JOB, "ix_calls_job_id"},
    ),
    "retries": (
        lambda session, _: retries.due(session, LATER, lambda _: RetryPolicy()),
        {RETRIES, RUNNING, CALL},
    ),
    "failure": (
        lambda session, _: job_calls.last_failure(session, provider="lincoln"),
        {OF_JOB, JOBS_BY_STATE, DEADLINE},
    ),
    "backlog": (
        lambda session, _: workload.backlog(session, "lincoln", Priority.LOW, without=None),
        {OF_JOB, JOBS_BY_STATE, DEADLINE},
    ),
    "overdue": (lambda session, _: jobs.overdue_providers(session, LATER), {DEADLINE}),
    "plans": (lambda session, _: job_search.unplanned(session, LATER, LEASE, LEASE), {TO_PLAN}),
    "any due": (lambda session, _: redelivery.is_any_due(session, LATER), {DUE}),
    "any lost": (lambda session, _: redelivery.is_any_lost(session, LATER), {RUNNING}),
}


def used(database: Database, act: Action, claim: Claim) -> set[str]:
    """Return by which indexes an action finds jobs and calls; its changes are undone."""
    with indexes(database) as seen, database.write() as session:
        act(session, claim)
        session.rollback()
    assert seen
    return seen


def test_a_worker_finds_its_call_by_the_primary_key(crowded: Database) -> None:
    """However many calls wait or run; so do claiming and answering."""
    claim = claimed(crowded)
    found = {name: used(crowded, act, claim) - {CALL, JOB} for name, act in OF_A_CLAIM.items()}
    assert found == {name: set() for name in OF_A_CLAIM}
    with indexes(crowded) as seen:
        assert answer(crowded, claimed(crowded))
    assert seen == {CALL, JOB}


def test_live_calls_of_a_job_have_an_index(crowded: Database) -> None:
    """So a sync of 10,000 pages does not read all that it has made at each one."""
    claim = claimed(crowded)
    found = {name: used(crowded, act, claim) - {CALL, JOB} for name, act in OF_A_JOB.items()}
    assert found == {name: {OF_JOB} for name in OF_A_JOB}


def test_upkeep_reads_live_rows_only(crowded: Database) -> None:
    """Every second, whatever the length of the history."""
    claim = claimed(crowded)
    with crowded.write() as session:
        calls.put_back(session, claim.call, NOW, failed=True, not_before=NOW)
    found = {
        name: used(crowded, act, claim) - allowed for name, (act, allowed) in OF_THE_FLEET.items()
    }
    assert found == {name: set() for name in OF_THE_FLEET}


def test_the_newest_jobs_are_found_by_their_time(crowded: Database) -> None:
    """And those that failed, or still run, without reading the ones that went well."""
    expected = {
        (): "ix_jobs_accepted_at",
        (JobState.FAILED, JobState.EXPIRED): "ix_jobs_state_accepted_at",
        (JobState.RUNNING,): DEADLINE,
    }
    for states, index in expected.items():
        with indexes(crowded) as seen:
            job_search.find(crowded, states=states, limit=5)
        assert len(seen) == 1
        assert seen <= {index, "ix_jobs_accepted_at"}


def test_what_became_of_a_record_is_found_by_its_id(database: Database) -> None:
    """Among many changes, of which most are inserts: these the index leaves out."""
    write(database, [row(f"r{number}") for number in range(HISTORY)])
    write(database, [row("r7", 2)])
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE changes"))
    with indexes(database) as used, database.read() as session:
        (change,) = feeds.of_record(session, "lincoln", "students", "r7", 100)
    assert (change.sequence, change.operation) == (HISTORY + 1, "update")
    assert used == {"ix_changes_provider_resource_sourced_id"}
