"""The gateway of the process, for an app's explicit calls."""

import asyncio
from typing import Annotated, Any

import pytest
import requests
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.types import Message

from sisgate import Gateway
from sisgate.errors import ConfigurationError
from sisgate.integrations.fastapi import SISGateMiddleware, gateway_lifespan, gateway_of
from sisgate.settings import Settings
from testbed.asgi_server import AsgiServer
from testbed.installation import variables_of


def app_with(lifespan: Any = None) -> FastAPI:
    """Return an app with a route that needs a gateway."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/names")
    def names(gateway: Annotated[Gateway, Depends(gateway_of)]) -> list[str]:
        return [gateway.settings.app_name, *gateway.providers.names()]

    @app.exception_handler(ConfigurationError)
    def told(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 500)

    return app


def names_of(app: FastAPI) -> Any:
    """Return what the route answers."""
    with AsgiServer(app) as server:
        return requests.get(f"{server.url}/names", timeout=60).json()


def test_the_gateway_is_there_with_the_middleware_or_the_lifespan(gateway: Gateway) -> None:
    """A given one stays open: it is the app's."""
    one = app_with()
    one.add_middleware(SISGateMiddleware, gateway=gateway)
    for app in (one, app_with(gateway_lifespan(gateway))):
        assert names_of(app) == ["default", "lincoln"]
    assert gateway.jobs.list() == []


def test_a_websocket_has_it_too(gateway: Gateway) -> None:
    """A route that streams what changed is no request."""
    app, sent = app_with(gateway_lifespan(gateway)), list[Message]()

    @app.websocket("/live")
    async def live(socket: WebSocket, gateway: Annotated[Gateway, Depends(gateway_of)]) -> None:
        await socket.accept()
        await socket.send_json(gateway.providers.names())

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app.add_middleware(SISGateMiddleware, gateway=gateway)
    scope = {"type": "websocket", "path": "/live", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert [each.get("text") for each in sent] == [None, '["lincoln"]']


def test_without_one_it_is_made_from_the_settings(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the app starts, in its name."""
    for name, value in variables_of(installation).items():
        monkeypatch.setenv(name, value)
    one = app_with()
    one.add_middleware(SISGateMiddleware, name="portal")
    for app in (one, app_with(gateway_lifespan(name="portal"))):
        assert names_of(app) == ["portal", "lincoln"]


def test_an_app_without_either_is_told_what_to_add() -> None:
    """By the route that needs it."""
    assert "SISGateMiddleware" in names_of(app_with())["error"]


def test_settings_that_are_wrong_end_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first request: the server is told why."""
    monkeypatch.setenv("SISGATE_CONFIG", "/nowhere/sisgate.toml")
    app = FastAPI()
    app.add_middleware(SISGateMiddleware)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "/nowhere/sisgate.toml" in sent[0]["message"]
