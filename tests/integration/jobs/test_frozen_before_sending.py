"""A process that stood still between its checks and the write of the request sends nothing late."""

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from urllib3.connection import HTTPConnection

from sisgate.clock import SystemClock
from sisgate.domain.priorities import Priority
from sisgate.domain.secret import Secret
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway import Gateway
from sisgate.ledger.attempts import was_sent
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Attempt, Call
from testbed.clock import ManualClock
from testbed.installation import install
from testbed.recorder import Recorder
from workers.admission.permits import Permit
from workers.calls import execute, send
from workers.maintenance import reconciler
from workers.runtime import Runtime

LEASE = 100.0
CONFIG = """
[providers.lincoln]
kind = "oneroster"
limit = "10/h"
burst = 10
allow_insecure = true
endpoints = [{{ url = "{url}" }}]
{more}
"""

NO_AUTH = 'auth = "none"'

Freeze = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def after_the_claim(patched: pytest.MonkeyPatch, freeze: Callable[[], None]) -> None:
    """Stand still when the claim is in the ledger."""
    is_frozen = False

    def at_commit(session: Session) -> None:
        nonlocal is_frozen
        is_write = session.get_bind().get_execution_options().get("sisgate_writes")
        if is_write and not is_frozen:
            is_frozen = True
            freeze()

    event.listen(Session, "after_commit", at_commit)


def after_connecting(patched: pytest.MonkeyPatch, freeze: Callable[[], None]) -> None:
    """Stand still when the connection to the provider was made."""
    connect = HTTPConnection.connect

    @wraps(connect)
    def connect_and_freeze(self: Any) -> None:
        connect(self)
        freeze()

    patched.setattr(HTTPConnection, "connect", connect_and_freeze)


@pytest.fixture
def provider() -> Iterator[Recorder]:
    """A provider that stamps arrivals."""
    recorder = Recorder()
    yield recorder
    recorder.stop()


class Bench:
    """A gateway and a worker's runtime with a clock that moves only when told to."""

    def __init__(
        self, folder: Path, redis_url: str, ledger_url: str, provider: Recorder, more: str = NO_AUTH
    ) -> None:
        text = CONFIG.format(url=provider.url("lincoln"), more=more)
        settings = install(folder, text, redis_url=redis_url, database_url=ledger_url)
        self.clock = ManualClock(SystemClock().now())
        self.gateway = Gateway(settings, clock=self.clock)
        self.runtime = Runtime(settings, self.clock)
        self.config = settings.providers["lincoln"]
        self.runtime.limiter.rebuild("lincoln", self.runtime.limits(self.config), [])

    def close(self) -> None:
        self.gateway.close()
        self.runtime.database.dispose()
        self.runtime.redis.close()

    def ask(self, method: str) -> str:
        """Ask for a request; return its job."""
        return self.gateway.enqueue_request("lincoln", method, "/orgs").id

    def make(self) -> Call:
        """Make the one call with a permit, as a worker does; return what became of it."""
        asked_at = self.clock.monotonic()
        spec = self.runtime.limits(self.config)
        grant = self.runtime.limiter.take("lincoln", spec, Priority.URGENT)
        with self.gateway.context.database.read() as session:
            call_id = session.scalars(select(Call.id)).one()
        execute.make_call(self.runtime, self.config, call_id, Permit.of_grant(grant, asked_at))
        with self.gateway.context.database.read() as session:
            return session.get_one(Call, call_id)

    @property
    def permits_left(self) -> int:
        """How many permits the window still has."""
        state = self.runtime.limiter.state("lincoln", self.runtime.limits(self.config))
        return min(window.left for window in state.windows)

    @property
    def attempts(self) -> int:
        """How many attempts the provider may have seen."""
        with self.gateway.context.database.read() as session:
            return len(session.scalars(select(Attempt).where(was_sent())).all())


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, ledger_url: str, provider: Recorder) -> Iterator[Bench]:
    """What the tests work with."""
    bench = Bench(tmp_path, redis_url, ledger_url, provider)
    yield bench
    bench.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("where", [after_the_claim, after_connecting])
def test_nothing_is_sent_after_permit_and_claim_have_ended(
    bench: Bench, provider: Recorder, monkeypatch: pytest.MonkeyPatch, where: Freeze, method: str
) -> None:
    """The permit is handed back, the call waits, no try is spent, and no POST is unknown."""
    job = bench.ask(method)
    with monkeypatch.context() as patched:
        where(patched, lambda: bench.clock.advance(LEASE))
        call = bench.make()
    assert provider["lincoln"].times == []
    assert (call.state, call.tries, call.lease_until) == ("planned", 0, None)
    assert bench.gateway.job(job).status().state == "running"
    assert (bench.permits_left, bench.attempts) == (10, 0)


@pytest.mark.parametrize("permits", ["left", "taken meanwhile"])
@pytest.mark.parametrize("where", [after_the_claim, after_connecting])
def test_a_request_taken_for_lost_goes_on_when_its_worker_did_not_send_it(
    bench: Bench, provider: Recorder, monkeypatch: pytest.MonkeyPatch, where: Freeze, permits: str
) -> None:
    """Its outcome was unknown to the others only; it is made, once, by the next attempt."""
    job = bench.ask("POST")

    def freeze() -> None:
        bench.clock.advance(LEASE + 1)
        reconciler.reconcile(bench.runtime)
        assert bench.gateway.job(job).status().state == "unknown"
        if permits == "taken meanwhile":
            spec = bench.runtime.limits(bench.config)
            bench.runtime.limiter.take("lincoln", spec, Priority.URGENT, 10)

    with monkeypatch.context() as patched:
        where(patched, freeze)
        call = bench.make()
    assert provider["lincoln"].times == []
    assert (call.state, call.tries, call.lease_until) == ("planned", 0, None)
    status = bench.gateway.job(job).status()
    assert (status.state, status.error, status.calls_made) == ("running", None, 0)
    assert bench.attempts == 0


def test_an_answer_of_a_request_taken_for_lost_is_kept(
    bench: Bench, provider: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker stood still with the answer in hand."""
    job = bench.ask("POST")
    settle = send.settle

    def freeze_and_settle(*args: Any) -> float:
        bench.clock.advance(LEASE + 1)
        reconciler.reconcile(bench.runtime)
        return settle(*args)

    monkeypatch.setattr(send, "settle", freeze_and_settle)
    assert bench.make().state == "done"
    status = bench.gateway.job(job).status()
    assert (status.state, status.error, status.calls_made) == ("done", None, 1)


def test_what_a_person_said_of_a_request_taken_for_lost_stands(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its worker then knows better."""
    job = bench.ask("POST")

    def freeze() -> None:
        bench.clock.advance(LEASE + 1)
        reconciler.reconcile(bench.runtime)
        bench.gateway.jobs.resolve(job, "failed", actor="ana")

    with monkeypatch.context() as patched:
        after_connecting(patched, freeze)
        assert bench.make().state == "unknown"
    assert bench.gateway.job(job).status().state == "failed"


@pytest.mark.parametrize("where", [after_the_claim, after_connecting])
def test_a_short_stop_costs_nothing(
    bench: Bench, provider: Recorder, monkeypatch: pytest.MonkeyPatch, where: Freeze
) -> None:
    """Longer than the answer may take, and shorter than the lease: the call is made."""
    job = bench.ask("POST")
    with monkeypatch.context() as patched:
        where(patched, lambda: bench.clock.advance(bench.config.timeout_seconds + 1))
        assert bench.make().state == "done"
    assert len(provider["lincoln"].times) == 1
    assert bench.gateway.job(job).status().state == "done"


def test_a_token_is_not_fetched_after_that(
    tmp_path: Path,
    redis_url: str,
    ledger_url: str,
    provider: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token's request is the provider's to count, too; and a frozen lock may be another's."""
    url = provider.url("token")
    more = f'auth = "oauth2-basic"\ntoken_url = "{url}"'
    bench = Bench(tmp_path, redis_url, ledger_url, provider, more)
    try:
        bench.gateway.keys.of("lincoln").add("id", Secret("secret"), actor="ana")
        bench.ask("GET")
        with monkeypatch.context() as patched:
            # Less than the lease, more than the lock.
            after_connecting(patched, lambda: bench.clock.advance(15))
            call = bench.make()
        assert provider["token"].times == []
        assert (call.state, call.tries) == ("planned", 0)
    finally:
        bench.close()


def test_a_ledger_that_is_away_uses_up_no_permits(
    bench: Bench, provider: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be claimed is not sent, and leaves the quota to what can be, afterwards."""
    bench.ask("GET")
    with monkeypatch.context() as patched:
        gone = Database(f"sqlite:///{tmp_path / 'gone.sqlite3'}", must_exist=True)
        patched.setattr(bench.runtime, "database", gone)
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                bench.make()
    assert provider["lincoln"].times == []
    assert bench.permits_left == 10
    assert bench.make().state == "done"
    assert bench.permits_left == 9
