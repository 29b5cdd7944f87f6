"""Many jobs are enqueued in one transaction: all of them, or none."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from sisgate import Gateway, NewRequest, NewSync, SisgateError
from sisgate.clock import SystemClock, poll_until
from sisgate.credentials.sealed import open_request
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind
from sisgate.errors import (
    BacklogFull,
    BrokerUnavailable,
    IdempotencyConflict,
    UnknownProvider,
    UsageError,
)
from sisgate.gateway.bulk import MOST_AT_ONCE
from sisgate.ledger.acceptance import NewJob, accept
from sisgate.ledger.schema import AuditEvent, Base, Call
from sisgate.ledger.schema import Job as JobRow
from sisgate.redis.queues import PLANNER_QUEUE, queue_keys


def request(number: int = 0, **more: Any) -> NewRequest:
    """Return a request that differs from the others."""
    return NewRequest("open", "GET", f"/students/{number}", **more)


def count(gateway: Gateway, table: type[Base]) -> int:
    """Return how many rows a table has."""
    with gateway.context.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def messages(gateway: Gateway, queue: str) -> list[dict[str, Any]]:
    """Return what waits in a queue, the next first of each priority."""
    lists = [gateway.context.redis.lrange(key, 0, -1) for key in queue_keys(queue)]
    return [json.loads(text) for texts in lists for text in reversed(texts)]


def test_each_job_is_as_if_it_had_been_enqueued_alone(gateway: Gateway) -> None:
    """Row by row and message by message, in the order of the items."""
    alone = [
        gateway.enqueue_request("open", "GET", "/students/0", priority="low", timeout=60),
        gateway.sync("twin", "students", mode="full", request_id="r-1"),
    ]
    sent = {queue: messages(gateway, queue) for queue in ("open", PLANNER_QUEUE)}
    gateway.context.redis.flushall()
    together = gateway.enqueue(
        [
            request(priority="low", timeout=60),
            NewSync("twin", "students", mode="full", request_id="r-1"),
        ]
    )
    assert [job.is_new for job in together] == [True, True]
    with gateway.context.database.read() as session:
        for one, other in zip(alone, together, strict=True):
            rows = [session.get_one(JobRow, job.id) for job in (one, other)]
            for name in JobRow.__table__.columns.keys():  # noqa: SIM118 - it has no iterator of keys
                if name in {"id", "sealed_request"} or name.endswith("_at"):
                    continue
                assert getattr(rows[0], name) == getattr(rows[1], name), name
            assert rows[1].accepted_at == rows[1].published_at
        calls = session.scalars(select(Call).order_by(Call.id)).all()
        assert [call.job_id for call in calls] == [alone[0].id, together[0].id]
        for name in ("provider", "priority", "purpose", "state", "target", "look", "start", "page"):
            assert getattr(calls[0], name) == getattr(calls[1], name), name
    for queue, before in sent.items():
        now = messages(gateway, queue)
        assert [m["headers"]["task"] for m in now] == [m["headers"]["task"] for m in before]
        assert [m["properties"]["priority"] for m in now] == [
            m["properties"]["priority"] for m in before
        ]
    vault = gateway.context.vault

    with gateway.context.database.read() as session:
        opened = [
            open_request(vault, session.get_one(JobRow, j.id)) for j in (alone[0], together[0])
        ]
    assert opened[0] == opened[1]


def test_a_thousand_are_in_the_ledger_the_queue_and_the_audit_log(gateway: Gateway) -> None:
    """Each has its call, its message in order, and its event; and the log verifies."""
    before = count(gateway, AuditEvent)
    jobs = gateway.enqueue([request(number) for number in range(1000)])
    assert len({job.id for job in jobs}) == 1000
    with gateway.context.database.read() as session:
        calls = dict(session.execute(select(Call.job_id, Call.id)).all())
    sent = [m["headers"]["kwargsrepr"] for m in messages(gateway, "open")]
    assert sent == [f"{{'call_id': {calls[job.id]}}}" for job in jobs]
    # One more tells of the configuration that this process has.
    assert count(gateway, AuditEvent) - before - 1 == 1000
    assert gateway.audit.verify().is_whole


def test_what_was_enqueued_before_is_returned(gateway: Gateway) -> None:
    """Each item by its own key, also where the earlier one is in the same list."""
    first = gateway.enqueue_request("open", "GET", "/students/1", idempotency_key="k1")
    jobs = gateway.enqueue(
        [
            request(1, idempotency_key="k1"),
            request(2, idempotency_key="k2"),
            request(2, idempotency_key="k2"),
            request(3),
        ]
    )
    assert [job.is_new for job in jobs] == [False, True, False, True]
    assert jobs[0].id == first.id
    assert jobs[1].id == jobs[2].id
    assert (count(gateway, JobRow), count(gateway, Call)) == (3, 3)
    assert len(messages(gateway, "open")) == 3


def test_enqueued_again_each_is_found_in_few_statements(gateway: Gateway) -> None:
    """Who lost the answer asks again: one by one that would lock SQLite for minutes."""
    items = [request(number, idempotency_key=f"k{number}") for number in range(300)]
    first = gateway.enqueue(items)
    seen: list[str] = []
    engine = gateway.context.database.engine
    event.listen(engine, "before_cursor_execute", lambda _, __, text, *___: seen.append(text))
    again = gateway.enqueue([*items, *items])
    assert [job.id for job in again] == [job.id for job in first] * 2
    assert not any(job.is_new for job in again)
    assert len(seen) < 10, len(seen)


def test_two_with_the_same_keys_do_not_wait_for_each_other(gateway: Gateway) -> None:
    """In whatever order they name them: PostgreSQL would end one of the two."""
    database = gateway.context.database
    if database.is_sqlite:
        return  # one writer at a time: there it cannot happen
    keys = ("a", "m", "z")
    first = gateway.enqueue([request(0)])
    with ThreadPoolExecutor(2) as pool:
        with suppress(InterruptedError), database.write() as session:
            # Both get as far as this key, and then wait.
            app = session.get_one(JobRow, first[0].id).app
            new = NewJob("blocks", JobKind.SYNC, app, "open", Priority.LOW, idempotency_key="m")
            accept(session, new, gateway.context.clock.now())
            both = [
                pool.submit(gateway.enqueue, [request(1, idempotency_key=key) for key in order])
                for order in (keys, keys[::-1])
            ]
            clock = SystemClock()
            assert poll_until(lambda: _waiting(gateway) == 2, clock=clock, timeout_seconds=20)
            raise InterruptedError
        one, other = (future.result(timeout=20) for future in both)
    assert [job.id for job in one] == [job.id for job in reversed(other)]
    assert sorted(job.is_new for job in (*one, *other)) == [False] * 3 + [True] * 3


def _waiting(gateway: Gateway) -> int:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with gateway.context.database.read() as session:
        return session.scalar(text(waiting)) or 0


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "k" * 256])
def test_a_key_that_cannot_be_kept_is_refused(gateway: Gateway, key: str) -> None:
    """On both databases, and before anything is sent to them."""
    with pytest.raises(UsageError, match="1 to 255 characters"):
        gateway.enqueue_request("open", "GET", "/x", idempotency_key=key)
    with pytest.raises(UsageError, match=r"Item 0: .* 1 to 255 characters"):
        gateway.enqueue([request(idempotency_key=key)])


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x" * 101])
@pytest.mark.parametrize("name", ["job_id", "app", "request_id"])
def test_an_id_or_app_that_cannot_be_kept_is_refused(gateway: Gateway, name: str, bad: str) -> None:
    """On both databases, and before anything is sent to them."""
    with pytest.raises(UsageError, match=r"printable characters|letters \(A to Z\)"):
        gateway.sync("open", "students", **{name: bad})  # type: ignore[arg-type]  # names of texts
    assert count(gateway, JobRow) == 0


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (NewRequest("nowhere", "GET", "/x"), UnknownProvider),
        (NewRequest("open", "FETCH", "/x"), UsageError),
        (request(9, idempotency_key="k"), IdempotencyConflict),
        (request(9, on_unavailable="fail"), UsageError),
        (NewSync("open", "students", job_id="mine"), UsageError),
    ],
    ids=["provider", "method", "conflict", "unavailable", "id"],
)
def test_one_that_is_wrong_is_named_and_none_is_accepted(
    gateway: Gateway, bad: NewSync | NewRequest, error: type[SisgateError]
) -> None:
    """The error is the one that it would raise alone, and has the place of the item."""
    gateway.enqueue([request(1, idempotency_key="k")])
    before = count(gateway, JobRow), count(gateway, Call), len(messages(gateway, "open"))
    with pytest.raises(error) as raised:
        gateway.enqueue([request(2), request(3), bad, request(4)])
    assert raised.value.detail["index"] == 2
    assert raised.value.message.startswith("Item 2: ")
    after = count(gateway, JobRow), count(gateway, Call), len(messages(gateway, "open"))
    assert after == before


def test_the_first_beyond_the_backlog_is_named(gateway: Gateway) -> None:
    """Lincoln takes three that wait."""
    gateway.enqueue([NewRequest("lincoln", "GET", "/1")])
    many = [NewRequest("lincoln", "GET", f"/{number}") for number in range(4)]
    with pytest.raises(BacklogFull) as raised:
        gateway.enqueue([request(), *many])
    assert raised.value.detail["index"] == 3
    assert count(gateway, JobRow) == 1
    assert len(gateway.enqueue(many[:2])) == 2


def test_with_redis_away_all_are_accepted_and_marked(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reconciler publishes what was not."""

    def away(*_: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr(gateway.context.publisher, "all", away)
    gateway.enqueue([request(1), NewSync("open", "students")])
    with gateway.context.database.read() as session:
        assert set(session.scalars(select(JobRow.published_at))) == {None}


@pytest.mark.parametrize(
    ("items", "given"),
    [
        (NewSync("open", "students"), "not a NewSync"),
        ([("open", "students")], "not a tuple"),
        ([NewSync("open", "students"), {"provider": "open"}], "Item 1: .* not a dict"),
        ("open", "not a str"),
    ],
)
def test_what_is_neither_a_sync_nor_a_request_is_refused(
    gateway: Gateway, items: Any, given: str
) -> None:
    """With a usage error that says what is taken, and nothing is accepted."""
    with pytest.raises(UsageError, match=given):
        gateway.enqueue(items)
    assert count(gateway, JobRow) == 0


def test_nothing_and_too_much(gateway: Gateway) -> None:
    """An empty list is no error; what would lock the ledger for long is."""
    assert gateway.enqueue([]) == []
    with pytest.raises(UsageError, match="at most 10,000"):
        gateway.enqueue([request()] * (MOST_AT_ONCE + 1))
