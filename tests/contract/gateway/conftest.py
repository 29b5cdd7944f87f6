"""Each gateway in turn: in the process, over HTTP from a served app, and the double of tests."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.client import HttpGateway
from sisgate.clock import SystemClock
from sisgate.settings import Settings
from sisgate.testing import GatewayDouble, ProviderReply, SentRequest
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from testbed.http_server import Reply, json_reply
from testbed.installation import install
from testbed.ledgers import Ledgers
from testbed.redis import RedisServer
from testbed.sis import Sis
from testbed.web_service import WebService
from tests.contract.gateway.world import LIMITED, NAME, World

CONFIG = """
access = "tokens"

[providers.{name}]
kind = "oneroster"
limit = "off"
auth = "none"
allow_insecure = true
[[providers.{name}.endpoints]]
url = "{url}"

[[providers.{name}.transforms]]
name = "short"
path = "/grades"
asked = true
response.jmespath = "{{name: name}}"

[providers.{limited}]
kind = "oneroster"
limit = "1/h"
burst = 1
auth = "none"
allow_insecure = true
max_waiting_jobs = 2
[[providers.{limited}.endpoints]]
url = "{url}"

[alerts.channels.ops]
url_env = "OPS_ALERTS"

[alerts.rules.few-wait]
metric = "waiting"
below = 1000
severity = "critical"

[objectives]
availability = 0.99
"""


class Served:
    """A service whose gateway is another one for each test."""

    def __init__(self, service: WebService) -> None:
        self._service = service

    @contextmanager
    def of(self, settings: Settings) -> Iterator[str]:
        """Give the URL of the service while it serves an installation."""
        root = self._service.gateway
        root.__dict__.clear()
        root.__init__(settings)  # type: ignore[misc]  # the app keeps this object
        yield self._service.url
        root.close()


@pytest.fixture
def sis() -> Iterator[Sis]:
    """The provider, on a real port."""
    with Sis() as server:
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Served]:
    """The service, built once: to build it takes longer than a test."""
    folder = tmp_path_factory.mktemp("served")
    settings = install(folder, 'access = "tokens"', redis_url=redis_server.url)
    gateway = Gateway(settings)
    context = gateway.context  # which the service keeps counting requests by
    with WebService(gateway) as service:
        yield Served(service)
    context.close()


@pytest.fixture(params=["direct", "http", "double"])
def world(request: pytest.FixtureRequest) -> World:
    """A world whose gateway is the one under test: an app's, with a token."""
    fixture = "doubled" if request.param == "double" else f"real_{request.param}"
    made: World = request.getfixturevalue(fixture)
    return made


@pytest.fixture
def doubled() -> Iterator[World]:
    """A world without Redis, port or worker, in a time of its own."""
    url = "https://sis.test"
    document = tomllib.loads(CONFIG.format(name=NAME, limited=LIMITED, url=url))
    del document["access"]
    document["providers"][LIMITED]["endpoints"] = [{"url": "https://limited.test"}]
    with GatewayDouble(document) as double:

        def answers(by_path: Mapping[str, Any]) -> None:
            def reply(sent: SentRequest) -> ProviderReply:
                status, headers, body = _reply_of(by_path, sent.path)
                return ProviderReply(status, body, headers)

            double.providers.reply = reply

        def asked() -> list[tuple[str, str]]:
            return [
                (each.method, f"{each.path}{'?' if each.query else ''}{urlencode(each.query)}")
                for each in double.sent
            ]

        with double.stopped_workers():
            yield World(
                gateway=double.gateway_of("gradebook"),
                admin=double.gateway_of("ana", ["admin"]),
                fleet=double.admin,
                answers=answers,
                asked=asked,
                working=double.started_workers,
                now=double.clock.now,
            )


@pytest.fixture
def real_direct(real: Callable[[str], World]) -> World:
    """A world of real servers, whose gateway has the database and Redis."""
    return real("direct")


@pytest.fixture
def real_http(real: Callable[[str], World]) -> World:
    """A world of real servers, whose gateway asks the HTTP service."""
    return real("http")


@pytest.fixture
def real(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, ledgers: Ledgers, sis: Sis
) -> Iterator[Callable[[str], World]]:
    """A function that makes a world of real servers for a kind of gateway."""
    text = CONFIG.format(name=NAME, limited=LIMITED, url=sis.url)
    ledger = ledgers.sqlite(tmp_path / "ledger.sqlite3")
    settings = install(tmp_path, text, redis_url=redis_url, database_url=ledger)
    with ExitStack() as opened:
        root = Gateway(settings.model_copy(update={"access": "open"}))
        opened.callback(root.close)
        be_heard(root)
        limited = root.providers.control(LIMITED)
        assert root.context.limiter.rebuild(LIMITED, limited.limits, [])

        def token(name: str, role: str) -> str:
            made = root.tokens.add(name, [role]).token
            assert made is not None
            return made.get_secret_value()

        def direct(token: str) -> Gateway:
            gateway = Gateway(settings.model_copy(update={"token": SecretStr(token)}))
            opened.callback(gateway.close)
            return gateway

        def make(kind: str) -> World:
            open_with: Callable[[str], Gateway | HttpGateway] = direct
            if kind == "http":
                served: Served = request.getfixturevalue("served")
                url = opened.enter_context(served.of(settings))
                open_with = lambda token: opened.enter_context(HttpGateway(url, token))  # noqa: E731
            return World(
                gateway=open_with(token("gradebook", "app")),
                admin=open_with(token("ana", "admin")),
                fleet=root,
                answers=answers,
                asked=lambda: [(each.method, each.target) for each in sis.asked],
                working=working,
                now=SystemClock().now,
            )

        def answers(by_path: Mapping[str, Any]) -> None:
            sis.reply = lambda asked: _reply_of(by_path, asked.path)

        @contextmanager
        def working() -> Iterator[object]:
            with Caller(settings):
                yield None

        yield make


def _reply_of(by_path: Mapping[str, Any], path: str) -> Reply:
    if path not in by_path:
        return json_reply({"message": "no such path"}, 404)
    answer = by_path[path]
    return answer if isinstance(answer, tuple) else json_reply(answer)
