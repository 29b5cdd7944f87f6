"""Every way to have something accepted, once each, for measures of its statements."""

from __future__ import annotations

import uuid
from contextlib import suppress

from sisgate import Gateway
from sisgate.errors import IdempotencyConflict, SisgateError, UsageError
from sisgate.ledger import schedules


def accept_in_every_way(gateway: Gateway, provider: str, app: str) -> None:
    """Accept, repeat, refuse, cancel and retry; the provider is paused at the end."""
    dataset = (provider, "students")
    key, task = f"once-{uuid.uuid4()}", str(uuid.uuid4())
    for _ in range(2):
        gateway.sync(*dataset, app=app)
        gateway.sync(*dataset, app=app, job_id=task)
        gateway.sync(*dataset, app=app, idempotency_key=key)
        gateway.enqueue_request(provider, "GET", "/x", idempotency_key=key)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, mode="full", idempotency_key=key)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, mode="full", job_id=task)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, job_id=task, idempotency_key=key)
    refused = str(uuid.uuid4())
    for _ in range(2):
        gateway.jobs.refuse(refused, provider, "cafeteria", app, UsageError("No such resource."))
    gateway.jobs.retry(refused)
    gateway.jobs.status(task)
    gateway.jobs.cancel(task)
    with gateway.context.database.read() as session:
        schedules.taken(session, app.removeprefix("schedule/"), ["slot/students"])
    gateway.providers.control(provider).pause(actor="test")
    for choice in ("stale", "fail"):
        for resource in ("students", "orgs"):
            with suppress(SisgateError):
                gateway.sync(provider, resource, app=app, on_unavailable=choice)
        with suppress(SisgateError):
            gateway.enqueue_request(provider, "GET", "/x", on_unavailable=choice)
