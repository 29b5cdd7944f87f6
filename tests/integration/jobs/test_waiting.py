"""Waiting for jobs: one subscription for all waiters of a process, and the ledger as a net."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.states import JobState
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import jobs
from sisgate.wakeups import POLL_SECONDS

WAITERS = 50


def subscriptions(gateway: Gateway) -> int:
    """The connections to Redis that listen on a channel."""
    clients = gateway.context.redis.client_list(_type="pubsub")
    return len(clients)


def listens(gateway: Gateway) -> bool:
    """Wait for the one subscription."""
    return poll_until(
        lambda: subscriptions(gateway) == 1, clock=SystemClock(), timeout_seconds=10.0
    )


def end(gateway: Gateway, job_id: str) -> None:
    """End a job in the ledger, and tell nobody."""
    with gateway.context.database.write() as session:
        now = gateway.context.clock.now()
        jobs.end(session, jobs.get(session, job_id), JobState.DONE, now)


def test_all_waiters_of_a_process_share_one_subscription(gateway: Gateway) -> None:
    """And each is woken by the end of its own job."""
    ids = [gateway.sync("open", "students", idempotency_key=str(n)).id for n in range(WAITERS)]
    with ThreadPoolExecutor(WAITERS) as threads:
        waits = [threads.submit(gateway.jobs.ended_within, each, 30.0) for each in ids]
        assert listens(gateway)
        for each in ids:
            gateway.jobs.cancel(each)
        ended = [wait.result() for wait in waits]
    assert [status.id for status in ended if status] == ids
    assert subscriptions(gateway) == 1


def test_a_lost_announcement_costs_one_poll(gateway: Gateway) -> None:
    """The ledger is asked once a second, whoever forgets to announce."""
    job = gateway.sync("open", "students")
    with ThreadPoolExecutor(1) as threads:
        wait = threads.submit(gateway.jobs.ended_within, job.id, 30.0)
        assert listens(gateway)
        end(gateway, job.id)
        status = wait.result(timeout=10 * POLL_SECONDS)
    assert status is not None
    assert status.state == JobState.DONE


def test_a_job_that_has_ended_is_not_waited_for(gateway: Gateway) -> None:
    """Neither is one whose time is up."""
    job = gateway.sync("open", "students")
    assert gateway.jobs.ended_within(job.id, 0.0) is None
    end(gateway, job.id)
    status = gateway.jobs.ended_within(job.id, None)
    assert status is not None


def test_a_watcher_is_woken_from_another_thread(gateway: Gateway) -> None:
    """What a process with an event loop uses."""
    job = gateway.sync("open", "students")
    woken = threading.Event()
    with gateway.context.wakeups.watch(job.id, woken.set):
        gateway.jobs.cancel(job.id)
        assert woken.wait(10.0)
    woken.clear()
    gateway.context.wakeups.announce(job.id)
    with gateway.context.wakeups.watch("another", lambda: None):
        pass
    assert not woken.is_set()


def test_waiters_learn_that_the_ledger_is_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next poll, not at their timeout."""
    job = gateway.sync("open", "students")
    real = gateway.context.database.read
    is_away = threading.Event()

    def read() -> object:
        if is_away.is_set():
            raise DatabaseUnavailable("away")
        return real()

    monkeypatch.setattr(gateway.context.database, "read", read)
    with ThreadPoolExecutor(1) as threads:
        wait = threads.submit(gateway.jobs.ended_within, job.id, 30.0)
        assert listens(gateway)
        is_away.set()
        with pytest.raises(DatabaseUnavailable):
            wait.result(timeout=10 * POLL_SECONDS)


def test_the_subscription_ends_with_the_gateway(gateway: Gateway) -> None:
    """No thread is left, so no connection either."""
    job = gateway.sync("open", "students")
    with gateway.context.wakeups.watch(job.id, lambda: None):
        assert listens(gateway)
    gateway.close()
    assert "job-ends" not in {thread.name for thread in threading.enumerate()}
