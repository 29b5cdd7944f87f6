"""A gateway, a receiver on a real port, and the deliveries of a worker, by a clock of the test."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.gateway import WebhookInfo
from sisgate.ledger import jobs
from sisgate.webhooks.news import hand_out
from testbed.clock import ManualClock
from testbed.http_server import Asked, HttpServer, Reply
from testbed.installation import install
from testbed.worker import runtime_of
from workers.runtime import Runtime

CONFIG = """
[webhooks]
allow = ["127.0.0.1"]
allow_http = true
timeout_seconds = 2

[providers.open]
kind = "oneroster"
limit = "off"
auth = "none"
[[providers.open.endpoints]]
url = "https://open.test"

[providers.twin]
kind = "oneroster"
auth = "none"
breaker = { fail_max = 1, open_seconds = 30 }
[[providers.twin.endpoints]]
url = "https://sis-a.twin.test"
[[providers.twin.endpoints]]
url = "https://sis-b.twin.test"
"""


class Receiver:
    """An app that is told. `answers` are given in turn, then 204 for ever."""

    def __init__(self) -> None:
        self.answers: deque[Reply | Callable[[], Reply]] = deque()
        self._server = HttpServer(self._answer)
        self.url = self._server.url

    @property
    def received(self) -> list[Asked]:
        return self._server.asked

    def close(self) -> None:
        """Stop listening."""
        self._server.__exit__()

    def _answer(self, _: Asked) -> Reply:
        answer = self.answers.popleft() if self.answers else (204, {}, b"")
        return answer() if callable(answer) else answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An app that listens."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def runtime(
    tmp_path: Path, redis_url: str, ledger_url: str, clock: ManualClock
) -> Iterator[Runtime]:
    """What a worker of the fleet works with."""
    settings = install(tmp_path, CONFIG, redis_url=redis_url, database_url=ledger_url)
    with runtime_of(settings, clock) as runtime:
        yield runtime


@pytest.fixture
def gateway(runtime: Runtime) -> Gateway:
    """The gateway of whoever runs the fleet."""
    return Gateway.on(runtime)


MakeHook = Callable[..., WebhookInfo]


@pytest.fixture
def make_hook(gateway: Gateway, receiver: Receiver) -> MakeHook:
    """Make a webhook of the app `gradebook` that goes to the receiver."""

    def make(*events: str, **more: Any) -> WebhookInfo:
        order = {"url": f"{receiver.url}/sis?of=1", "app": "gradebook", **more}
        return gateway.webhooks.add(order.pop("url"), events or ("job.ended",), **order)

    return make


EndJob = Callable[..., str]


@pytest.fixture
def end_job(gateway: Gateway) -> EndJob:
    """Accept a sync of an app and end it; return its id."""

    def end(
        resource: str = "students",
        *,
        app: str = "gradebook",
        provider: str = "open",
        state: JobState = JobState.DONE,
        **columns: Any,
    ) -> str:
        job_id = gateway.sync(provider, resource, app=app).id
        with gateway.context.database.write() as session:
            job = jobs.lock(session, job_id)
            assert job is not None
            for name, value in columns.items():
                setattr(job, name, value)
            jobs.end(session, job, state, gateway.context.clock.now())
        return job_id

    return end


Deliver = Callable[[], int]


@pytest.fixture
def deliver(runtime: Runtime) -> Deliver:
    """Do a worker's duty to its end; return how many attempts it made."""

    def work() -> int:
        hand_out(runtime.database, runtime.clock)
        attempts = 0
        config = runtime.configuration.current().webhooks
        while runtime.deliveries.deliver_one(config) is not None:
            attempts += 1
        return attempts

    return work
