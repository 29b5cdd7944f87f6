"""An app with the middleware, on a real server, in front of a provider that notes everything."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import FastAPI, Request

from sisgate import Gateway
from sisgate.integrations.fastapi import SISGateMiddleware
from sisgate.settings import Settings
from testbed.asgi_server import AsgiServer
from testbed.caller import Caller
from testbed.installation import install
from testbed.ledgers import Ledgers
from testbed.sis import Sis

MakeApp = Callable[..., str]


@pytest.fixture
def installation(tmp_path: Path, redis_url: str, ledgers: Ledgers, sis: Sis) -> Settings:
    """An installation that knows it."""
    text = f"""
    response_max_bytes = 2000000
    [providers.lincoln]
    kind = "oneroster"
    limit = "off"
    auth = "none"
    allow_insecure = true
    [[providers.lincoln.endpoints]]
    url = "{sis.url}/base"
    """
    url = ledgers.sqlite(tmp_path / "ledger.sqlite3")
    return install(tmp_path, text, redis_url=redis_url, database_url=url)


@pytest.fixture
def gateway(installation: Settings) -> Iterator[Gateway]:
    """The app's gateway. Its calls are made only by `caller`."""
    gateway = Gateway(installation)
    yield gateway
    gateway.close()


@pytest.fixture
def caller(installation: Settings) -> Iterator[Caller]:
    """Makes the calls."""
    with Caller(installation) as caller:
        yield caller


@pytest.fixture
def serve(gateway: Gateway) -> Iterator[MakeApp]:
    """Start an app with the middleware and return its URL."""
    with ExitStack() as servers:

        def start(root_path: str = "", **words: Any) -> str:
            app = FastAPI()
            app.add_middleware(SISGateMiddleware, gateway=gateway, **words)

            @app.api_route("/{path:path}", methods=["GET", "POST"])
            async def everything(path: str, request: Request) -> dict[str, str]:
                return {"app": path, "body": (await request.body()).decode()}

            return servers.enter_context(AsgiServer(app, root_path=root_path)).url

        yield start


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client that follows no redirect."""
    with requests.Session() as session:
        session.max_redirects = 0
        yield session
