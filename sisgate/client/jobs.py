"""Jobs over HTTP: their status, waiting for them, and actions on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sisgate.client.connection import Connection
from sisgate.client.paths import bulk_path, job_path
from sisgate.client.reading import reads_answers
from sisgate.client.values import (
    Json,
    answer_of,
    dead_letter_of,
    plan_of,
    status_of,
    target_of,
    text_of,
    value_of,
    wait_of,
)
from sisgate.clock import Clock
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.states import JobState
from sisgate.domain.validation import chosen
from sisgate.errors import JobExpired, NotFound, SisgateError, UnknownJob
from sisgate.gateway.answer import Answer, RequestTarget
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import DeadLetter, JobStatus
from sisgate.gateway.plan import Plan
from sisgate.gateway.wait import Wait
from sisgate.liveness.obstacles import sentences

if TYPE_CHECKING:
    from sisgate.gateway.bulk_actions import BulkOutcome, BulkReview
    from sisgate.gateway.held_deletions import HeldDeletions
    from sisgate.gateway.timeline import Timeline

LONGEST_POLL_SECONDS = 20.0
"""How long one request waits, at most: shorter than proxies keep a silent connection."""

PAGE = 500

DEAD_LETTERS = 1000
"""Dead letters of one answer."""

BULK_SECONDS = 300.0
"""How long the service may take for an action on some thousands of jobs."""


@reads_answers
class HttpJobs:
    """`gateway.jobs` over HTTP. The audit log names the owner of the token as the `actor`."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` if there is none."""
        self.status(job_id)
        return Job(self, job_id)

    def job_of(self, document: Json) -> Job:
        """Return the handle on an accepted job."""
        return Job(
            self, document["id"], is_new=document["is_new"],
            age_seconds=document.get("age_seconds"), is_stale=document.get("is_stale", False),
            origin=document.get("origin", "call"),
        )  # fmt: skip

    def owner(self) -> str:
        """Return the app whose jobs those are that the caller enqueues without naming an app."""
        app: str = self._connection.get("/v1/caller")["app"]
        return app

    def find(self, beginning: str) -> str:
        """Return the id of the one visible job whose id begins with `beginning`."""
        job_id: str = self._connection.get("/v1/jobs/find", {"beginning": beginning.strip()})["id"]
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job; `UnknownJob` if there is none."""
        return status_of(self._connection.get(job_path(job_id)))

    def statuses(self, job_ids: Sequence[str]) -> Sequence[JobStatus]:
        """Return the statuses of several jobs, leaving out unknown ids."""
        found: list[JobStatus] = []
        for start in range(0, len(job_ids), PAGE):
            ids = list(job_ids[start : start + PAGE])
            try:
                page = self._connection.post("/v1/job-statuses", {"ids": ids}, may_repeat=True)
            except NotFound:  # an older service
                found += self._each_status(ids)
            else:
                found += map(status_of, page["jobs"])
        return found

    def _each_status(self, job_ids: Sequence[str]) -> Iterator[JobStatus]:
        for job_id in job_ids:
            with suppress(UnknownJob):
                yield self.status(job_id)

    def list(
        self,
        *,
        states: str | Iterable[str] = (),
        provider: str | None = None,
        resource: str | None = None,
        app: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Sequence[JobStatus]:
        """Return the newest jobs, newest first; see `Jobs.list`."""
        names = [states] if isinstance(states, str) else states
        query = {
            "state": [chosen("state", JobState, name) for name in names] or None,
            "provider": provider, "resource": resource, "app": app,
        }  # fmt: skip
        return self._pages(query, after, limit)

    def search(
        self, query: str = "", *, after: str | None = None, limit: int = 50
    ) -> Sequence[JobStatus]:
        """Return the newest jobs that match a query, newest first; see `Jobs.search`."""
        return self._pages({"q": query}, after, limit)

    def _pages(
        self, query: Mapping[str, Any], after: str | None, limit: int
    ) -> Sequence[JobStatus]:
        found: list[JobStatus] = []
        while len(found) < limit:
            asked = {**query, "cursor": after, "limit": min(PAGE, limit - len(found))}
            page = self._connection.get("/v1/jobs", asked)
            found += map(status_of, page["jobs"])
            after = page["next"]
            if after is None:
                break
        return found

    def held(self, *, limit: int = 100) -> Sequence[JobStatus]:
        """Return the held syncs that no later sync of their dataset has settled, newest first."""
        found = self._connection.get("/v1/held-syncs", {"limit": limit})["jobs"]
        return [status_of(each) for each in found]

    def deletions(self, job_id: str, *, start: str = "", limit: int = 100) -> HeldDeletions:
        """Return what a held sync would delete, from the id `start` on, without records' data."""
        from sisgate.gateway.held_deletions import HeldDeletions

        body = {"start": start, "limit": limit}
        path = f"{job_path(job_id)}/deletions"
        return value_of(HeldDeletions, self._connection.post(path, body, may_repeat=True))

    def timeline(self, job_id: str) -> Timeline:
        """Return what happened to a job, in order, and whose fault each wait was."""
        from sisgate.gateway.timeline import Timeline

        return value_of(Timeline, self._connection.get(f"{job_path(job_id)}/timeline"))

    def review_bulk(self, action: str, query: str) -> BulkReview:
        """Return what `retry` or `cancel` of all jobs that match a query would be done to."""
        from sisgate.client.overviews import review_of

        wanted = JobFilter.parse(query, self._clock.now())
        path = f"{bulk_path(action)}/review"
        return review_of(self._connection.post(path, {"query": query}, may_repeat=True), wanted)

    def run_bulk(
        self,
        action: str,
        query: str,
        *,
        after: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> BulkOutcome:
        """Retry or cancel all jobs that match a query; see `Jobs.run_bulk`."""
        from sisgate.gateway.bulk_actions import BulkOutcome

        body = {"query": query, "after": after, "reason": reason}
        done = self._connection.post(bulk_path(action), body, silence=BULK_SECONDS)
        return value_of(BulkOutcome, done)

    def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Return the status of a job once it has ended; `TimeoutError` says what it waits for."""
        status = self.ended_within(job_id, timeout)
        if status is None:
            why = self._why_waiting(job_id)
            fate = f". {why} The job is kept and waits." if why else "; it continues."
            raise TimeoutError(f"Job {job_id} has not ended within {timeout:g} s{fate}")
        return status

    def ended_within(self, job_id: str, timeout: float | None) -> JobStatus | None:
        """Return the status of a job once it has ended; None on timeout."""
        begun, left = self._clock.monotonic(), LONGEST_POLL_SECONDS
        while True:
            if timeout is not None:
                left = max(0.0, timeout - (self._clock.monotonic() - begun))
            asked_at = self._clock.monotonic()
            wait = round(min(left, LONGEST_POLL_SECONDS), 3)
            status = status_of(self._connection.get(job_path(job_id), wait=wait))
            if status.is_final:
                return status
            if timeout is not None and self._clock.monotonic() - begun >= timeout:
                return None
            if self._clock.monotonic() - asked_at < min(wait, 1.0) / 2:
                self._clock.sleep(min(1.0, left))  # the service lets nobody wait: it is stopping

    @contextmanager
    def watch(self, job_id: str, wake: Callable[[], object]) -> Iterator[None]:
        """Within the block, call `wake` from another thread once the job has ended.

        Takes a thread and a connection. A job that is not accepted yet is waited for as well.
        """
        is_over = threading.Event()

        def follow() -> None:
            while not is_over.is_set():
                try:
                    if self.ended_within(job_id, LONGEST_POLL_SECONDS) is not None:
                        break
                except UnknownJob:
                    is_over.wait(0.05)
                except SisgateError:
                    wake()
                    is_over.wait(1.0)
            if not is_over.is_set():
                wake()

        threading.Thread(target=follow, name=f"watch-{job_id}", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the response to a `request` job; `InvalidState` if none is stored."""
        return answer_of(self._connection.get(f"{job_path(job_id)}/answer", {"purpose": purpose}))

    def request_target(self, job_id: str) -> RequestTarget | None:
        """Return the target of a `request` job, as far as you may see it; None for a sync."""
        return target_of(self._connection.get(f"{job_path(job_id)}/target"))

    def expected(self, job_id: str) -> Plan:
        """Forecast when an accepted job begins and ends."""
        return plan_of(self._connection.get(f"{job_path(job_id)}/forecast"))

    def waits_for(self, job_id: str) -> Wait | None:
        """Return what a job waits for and until when; None if it has ended or need not wait."""
        return wait_of(self._connection.get(f"{job_path(job_id)}/wait")["wait"])

    def dead(
        self,
        *,
        provider: str | None = None,
        app: str | None = None,
        error: str | None = None,
        since: datetime | None = None,
        limit: int | None = 50,
    ) -> Sequence[DeadLetter]:
        """Return the dead letters, oldest first; see `Jobs.dead`."""
        query = {"provider": provider, "app": app, "error": error}
        found: dict[str, DeadLetter] = {}
        while True:
            left = DEAD_LETTERS if limit is None else min(DEAD_LETTERS, limit - len(found))
            asked = {**query, "since": text_of("since", since), "limit": left}
            page = self._connection.get("/v1/dead-letters", asked)["jobs"]
            before = len(found)
            found |= {letter.id: letter for letter in map(dead_letter_of, page)}
            if len(page) < DEAD_LETTERS or len(found) in {before, limit}:
                return list(found.values())
            since = found[page[-1]["id"]].job.ended_at

    def cancel(
        self, job_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> JobStatus:
        """Cancel a live job; `InvalidState` if it has ended, `UnknownJob` if there is none."""
        return status_of(self._connection.post(f"{job_path(job_id)}/cancel", {"reason": reason}))

    def withdraw(self, job_id: str, *, actor: str | None = None) -> JobStatus:
        """End a live request whose caller waits no longer; see `Jobs.withdraw`."""
        return status_of(self._connection.post(f"{job_path(job_id)}/withdraw", {}))

    def retry(self, job_id: str, *, actor: str | None = None, reason: str | None = None) -> Job:
        """Retry a job that failed, expired or was cancelled; again, it returns the same new job."""
        path = f"{job_path(job_id)}/retry"
        return self.job_of(self._connection.post(path, {"reason": reason}, may_repeat=True))

    def resolve(
        self, job_id: str, resolution: str, *, reason: str | None = None, actor: str | None = None
    ) -> JobStatus:
        """Settle a job of unknown outcome as `done`, `failed` or `retry`; see `Jobs.resolve`."""
        body = {"resolution": resolution, "reason": reason}
        return status_of(self._connection.post(f"{job_path(job_id)}/resolve", body))

    def why_unanswered(self, provider: str, error: JobExpired) -> SisgateError:
        """Return the error that explains why a request got no response: the service says it."""
        return error

    def _why_waiting(self, job_id: str) -> str | None:
        with suppress(SisgateError):
            provider, wait = self.status(job_id).provider, self.waits_for(job_id)
            if wait is not None and wait.obstacles:
                return sentences(wait.obstacles)
            if wait is not None and wait.hold is not None:
                return f"{wait.hold.reason_text(provider)}."
        return None
