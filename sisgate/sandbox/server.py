"""The process: one listener per district, all in one event loop, until a signal comes."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sisgate.sandbox.control import control_app
from sisgate.sandbox.district import District
from sisgate.sandbox.faults import TRANSPORT
from sisgate.sandbox.gate import FaultMiddleware
from sisgate.sandbox.oneroster.server import OneRosterServer
from sisgate.sandbox.powerschool.server import PowerSchoolServer
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from sisgate.sandbox.vendor import VendorServer

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 120
_PARENT_CHECK_SECONDS = 0.5


class _Protocol(H11Protocol):
    """uvicorn's protocol, which also tells the application its transport (for resets)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport in the scope of every request of this connection."""
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport


def build(spec: DistrictSpec) -> tuple[District, VendorServer, ASGIApp]:
    """Return a district, its dialect and the ASGI application of its port."""
    district = District(spec)
    dialect: VendorServer
    if spec.kind == "powerschool":
        dialect = PowerSchoolServer(district)
    else:
        dialect = OneRosterServer(district)
    return district, dialect, FaultMiddleware(district, dialect, control_app(district, dialect))


async def _listen(spec: DistrictSpec) -> tuple[uvicorn.Server, dict[str, Any]]:
    """Open one district's port; return its server and what clients must know of it."""
    bound = socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as `sisgate.web.server` has it
    bound.bind((spec.host, spec.port))
    district, dialect, app = build(replace(spec, port=bound.getsockname()[1]))
    config = uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", log_level="critical", access_log=False,
        server_header=False, backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[bound])
    first, base = spec.accepted[0], dialect.oneroster_path
    return server, {
        "name": spec.name,
        "kind": spec.kind,
        "url": district.url,
        "token_url": district.url + dialect.token_path,
        "oneroster_base": None if base is None else district.url + base,
        "client_id": first.client_id,
        "client_secret": first.client_secret,
    }


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    """Set `stop` when the process is no longer the child of `parent`."""
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of a parent's end
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    stop.set()


async def serve(spec: SandboxSpec, ready_file: Path | None, parent: int | None) -> None:
    """Serve until SIGTERM, SIGINT or, with `parent`, until that process has ended."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    opened = [await _listen(district) for district in spec.districts]
    # Everything made so far lives as long as the process; pages of rows are no garbage cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    ready = json.dumps({"pid": os.getpid(), "districts": [about for _, about in opened]})
    # The reader of our output may have exited; the servers keep serving.
    with contextlib.suppress(BrokenPipeError):
        print(ready, flush=True)  # noqa: T201 - the line is the interface of the command
    if ready_file is not None:
        _write_at_once(ready_file, ready)
    watcher = None if parent is None else asyncio.create_task(_watch_parent(parent, stop))
    await stop.wait()
    if watcher is not None:
        watcher.cancel()
    for server, _ in opened:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()


def _write_at_once(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
