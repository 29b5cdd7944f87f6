"""The ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from sisgate import __version__
from sisgate.console import Console
from sisgate.gateway import Gateway
from sisgate.start_up import gc_seldom
from sisgate.web import errors
from sisgate.web.deps import Shared, known_parameters, no_unread_body
from sisgate.web.faces import Faces
from sisgate.web.guard import Guard
from sisgate.web.identity import Identity
from sisgate.web.inbound import FailedLogins
from sisgate.web.openapi import completed
from sisgate.web.readiness import KeptReadiness
from sisgate.web.request_log import RequestLog
from sisgate.web.routers import (
    alerts,
    audit,
    configuration,
    controls,
    datasets,
    error_patterns,
    health,
    jobs,
    keys,
    operations,
    orders,
    persons,
    providers,
    sla,
    tokens,
    verdicts,
    webhooks,
)
from sisgate.web.streams import LineStreams
from sisgate.web.waiting import WaitingRequests

ROOMS = (
    orders, jobs, datasets, providers, controls, keys, configuration, tokens, webhooks, operations,
    sla, audit, persons, verdicts, alerts, error_patterns, health,
)  # fmt: skip
"""The modules with routes, in the order of the OpenAPI document."""

THREADS = 10
"""Calls of the gateway at a time: as many as the ledger has connections for a process."""


def create_app(gateway: Gateway | None = None) -> FastAPI:
    """Return the service on a gateway, which the caller closes.

    Without one it makes its own from the configuration and environment of the process, and closes
    it at the end: `uvicorn --factory sisgate.web:create_app`. Make it after forking. A token or an
    app of the process's own environment does not name callers: each has a token of its own.
    """
    root = gateway if gateway is not None else Gateway.from_env()
    if gateway is None:
        gc_seldom()
    config = root.settings.web
    shared = Shared(config, WaitingRequests(config.max_waiting), LineStreams(), KeptReadiness(root))
    failed = FailedLogins(config.failed_logins_rate)
    console = Console(root, failed)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        yield
        shared.waiting.stop()
        console.stop()
        if gateway is None:
            root.close()

    routes = [each for room in ROOMS for each in room.router.routes]
    # The first is the outermost.
    middleware = [
        Middleware(RequestLog, routes=routes),
        Middleware(Guard, config=config, open_access=root.settings.access == "open"),
        Middleware(Faces, console=console),
        Middleware(Identity, gateway=root, config=config, failed=failed),
    ]
    if config.cors_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "Last-Event-ID",
                "Prefer",
                "traceparent",
            ],
            expose_headers=[
                "ETag",
                "Location",
                "Preference-Applied",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
            ],
        )
        middleware.insert(3, cors)
    app = FastAPI(
        title="sisgate",
        version=__version__,
        summary="Job orchestration between school apps and Student Information Systems.",
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its scripts would come from another host
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(known_parameters), Depends(no_unread_body)],
        middleware=middleware,
        generate_unique_id_function=_operation_id,
    )
    app.state.shared = shared
    app.state.console = console
    app.state.routes = routes
    errors.install(app)
    for module in ROOMS:
        app.include_router(module.router)
    app.openapi = completed(app)  # type: ignore[method-assign]  # as FastAPI's documentation does
    return app


def _operation_id(route: APIRoute) -> str:
    """Return the name of the function: it stays when the path moves."""
    return route.name
