"""The gateway over HTTP: the same calls, values and errors as `Gateway`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sisgate.client.connection import REPEATS, Connection
from sisgate.client.jobs import LONGEST_POLL_SECONDS
from sisgate.client.parts import HttpParts
from sisgate.client.problems import error_of_values
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import answer_of, given, order_of, word_of
from sisgate.clock import Clock, SystemClock
from sisgate.domain.priorities import Priority
from sisgate.domain.secret import HoldsSecret
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.domain.validation import finite_seconds
from sisgate.errors import UsageError
from sisgate.gateway.answer import Answer
from sisgate.gateway.gateway import Gateway
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import answer_if_ended
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.plan import Plan
from sisgate.settings.service import service_address

if TYPE_CHECKING:
    from sisgate.gateway.many_syncs import SyncResult
    from sisgate.verdict.finding import Verdict

LONGEST_SILENCE_SECONDS = 600.0
"""No service lets callers wait for longer."""


@reads_answers
class HttpGateway(HttpParts):
    """A `Gateway` that asks the HTTP service, for apps with neither database nor Redis.

    `url` and `token` are `SISGATE_URL` and `SISGATE_TOKEN` unless they are given. Methods block and
    are thread-safe. `timeout` is how long the service may be silent, in seconds. Besides the errors
    of the same methods of `Gateway`, all raise `ServiceUnavailable` if the service cannot be
    reached; requests that do no harm twice are repeated before, up to `repeats` times. The token
    names the caller: an `actor` that is given is not sent.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | HoldsSecret | None = None,
        *,
        timeout: float = 30.0,
        repeats: int = REPEATS,
        allow_insecure: bool | None = None,
        clock: Clock | None = None,
    ) -> None:
        address = service_address(url, token, allow_insecure=allow_insecure)
        clock = clock or SystemClock()
        connection = Connection(address, timeout=timeout, repeats=repeats, clock=clock)
        super().__init__(connection, clock)

    @classmethod
    def from_env(cls) -> Self:
        """Return the gateway of `SISGATE_URL` and `SISGATE_TOKEN`; `ConfigurationError` without."""
        return cls()

    def __repr__(self) -> str:
        return f"HttpGateway({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    @twin(Gateway.sync)
    def sync(self, **order: Any) -> Job:
        return self.jobs.job_of(self._ordered("/v1/syncs", NewSync(**order)))

    @twin(Gateway.request)
    def request(self, *, timeout: float, purpose: str | None, **order: Any) -> Answer:
        begun = self._clock.monotonic()
        new = NewRequest(**order, timeout=timeout)
        found = self._ordered(
            "/v1/answers", new, {"purpose": purpose}, silence=finite_seconds("timeout", timeout)
        )
        if "body" in found:
            return answer_of(found)
        # The service lets nobody wait for so long, or an earlier request made the job.
        job = self.jobs.job_of(found)
        left = timeout - (self._clock.monotonic() - begun)
        self.jobs.ended_within(job.id, max(0.0, left))
        answer = answer_if_ended(self.jobs, job.id, purpose)
        if answer is None:
            raise TimeoutError(f"Job {job.id} has not ended in time; it continues.")
        return answer

    @twin(Gateway.enqueue_request)
    def enqueue_request(self, **order: Any) -> Job:
        return self.jobs.job_of(self._ordered("/v1/requests", NewRequest(**order)))

    def enqueue_and_wait(
        self, new: NewRequest, seconds: float, *, purpose: str | None = None
    ) -> tuple[Job, Answer | None]:
        """Accept a request and wait some seconds for its end; return job and answer, if one came.

        One request does both. The job goes on if it takes longer.
        """
        wait = min(seconds, LONGEST_POLL_SECONDS)
        found = self._ordered("/v1/requests", new, {"purpose": purpose}, wait=wait)
        answer = answer_of(found["answer"]) if found["answer"] else None
        return self.jobs.job_of(found), answer

    def enqueue(self, items: Sequence[NewSync | NewRequest]) -> list[Job]:
        """Accept up to 10,000 syncs and requests at once, all or none; see `Gateway.enqueue`."""
        orders = []
        for item in items:
            if not isinstance(item, NewSync | NewRequest):
                raise UsageError(
                    f"enqueue takes NewSync and NewRequest, not a {type(item).__name__}; "
                    'NewSync("powerschool", "students") is one.'
                )
            key = item.idempotency_key or str(uuid.uuid4())
            if isinstance(item, NewRequest) and item.max_age is not None:
                raise UsageError("max_age works for single requests only.")
            kind = "sync" if isinstance(item, NewSync) else "request"
            orders.append({"kind": kind, **order_of(item), "idempotency_key": key})
        if not orders:
            return []
        accepted = self._connection.post("/v1/jobs", {"items": orders}, may_repeat=True)
        return [self.jobs.job_of(each) for each in accepted["jobs"]]

    @twin(Gateway.sync_many)
    def sync_many(
        self, *, progress: Callable[[int, int], None], idempotency_key: str | None, **order: Any
    ) -> list[SyncResult]:
        from sisgate.gateway.many_syncs import SyncResult

        lists = {"where": dict(order["where"]), "resources": list(order["resources"])}
        found = self._connection.send(
            "POST", "/v1/syncs/many",
            body=given({**order, **lists, "priority": word_of(order["priority"])}),
            headers=_with_key(idempotency_key or str(uuid.uuid4())), may_repeat=True,
            silence=LONGEST_SILENCE_SECONDS,
        ).json["syncs"]  # fmt: skip
        progress(len(found), len(found))  # the service tells of the end only
        return [
            SyncResult(
                each["provider"], each["resource"],
                Job(self.jobs, each["job"], is_new=each["is_new"]) if each["job"] else None,
                error_of_values(each["error"]) if each["error"] else None,
            )
            for each in found
        ]  # fmt: skip

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` if there is none."""
        return self.jobs.job(job_id)

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the response to a `request` job; `InvalidState` if none is stored."""
        return self.jobs.answer(job_id, purpose=purpose)

    def plan(self, provider: str, resource: str, *, priority: str | Priority = "normal") -> Plan:
        """Forecast a sync without enqueuing it: calls, quota left, times."""
        return self.datasets.plan(provider, resource, word_of(priority))

    def why(self, subject: str | None = None) -> Verdict:
        """Return how something stands, and who is at fault; see `Gateway.why`."""
        from sisgate.client.verdicts import verdict_of

        return verdict_of(self._connection.get("/v1/why", {"subject": subject}))

    @twin(Gateway.records)
    def records(self, **wanted: Any) -> Iterator[StoredRecord]:
        return self.datasets.records(**wanted)

    @twin(Gateway.changes)
    def changes(self, **wanted: Any) -> Iterator[StoredChange]:
        return self.datasets.changes(**wanted)

    def _ordered(
        self,
        path: str,
        new: NewSync | NewRequest,
        query: Mapping[str, Any] | None = None,
        *,
        wait: float = 0.0,
        silence: float = 0.0,
    ) -> Any:
        """Order a job. With a key, and where its call may be shared, it may be repeated."""
        is_shared = isinstance(new, NewRequest) and new.max_age is not None
        key = new.idempotency_key or (None if is_shared else str(uuid.uuid4()))
        reply = self._connection.send(
            "POST", path, body=order_of(new), query=query, headers=_with_key(key), may_repeat=True,
            wait=wait, silence=min(silence, LONGEST_SILENCE_SECONDS),
        )  # fmt: skip
        return reply.json


def _with_key(key: str | None) -> dict[str, str]:
    """Return the header of a key, which is a string of structured fields (RFC 9651)."""
    if key is None:
        return {}
    if not key.isascii() or not key.isprintable():
        raise UsageError("An idempotency key that goes over HTTP has printable ASCII characters.")
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return {"Idempotency-Key": f'"{quoted}"'}
