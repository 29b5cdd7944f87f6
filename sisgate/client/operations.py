"""Operating the fleet over HTTP: tokens, schedules, quarantine, diagnosis, processes."""

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sisgate.access.token_service import TokenInfo, TokenService
from sisgate.client.connection import Connection
from sisgate.client.jobs import HttpJobs
from sisgate.client.overviews import dashboard_of
from sisgate.client.paths import message_path, schedule_path, token_path
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import given, moment, obstacle_of, status_of, value_of
from sisgate.gateway.dashboard import Dashboard
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.job_handle import Job
from sisgate.gateway.liveness import Liveness
from sisgate.gateway.schedules import Schedule
from sisgate.liveness.heartbeats import Fleet, Heartbeat

CHECK_SECONDS = 300.0
"""How long the checks of all providers may take."""

MOST_NAMED = 100
"""More providers are not named in a query: their names would make it too long."""


@reads_answers
class HttpTokens:
    """`gateway.tokens` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(TokenService.list)
    def list(self, *, every: bool) -> list[TokenInfo]:
        query = {"every": str(every).lower()}
        return value_of(list[TokenInfo], self._connection.get("/v1/tokens", query)["tokens"])

    @twin(TokenService.add)
    def add(self, *, life: timedelta | None, **order: Any) -> TokenInfo:
        lists = {"roles": [*order["roles"]], "scopes": [*order["scopes"]]}
        body = {**order, **lists, "days": _days(life)}
        return value_of(TokenInfo, self._connection.post("/v1/tokens", body))

    @twin(TokenService.rotate)
    def rotate(
        self, token_id: str, *, overlap: timedelta, life: timedelta | None, **order: Any
    ) -> TokenInfo:
        body = {**order, "overlap_hours": overlap / timedelta(hours=1), "days": _days(life)}
        return value_of(TokenInfo, self._connection.post(f"{token_path(token_id)}/rotate", body))

    @twin(TokenService.revoke)
    def revoke(self, token_id: str, **order: Any) -> TokenInfo:
        path = f"{token_path(token_id)}/revoke"
        return value_of(TokenInfo, self._connection.post(path, order, may_repeat=True))


def _days(life: timedelta | None) -> float | None:
    return life / timedelta(days=1) if life is not None else None


@reads_answers
class HttpSchedules:
    """`gateway.schedules` over HTTP."""

    def __init__(self, connection: Connection, jobs: HttpJobs) -> None:
        self._connection = connection
        self._jobs = jobs

    def list(self) -> Sequence[Schedule]:
        """Return the schedules that the caller may see, sorted by name."""
        return [_schedule(each) for each in self._connection.get("/v1/schedules")["schedules"]]

    def get(self, name: str) -> Schedule:
        """Return one schedule, with those of its providers that the caller may see."""
        return _schedule(self._connection.get(schedule_path(name)))

    def run(self, name: str, *, reason: str | None = None) -> Sequence[Job]:
        """Enqueue a schedule's syncs, due or not."""
        accepted = self._connection.post(f"{schedule_path(name)}/run", given({"reason": reason}))
        return [self._jobs.job_of(each) for each in accepted["jobs"]]


def _schedule(document: Mapping[str, Any]) -> Schedule:
    jobs = [status_of(job) for job in document["jobs"]]
    return replace(value_of(Schedule, {**document, "jobs": ()}), jobs=jobs)


@dataclass(frozen=True)
class ListedMessage:
    """A message in quarantine, without its content; as `BadMessage`."""

    id: str
    at: datetime | None
    queue: str
    reason: str
    task: str | None
    size: int
    is_whole: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "id": self.id, "at": self.at, "queue": self.queue, "reason": self.reason,
            "task": self.task, "bytes": self.size, "whole": self.is_whole,
        }  # fmt: skip


@reads_answers
class HttpQuarantine:
    """`gateway.quarantine` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[ListedMessage]:
        """Return the messages that no worker could handle, newest first."""
        return [
            ListedMessage(
                each["id"], moment(each["at"]), each["queue"], each["reason"], each["task"],
                each["bytes"], each["whole"],
            )
            for each in self._connection.get("/v1/quarantine")["messages"]
        ]  # fmt: skip

    def show(self, message_id: str) -> dict[str, Any]:
        """Return a message with the outline of its content, which holds no values."""
        document = self._connection.get(message_path(message_id))
        return {**document, "at": moment(document["at"])}

    def content(
        self, message_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> bytes:
        """Return the stored beginning of a message. For admins, as it may hold anything."""
        path = f"{message_path(message_id)}/content"
        return b64decode(self._connection.post(path, {"reason": reason})["content"])

    def requeue(
        self, message_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> str:
        """Return a message to its queue; return the queue."""
        path = f"{message_path(message_id)}/requeue"
        queue: str = self._connection.post(path, {"reason": reason})["queue"]
        return queue

    def drop(self, message_id: str, *, actor: str | None = None, reason: str | None = None) -> None:
        """Delete a message."""
        self._connection.post(f"{message_path(message_id)}/drop", {"reason": reason})


@reads_answers
class HttpDiagnosis:
    """`gateway.diagnosis` over HTTP: what `sisgate doctor` checks, from where the service runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(
        self, provider: str | None = None, *, probe: bool = False
    ) -> Iterator[DiagnosticResult]:
        """Yield the results, which come all at once; see `Diagnosis.run`."""
        order = given({"provider": provider, "probe": probe})
        checked = self._connection.post("/v1/diagnosis", order, silence=CHECK_SECONDS)
        yield from value_of(list[DiagnosticResult], checked["checks"])


@dataclass(frozen=True)
class ListedMetrics:
    """The metrics of the fleet, JSON-ready; as `Readings`."""

    values: Mapping[str, Sequence[Mapping[str, Any]]]

    def as_dict(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the samples by metric."""
        return self.values


@reads_answers
class HttpFleet:
    """`gateway.fleet` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def liveness(self, providers: Sequence[str] | None = None) -> Liveness:
        """Return which processes are alive, and what blocks jobs of some `providers` or all."""
        if providers is not None and len(providers) > MOST_NAMED:
            providers = None
        document = self._connection.get("/v1/fleet", {"provider": list(providers or ()) or None})
        processes, fleet = document["processes"], None
        if processes is not None:
            named = [{"id": each["name"], **each} for each in processes]
            fleet = Fleet(value_of(list[Heartbeat], named))
        return Liveness(fleet, [obstacle_of(each) for each in document["obstacles"]])

    def dashboard(self) -> Dashboard:
        """Return the fleet at a glance, as far as the caller may see it."""
        return dashboard_of(self._connection.get("/v1/dashboard"))

    def metrics(self) -> ListedMetrics:
        """Return the metrics of the whole fleet."""
        return ListedMetrics(self._connection.get("/v1/metrics")["metrics"])

    def openmetrics(self) -> str:
        """Return the metrics of the whole fleet as OpenMetrics text."""
        return self._connection.text("/metrics")
