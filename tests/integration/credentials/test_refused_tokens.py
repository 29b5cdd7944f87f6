"""A refused token is replaced once; only after that is the key suspect. With real calls."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

from sisgate.clock import SystemClock, poll_until
from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.response_class import Outcome
from sisgate.domain.secret import Secret
from sisgate.domain.states import KeyState
from sisgate.gateway import Job
from sisgate.gateway.key_info import KeyInfo
from sisgate.ledger import schema
from testbed.http_server import Asked, HttpServer, Reply, json_reply
from testbed.installation import install
from testbed.worker import runtime_of
from workers.calls import execute
from workers.maintenance import reconciler, rotation
from workers.runtime import Runtime

CONFIG = """
[providers.lincoln]
kind = "oneroster"
limit = "1000/h"
burst = 1000
allow_insecure = true
rotation = {{ check_every = 0.001 }}
{auth}
[[providers.lincoln.endpoints]]
url = "{url}"
"""
OAUTH = 'token_url = "{url}/token"'
UNAUTHORIZED = json_reply({"message": "Unauthorized"}, 401)


class Sis:
    """A SIS that keeps its tokens in memory, and knows none of them after a restart."""

    def __init__(self) -> None:
        self.refusal: Reply = UNAUTHORIZED
        self.token_answer: Reply | None = None
        self.given = 0
        self.valid: set[str] = set()
        self._lock = threading.Lock()
        self.server = HttpServer(self._answer)

    def restart(self) -> None:
        """Forget every token."""
        self.valid.clear()

    def _answer(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            if self.token_answer is not None:
                return self.token_answer
            with self._lock:
                self.given += 1
                token = f"tok-{self.given}"
                self.valid.add(token)
            return json_reply({"access_token": token, "expires_in": 86400})
        if asked.headers.get("authorization", "")[7:] not in self.valid:
            return self.refusal
        return json_reply({"orgs": []})

    @property
    def calls(self) -> int:
        """How many calls came, without those to the token endpoint."""
        return sum(asked.path != "/token" for asked in self.server.asked)


@pytest.fixture
def sis() -> Iterator[Sis]:
    """The provider."""
    made = Sis()
    with made.server:
        yield made


class Worker:
    """What one worker process does with the calls of one provider."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.config = runtime.settings.providers["lincoln"]

    @property
    def keys(self) -> list[KeyInfo]:
        """The keys as they stand."""
        return list(self.runtime.gateway.keys.of("lincoln").list())

    def ask(self) -> Job:
        """Accept a request."""
        return self.runtime.gateway.enqueue_request("lincoln", "GET", "/x", timeout=600)

    def make(self, job: Job) -> str:
        """Make the call of a job, again where it waits, until the job has ended."""

        def ended() -> bool:
            with self.runtime.database.read() as session:
                query = select(schema.Call.id).where(schema.Call.job_id == job.id)
                (call_id,) = session.scalars(query)
            execute.make_call(self.runtime, self.config, call_id)
            reconciler.reconcile(self.runtime)
            return job.status().is_final

        assert poll_until(ended, clock=SystemClock(), timeout_seconds=30)
        return job.status().state


MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_worker(tmp_path: Path, redis_url: str, sqlite_url: str, sis: Sis) -> Iterator[MakeWorker]:
    """Make a worker; all share one Redis and one ledger."""
    with ExitStack() as runtimes:
        made: list[Runtime] = []

        def make(auth: str = OAUTH, secret: str = "s") -> Worker:
            text = CONFIG.format(auth=auth.format(url=sis.server.url), url=sis.server.url)
            settings = install(tmp_path, text, redis_url=redis_url, database_url=sqlite_url)
            runtime = runtimes.enter_context(runtime_of(settings))
            if not made:
                runtime.gateway.keys.of("lincoln").add("41", Secret(secret), actor="test")
            made.append(runtime)
            return Worker(runtime)

        yield make


REFUSALS = {
    "bare": UNAUTHORIZED,
    "empty": (401, {}, b""),
    "web page": (401, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    "invalid or expired": json_reply({"error": "Invalid or expired token."}, 401),
    "challenge": json_reply({}, 401, WWW_Authenticate='Bearer error="invalid_token"'),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_token_that_the_server_has_lost_is_replaced_and_the_call_repeated(
    make_worker: MakeWorker, sis: Sis, refusal: Reply
) -> None:
    """Whatever the 401 says: the key is not suspect, and no call fails."""
    worker = make_worker()
    assert worker.make(worker.ask()) == "done"
    sis.refusal = refusal
    sis.restart()
    job = worker.ask()
    assert worker.make(job) == "done"
    assert job.answer().status == 200
    assert (sis.given, sis.calls) == (2, 3)
    assert [key.suspect_at for key in worker.keys] == [None]


def test_many_calls_that_meet_a_lost_token_fetch_one_new_one(
    make_worker: MakeWorker, sis: Sis
) -> None:
    """Each worker's call is repeated with the same."""
    first = make_worker()
    assert first.make(first.ask()) == "done"
    workers = [first, *(make_worker() for _ in range(5))]
    jobs = [first.ask() for _ in workers]
    sis.restart()
    threads = [
        threading.Thread(target=worker.make, args=(job,))
        for worker, job in zip(workers, jobs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {job.status().state for job in jobs} == {"done"}
    assert sis.given == 2


def test_a_new_token_that_is_refused_too_makes_the_key_suspect(
    make_worker: MakeWorker, sis: Sis
) -> None:
    """After one repetition, with the provider's own words as the answer."""
    worker = make_worker()
    assert worker.make(worker.ask()) == "done"
    asked_before = sis.calls
    sis.valid = Refusing()
    job = worker.ask()
    assert worker.make(job) == "failed"
    assert job.answer().status == 401
    assert sis.calls - asked_before == 2
    assert [key.suspect_at is not None for key in worker.keys] == [True]


def test_a_first_token_that_is_refused_is_not_fetched_again(
    make_worker: MakeWorker, sis: Sis
) -> None:
    """It is as new as a token can be."""
    sis.valid = Refusing()
    worker = make_worker()
    job = worker.ask()
    worker.make(job)
    assert job.answer().status == 401
    assert (sis.given, sis.calls) == (1, 1)


def test_a_missing_permission_costs_no_token(make_worker: MakeWorker, sis: Sis) -> None:
    """PowerSchool's other 401."""
    worker = make_worker()
    assert worker.make(worker.ask()) == "done"
    sis.restart()
    message = "Plugin is missing required read permission for this resource"
    sis.refusal = json_reply({"errorMessage": {"message": message}}, 401)
    job = worker.ask()
    worker.make(job)
    assert job.answer().status == 401
    assert (sis.given, sis.calls) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_reply({}, 302, Location="https://lincoln.test/login"), "token_url is wrong"),
        (json_reply({"error": "invalid_scope"}, 400), "`scope`"),
    ],
)
def test_a_mistake_in_the_configuration_ends_the_call_and_blames_no_key(
    make_worker: MakeWorker, sis: Sis, answer: Reply, words: str
) -> None:
    """At once, with what to correct."""
    worker = make_worker()
    sis.token_answer = answer
    job = worker.ask()
    assert worker.make(job) == "failed"
    assert words in str(job.status().error)
    assert [key.suspect_at for key in worker.keys] == [None]
    assert sis.calls == 0


OPENS_AT_ONCE = f"{OAUTH}\nbreaker = {{{{ fail_max = 1, open_seconds = 0.001 }}}}"


def open_breaker(worker: Worker, sis: Sis) -> None:
    """Let a call fail: the next one is a probe."""
    breakers = worker.runtime.endpoints(worker.config).breakers
    token = breakers.ask(sis.server.url).token
    assert token is not None
    breakers.report(sis.server.url, token, Outcome.FAILURE)


def test_a_probe_that_meets_a_lost_token_has_it_replaced(make_worker: MakeWorker, sis: Sis) -> None:
    """The next probe and the calls behind it are not refused as well; nothing is filed as error."""
    worker = make_worker(OPENS_AT_ONCE)
    assert worker.make(worker.ask()) == "done"
    sis.restart()
    open_breaker(worker, sis)
    job = worker.runtime.gateway.enqueue_request("lincoln", "POST", "/x", timeout=600)
    assert worker.make(job) == "done"
    refused, probe, call = sis.server.asked[-4], sis.server.asked[-2], sis.server.asked[-1]
    assert (sis.given, sis.calls) == (2, 4)
    assert refused.headers["authorization"] != probe.headers["authorization"]
    assert call.method == "POST"
    with worker.runtime.database.read() as session:
        ended = select(schema.AuditEvent).where(schema.AuditEvent.action == CALL_OUTCOME)
        assert {(each.detail or {}).get("error") for each in session.scalars(ended)} == {None}


def test_a_key_that_a_probe_finds_refused_is_suspect(make_worker: MakeWorker, sis: Sis) -> None:
    """As if the call had asked with it itself; and the call fails."""
    worker = make_worker(OPENS_AT_ONCE)
    sis.token_answer = json_reply({"error": "invalid_client"}, 401)
    open_breaker(worker, sis)
    job = worker.runtime.gateway.enqueue_request("lincoln", "POST", "/x", timeout=600)
    assert worker.make(job) == "failed"
    assert [key.suspect_at is None for key in worker.keys] == [False]
    assert sis.calls == 0


def test_a_corrected_scope_holds_at_once(make_worker: MakeWorker, sis: Sis) -> None:
    """The token that was got with the wrong one is not used to its end."""
    before = make_worker(f'{OAUTH}\nscope = "wrong"')
    assert before.make(before.ask()) == "done"
    after = make_worker(f'{OAUTH}\nscope = "right"')
    assert after.make(after.ask()) == "done"
    scopes = [asked.form["scope"] for asked in sis.server.asked if asked.path == "/token"]
    assert scopes == ["wrong", "right"]
    after.runtime.gateway.keys.of("lincoln").revoke(after.keys[0].id, actor="test")
    assert tokens_in(after.runtime.redis) == []


def test_a_token_endpoint_that_wants_a_pause_is_not_asked_by_the_next_call(
    make_worker: MakeWorker, sis: Sis
) -> None:
    """In the whole fleet: the calls wait and spend no try."""
    one, other = make_worker(), make_worker()
    sis.token_answer = json_reply({}, 429, Retry_After="600")
    for worker in (one, other):
        job = worker.ask()
        with worker.runtime.database.read() as session:
            query = select(schema.Call.id).where(schema.Call.job_id == job.id)
            (call_id,) = session.scalars(query)
        execute.make_call(worker.runtime, worker.config, call_id)
        with worker.runtime.database.read() as session:
            call = session.get_one(schema.Call, call_id)
            assert call.tries == 0
            assert (call.error or {})["code"] == "throttled"
    assert len(sis.server.asked) == 1


def test_a_static_bearer_is_sent_as_it_is(make_worker: MakeWorker, sis: Sis) -> None:
    """No token endpoint is asked; a key that is refused is suspect at once."""
    sis.valid = {"partner-key-1"}
    worker = make_worker('auth = "bearer"', secret="partner-key-1")
    assert worker.make(worker.ask()) == "done"
    sis.restart()
    job = worker.ask()
    worker.make(job)
    assert job.answer().status == 401
    assert (sis.given, sis.calls) == (0, 2)
    assert [key.suspect_at is not None for key in worker.keys] == [True]


def test_a_static_bearer_is_rotated_after_a_real_call_with_it(
    make_worker: MakeWorker, sis: Sis
) -> None:
    """As every other key is."""
    sis.valid = {"partner-key-1", "partner-key-2"}
    worker = make_worker('auth = "bearer"', secret="partner-key-1")
    keys = worker.runtime.gateway.keys.of("lincoln")
    staged = keys.stage("41", Secret("partner-key-2"), actor="test")
    keys.rotate(slot="primary", actor="test")

    def replaced() -> bool:
        rotation.rotate(worker.runtime)
        with worker.runtime.database.read() as session:
            query = select(schema.Call.id).where(schema.Call.state == "queued")
            queued = list(session.scalars(query))
        for call_id in queued:
            execute.make_call(worker.runtime, worker.config, call_id)
        return [key.id for key in worker.keys if key.state is KeyState.ACTIVE] == [staged.id]

    assert poll_until(replaced, clock=SystemClock(), timeout_seconds=30)
    assert [a.headers["authorization"] for a in sis.server.asked] == ["Bearer partner-key-2"]


def test_a_bearer_that_cannot_be_sent_is_told_without_it(make_worker: MakeWorker, sis: Sis) -> None:
    """A line break would begin another header."""
    worker = make_worker('auth = "bearer"', secret="sword\nfish")
    job = worker.ask()
    assert worker.make(job) == "failed"
    error = str(job.status().error)
    assert "bearer token" in error
    assert "fish" not in error
    assert sis.calls == 0


class Refusing(set[str]):
    """Knows no token, whatever was given."""

    def __contains__(self, _token: object) -> bool:
        return False


def tokens_in(client: redis.Redis) -> list[Any]:
    """The names of the tokens that are kept."""
    return list(client.scan_iter("sisgate:1:token:*"))
