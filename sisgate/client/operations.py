"""Operating the fleet over HTTP: tokens, schedules, quarantine, diagnosis, processes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sisgate.access.token_service import TokenInfo, TokenService
from sisgate.client.connection import Connection
from sisgate.client.jobs import HttpJobs
from sisgate.client.overviews import DashboardState, dashboard_of
from sisgate.client.paths import message_path, schedule_path, token_path
from sisgate.client.twins import twin
from sisgate.client.values import moment, obstacle_of, status_of, value_of
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.liveness import Liveness
from sisgate.liveness.heartbeats import Fleet, Heartbeat

CHECK_SECONDS = 300.0
"""How long the checks of all providers may take."""


class HttpTokens:
    """`gateway.tokens` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(TokenService.list)
    def list(self, *, every: bool) -> list[TokenInfo]:
        query = {"every": str(every).lower()}
        return [_token(each) for each in self._connection.get("/v1/tokens", query)["tokens"]]

    @twin(TokenService.add)
    def add(self, *, life: timedelta | None, **order: Any) -> TokenInfo:
        lists = {"roles": [*order["roles"]], "scopes": [*order["scopes"]]}
        return _token(self._connection.post("/v1/tokens", {**order, **lists, "days": _days(life)}))

    @twin(TokenService.rotate)
    def rotate(
        self, token_id: str, *, overlap: timedelta, life: timedelta | None, **order: Any
    ) -> TokenInfo:
        body = {**order, "overlap_hours": overlap / timedelta(hours=1), "days": _days(life)}
        return _token(self._connection.post(f"{token_path(token_id)}/rotate", body))

    @twin(TokenService.revoke)
    def revoke(self, token_id: str, **order: Any) -> TokenInfo:
        path = f"{token_path(token_id)}/revoke"
        return _token(self._connection.post(path, order, may_repeat=True))


def _token(document: Mapping[str, Any]) -> TokenInfo:
    return value_of(TokenInfo, document)


def _days(life: timedelta | None) -> float | None:
    return life / timedelta(days=1) if life is not None else None


@dataclass(frozen=True)
class ScheduleState:
    """A schedule as the service shows it: what it syncs and when, and the newest jobs."""

    name: str
    provider: str | None
    resources: tuple[str, ...]
    when: str
    in_words: str
    mode: str
    priority: str
    next_at: datetime | None
    jobs: Sequence[JobStatus]


class HttpSchedules:
    """`gateway.schedules` over HTTP."""

    def __init__(self, connection: Connection, jobs: HttpJobs) -> None:
        self._connection = connection
        self._jobs = jobs

    def list(self) -> Sequence[ScheduleState]:
        """Return the schedules that the caller may see, sorted by name."""
        return [
            ScheduleState(
                each["name"], each["provider"], tuple(each["resources"]), each["when"],
                each["in_words"], each["mode"], each["priority"], moment(each["next_at"]),
                [status_of(job) for job in each["jobs"]],
            )
            for each in self._connection.get("/v1/schedules")["schedules"]
        ]  # fmt: skip

    def run(self, name: str, *, reason: str | None = None) -> Sequence[Job]:
        """Enqueue a schedule's syncs, due or not."""
        accepted = self._connection.post(f"{schedule_path(name)}/run", {"reason": reason})
        return [self._jobs.job_of(each) for each in accepted["jobs"]]


class HttpQuarantine:
    """`gateway.quarantine` over HTTP. Messages are as `BadMessage.as_dict()` has them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[Mapping[str, Any]]:
        """Return the messages that no worker could handle, newest first."""
        found: Sequence[Mapping[str, Any]] = self._connection.get("/v1/quarantine")["messages"]
        return found

    def show(self, message_id: str) -> dict[str, Any]:
        """Return a message with the outline of its content, which holds no values."""
        document: dict[str, Any] = self._connection.get(message_path(message_id))
        return document

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


class HttpDiagnosis:
    """`gateway.diagnosis` over HTTP: what `sisgate doctor` checks, from where the service runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(
        self, provider: str | None = None, *, probe: bool = False
    ) -> Iterator[DiagnosticResult]:
        """Yield the results, which come all at once; see `Diagnosis.run`."""
        order = {"provider": provider, "probe": probe}
        checked = self._connection.post("/v1/diagnosis", order, silence=CHECK_SECONDS)
        yield from value_of(list[DiagnosticResult], checked["checks"])


class HttpFleet:
    """`gateway.fleet` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def liveness(self) -> Liveness:
        """Return which processes are alive, and what keeps jobs from running."""
        document = self._connection.get("/v1/fleet")
        processes, fleet = document["processes"], None
        known = {each.name for each in fields(Heartbeat)}
        if processes is not None:
            fleet = Fleet(
                [
                    value_of(
                        Heartbeat,
                        {"id": each["name"]}
                        | {name: value for name, value in each.items() if name in known},
                    )
                    for each in processes
                ]
            )
        return Liveness(fleet, [obstacle_of(each) for each in document["obstacles"]])

    def dashboard(self) -> DashboardState:
        """Return the fleet at a glance, as far as the caller may see it."""
        return dashboard_of(self._connection.get("/v1/dashboard"))

    def openmetrics(self) -> str:
        """Return the metrics of the whole fleet as OpenMetrics text."""
        return self._connection.text("/metrics")
