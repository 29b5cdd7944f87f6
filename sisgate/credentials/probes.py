"""A call that tries one key: an ordinary request in its turn, within the provider's limit."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.credentials.sealed_requests import seal_request
from sisgate.credentials.vault import Vault
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind
from sisgate.ledger import call_queue, jobs
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.jobs import NewJob
from sisgate.ledger.schema import Key
from sisgate.settings import ProviderConfig

PROBE_DEADLINE = timedelta(minutes=10)
"""A request that was not made by then is asked for anew."""

APP = "sisgate"
"""In whose name it stands in the ledger."""


def accept_probe(
    session: Session, vault: Vault, config: ProviderConfig, key: Key, now: datetime
) -> tuple[int, str, int]:
    """Accept the request in this transaction; return the call to publish after the commit.

    It is the dialect's cheapest one, or a GET of `rotation.canary_path`. A message that is lost
    is found by the reconciler, as for every call.
    """
    request = config.dialect.probe_request()
    path = config.rotation.canary_path
    target = {
        "method": "GET" if path else request.method,
        "path": path or request.path,
        "query": {} if path else dict(request.query),
        "json": None if path else request.json_body,
    }
    new = NewJob(
        id=str(uuid.uuid4()),
        kind=JobKind.REQUEST,
        app=APP,
        provider=config.name,
        priority=Priority.URGENT,
        expires_at=now + PROBE_DEADLINE,
    )
    new = seal_request(vault, new, target)
    job, _ = jobs.accept(session, new, now, published_at=now)
    only = {**new.options, "key": key.id}
    call_queue.plan(session, job, [NewCall(Purpose.REQUEST, target=only)], now)
    (call_id,) = call_queue.queue_next(session, job.id, 1, now)
    key.probe_job = job.id
    return call_id, config.name, int(Priority.URGENT)
