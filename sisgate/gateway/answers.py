"""Opening the stored responses to `request` jobs, and their targets."""

from collections.abc import Mapping

from sisgate.access.policy import Action
from sisgate.credentials.sealed import open_request
from sisgate.domain.figures import duration
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import CredentialError, InvalidState, ProviderRefused, TransformFailed
from sisgate.gateway.answer import Answer, RequestTarget
from sisgate.gateway.core import Core
from sisgate.gateway.disclosure import Disclosures
from sisgate.gateway.job import is_visible, visible_status
from sisgate.gateway.job_status import JobStatus
from sisgate.ledger import jobs
from sisgate.ledger.answers import AnsweredJob, StoredResponse, read_answered


def _was_refused(status: JobStatus) -> bool:
    return (status.error or {}).get("code") == ProviderRefused.code


def deleted(core: Core) -> str:
    """Return why the response to a request that is done is not stored."""
    kept = core.configuration.current().response_retention
    return f"`response_retention` keeps responses for {duration(kept.total_seconds())}"


class Answers:
    """The stored responses, opened for callers who may read them."""

    def __init__(self, core: Core, disclosures: Disclosures) -> None:
        self._core = core
        self._disclosures = disclosures

    def target(self, job_id: str) -> RequestTarget | None:
        """Return the target of a job, as far as the caller may see it; None for a sync."""
        core = self._core
        provider = visible_status(core, job_id).provider
        with core.database.read() as session:
            job = jobs.get(session, job_id)
        if job.kind != JobKind.REQUEST:
            return None
        method = str(job.options["method"]) if "method" in job.options else None
        if not core.access.allows(Action.READ, provider):
            return RequestTarget(method, hidden=f"you may not read {provider}")
        try:
            target = open_request(core.context.vault, job)
        except (InvalidState, CredentialError) as error:
            return RequestTarget(method, hidden=error.message)
        self._disclosures.request(job, target)
        return RequestTarget(target["method"], target["path"], target.get("query"))

    def get(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Open a response after auditing its reader; `InvalidState` without one."""
        core = self._core
        principal = core.access.require_role(Action.LOOK)
        with core.database.read() as session:
            job = read_answered(session, job_id)
        if job is None or not is_visible(principal, job):
            raise jobs.unknown(job_id)
        core.access.require(Action.READ, job.provider)
        stored = job.response
        if stored is None:
            raise self._without(job_id)
        body = core.context.vault.open(stored.sealed_body, f"responses/{job_id}")
        headers, body = self._transformed(job, stored, body)
        self._disclosures.answer(job, purpose, body)
        age = None
        if stored.stored_at is not None:
            age = max(0.0, (core.clock.now() - stored.stored_at).total_seconds())
        return Answer(job_id, stored.status, headers, body, stored.truncated, age_seconds=age)

    def _without(self, job_id: str) -> InvalidState:
        """Return why there is no response to a job."""
        status = visible_status(self._core, job_id)
        what = f"No response to job {job_id} is stored"
        if status.kind == JobKind.SYNC:
            what += ": it is a sync, whose records are in the ledger"
        elif status.state is JobState.DONE or _was_refused(status):
            what += f" any more: {deleted(self._core)}"
        else:
            what += f": it is {status.state.value}"
        return InvalidState(f"{what}.", job=job_id)

    def _transformed(
        self, job: AnsweredJob, stored: StoredResponse, body: bytes
    ) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body as the transform of the request makes them."""
        name = job.options.get("transform")
        if name is None:
            return stored.headers, body
        from sisgate.transforms import apply_to_response, named

        config = self._core.provider(job.provider)
        rule = named(config, name)
        if rule is None:
            raise TransformFailed(
                f"The transform {name!r}, by which job {job.id} was asked for, is no longer in the "
                f"configuration of {job.provider}.",
                job=job.id, provider=job.provider, rule=name,
            )  # fmt: skip
        if stored.truncated and stored.status < 300:
            raise TransformFailed(
                f"The response to job {job.id} was cut at response_max_bytes, so the transform "
                f"{name!r} cannot be applied.",
                job=job.id, provider=job.provider, rule=name,
            )  # fmt: skip
        done = apply_to_response(config, rule, stored.status, stored.headers, body)
        return done.headers, done.body
