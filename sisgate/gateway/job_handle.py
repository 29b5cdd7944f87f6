"""A handle on a job, for apps. Pure: what it asks is a part of the gateway that made it."""

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sisgate.gateway.answer import Answer, Origin
from sisgate.gateway.job_status import JobStatus, raise_unless_successful
from sisgate.gateway.plan import Plan


class JobSource(Protocol):
    """The part of a gateway that knows jobs: `gateway.jobs`, in this process or over HTTP."""

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        ...

    def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Return the status of a job once it has ended; `TimeoutError` on timeout."""
        ...

    def expected(self, job_id: str) -> Plan:
        """Forecast when a job begins and ends."""
        ...

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a live job."""
        ...

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the response to a `request` job."""
        ...


class Job:
    """A handle on a job. Cheap: it holds the id and reads the ledger.

    `is_new` is False if an earlier call created the job. `age_seconds` is the age of the data that
    it fetched if it replaces a new job, else None; `is_stale` if that is because the provider takes
    no calls now. `origin` as in `Answer`.
    """

    def __init__(
        self,
        jobs: JobSource,
        job_id: str,
        *,
        is_new: bool = False,
        age_seconds: float | None = None,
        is_stale: bool = False,
        origin: Origin = "call",
    ) -> None:
        self._jobs = jobs
        self.id = job_id
        self.is_new = is_new
        self.age_seconds = age_seconds
        self.is_stale = is_stale
        self.origin = origin

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def status(self) -> JobStatus:
        """Return the current status."""
        return self._jobs.status(self.id)

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until the job has ended, at most `timeout` seconds, and return its status.

        Raises `TimeoutError` on timeout (the job continues), and `JobFailed`, `JobCancelled`,
        `JobExpired` or `OutcomeUnknown` if it did not succeed. A `held` job is returned.
        """
        status = self._jobs.wait(self.id, timeout)
        raise_unless_successful(status)
        return status

    @property
    def expected_start(self) -> datetime | None:
        """When its first call is or was made; None while unknown."""
        return self._jobs.expected(self.id).starts_at

    @property
    def expected_finish(self) -> datetime | None:
        """When it ends or ended; None while unknown."""
        return self._jobs.expected(self.id).done_by

    def cancel(self) -> JobStatus:
        """Cancel the job; `InvalidState` if it has ended."""
        return self._jobs.cancel(self.id)

    def answer(self, *, purpose: str | None = None) -> Answer:
        """Return the response to an ended `request` job; `purpose` is for the audit log."""
        answer = self._jobs.answer(self.id, purpose=purpose)
        return replace(answer, is_stale=self.is_stale, origin=self.origin)
