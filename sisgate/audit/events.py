"""The events of jobs, calls and disclosures: their actions and their content.

An intent is written in the transaction that claims a call, before the request is sent, and an
outcome in the one that ends the claim. So an intent without an outcome means a lost worker, and the
outcome `lost` follows when its lease is over.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.log import record
from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.timings import JOB_ACCEPTED, Timed
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.answers import AnsweredJob
from sisgate.ledger.calls import Claim, ClaimedCall
from sisgate.ledger.schema import Call, Job

JOB_REFUSED = "gateway:job:refuse"
CALL_INTENT = "workers:call:intent"
RECORDS_DISCLOSED = "gateway:dataset:disclose"
ANSWER_DISCLOSED = "gateway:answer:disclose"
REQUEST_DISCLOSED = "gateway:request:disclose"
FEEDS_BEGUN_ANEW = "ledger:feeds:restart"
CONFIGURATION_CHANGED = "configuration:settings:change"
CONFIGURATION_APPLIED = "configuration:version:apply"
PROVIDER_DRAINED = "configuration:provider:drain"
PROVIDER_PURGED = "configuration:provider:purge"

WORKER = "worker"


def actor_of(app: str) -> str:
    """Return the name of an app in the log, where people and workers act too."""
    return f"app:{app}"


def job_accepted(
    session: Session,
    job: NewJob | Job,
    now: datetime,
    *,
    by: str | None,
    reason: str | None = None,
    former_ms: float | None = None,
) -> None:
    """A job was accepted. Of a request only the method is recorded: its path may name a person.

    `by` is who enqueued it in the app's name, if a token says so. `former_ms` is how long an
    earlier acceptance of the process took.
    """
    ms: dict[str, float] = {}
    if job.due_at is not None:
        ms[Timed.ACCEPTED] = late_ms(job.due_at, now)
    if former_ms is not None:
        ms[Timed.ACCEPTANCE] = former_ms
    record(
        session, now, actor=actor_of(job.app), action=JOB_ACCEPTED, subject=f"job/{job.id}",
        reason=reason, provider=job.provider, job=job.id, request_id=job.request_id,
        kind=job.kind, resource=job.resource, method=job.options.get("method"),
        allow_deletes=job.options.get("allow_deletes"), by=by, ms=ms or None,
    )  # fmt: skip


def late_ms(due_at: datetime, at: datetime) -> float:
    """Return how long after its time something was, in milliseconds; 0 if clocks disagree."""
    return round(max(0.0, 1000 * (at - due_at).total_seconds()), 1)


def job_refused(session: Session, job: Job, now: datetime, *, code: str) -> None:
    """A sync of an app that has only Celery was kept as a failed job, which says why."""
    record(
        session, now, actor=actor_of(job.app), action=JOB_REFUSED, subject=f"job/{job.id}",
        provider=job.provider, job=job.id, kind=job.kind, code=code,
    )  # fmt: skip


def job_changed(
    session: Session,
    job: Job,
    act: str,
    now: datetime,
    *,
    actor: str,
    reason: str | None = None,
    **detail: Any,
) -> None:
    """A person cancelled, repeated or resolved a job."""
    record(
        session, now, actor=actor, action=f"jobs:job:{act}", subject=f"job/{job.id}",
        reason=reason, provider=job.provider, job=job.id, request_id=job.request_id, **detail,
    )  # fmt: skip


def call_intended(session: Session, claim: Claim, now: datetime) -> None:
    """A worker is about to send a request to the provider."""
    call, job = claim.call, claim.job
    record(
        session, now, actor=WORKER, action=CALL_INTENT, subject=f"call/{call.id}",
        provider=call.provider, job=job.id, request_id=job.request_id,
        attempt=call.attempt, purpose=call.purpose,
    )  # fmt: skip


def call_ended(session: Session, claim: Claim, outcome: str, now: datetime, **facts: Any) -> None:
    """A worker has ended its claim; `outcome` says how, and `sent` of the facts if it sent nothing.

    `ms` of the facts is what the time was spent on, by stage (`sisgate.domain.call_results`), and
    what else is timed (`sisgate.domain.timings`).
    """
    facts = {**facts, "resource": claim.job.resource}
    _ended(session, claim.call, claim.call.attempt, claim.job.request_id, outcome, now, facts)


def call_failed_over(
    session: Session, claim: Claim, former: int, now: datetime, **facts: Any
) -> None:
    """A worker turns to another endpoint within its claim: one attempt ends, the next begins."""
    facts["resource"] = claim.job.resource
    request_id = claim.job.request_id
    _ended(session, claim.call, former, request_id, "failed over", now, facts)
    call_intended(session, claim, now)


def call_lost(session: Session, call: Call, now: datetime) -> None:
    """A worker was lost while it made a call, and its claim was revoked."""
    _ended(session, call, call.attempt - 1, None, "lost", now, {"then": call.state})


def _ended(
    session: Session,
    call: Call | ClaimedCall,
    attempt: int,
    request_id: str | None,
    outcome: str,
    now: datetime,
    facts: dict[str, Any],
) -> None:
    recorded = {name: facts[name] for name in _FACTS if facts.get(name) is not None}
    if (error := facts.get("error")) is not None:
        recorded["error"] = error.get("code")
    record(
        session, now, actor=WORKER, action=CALL_OUTCOME, subject=f"call/{call.id}",
        provider=call.provider, job=call.job_id, request_id=request_id,
        attempt=attempt, outcome=outcome, priority=call.priority, **recorded,
    )  # fmt: skip


_FACTS = ("endpoint", "status", "rows", "key", "then", "resource", "sent", "ms")
"""The facts of a call that are recorded."""


def disclosed(
    session: Session,
    now: datetime,
    *,
    actor: str,
    provider: str,
    dataset: str,
    purpose: str | None,
    request_id: str | None,
    **detail: Any,
) -> None:
    """Records or changes of a dataset are given to an app, or have been: then `records` counts."""
    record(
        session, now, actor=actor, action=RECORDS_DISCLOSED, subject=f"{provider}/{dataset}",
        reason=purpose, provider=provider, request_id=request_id, **detail,
    )  # fmt: skip


def call_disclosed(
    session: Session,
    job: Job | AnsweredJob,
    now: datetime,
    *,
    action: str,
    actor: str,
    purpose: str | None = None,
    **detail: Any,
) -> None:
    """The target of a request is shown (`REQUEST_DISCLOSED`), or its answer given."""
    record(
        session, now, actor=actor, action=action, subject=f"job/{job.id}",
        reason=purpose, provider=job.provider, job=job.id, request_id=job.request_id,
        **detail,
    )  # fmt: skip
