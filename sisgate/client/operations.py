"""Operating the fleet over HTTP: tokens, schedules, quarantine, retention, audit log, processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sisgate.access.token_service import LIFE, OVERLAP, TokenInfo
from sisgate.client.connection import Connection
from sisgate.client.jobs import HttpJobs
from sisgate.client.overviews import DashboardState, dashboard_of
from sisgate.client.paths import message_path, schedule_path, token_path
from sisgate.client.values import moment, obstacle_of, status_of, value_of
from sisgate.domain.validation import aware
from sisgate.errors import UsageError
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.liveness import Liveness
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import AuditEvent
from sisgate.liveness.heartbeats import Fleet, Heartbeat
from sisgate.privacy.disclosures import PersonDisclosure


class HttpTokens:
    """`gateway.tokens` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, every: bool = False) -> Sequence[TokenInfo]:
        """Return the tokens that are valid now; with `every`, also those that are not."""
        query = {"every": str(every).lower()}
        return [_token(each) for each in self._connection.get("/v1/tokens", query)["tokens"]]

    def add(
        self,
        name: str,
        roles: Sequence[str],
        *,
        scopes: Sequence[str] = ("*",),
        life: timedelta | None = LIFE,
        actor: str | None = None,
        reason: str | None = None,
    ) -> TokenInfo:
        """Create a token and return it with its secret, which is shown only now."""
        body = {
            "name": name, "roles": list(roles), "scopes": list(scopes), "days": _days(life),
            "reason": reason,
        }  # fmt: skip
        return _token(self._connection.post("/v1/tokens", body))

    def rotate(
        self,
        token_id: str,
        *,
        overlap: timedelta = OVERLAP,
        life: timedelta | None = LIFE,
        actor: str | None = None,
        reason: str | None = None,
    ) -> TokenInfo:
        """Create a token of the same name, roles and scopes; the old one is valid for `overlap`."""
        body = {
            "overlap_hours": overlap / timedelta(hours=1), "days": _days(life), "reason": reason
        }  # fmt: skip
        return _token(self._connection.post(f"{token_path(token_id)}/rotate", body))

    def revoke(
        self, token_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> TokenInfo:
        """End a token for the whole fleet, within a second."""
        path = f"{token_path(token_id)}/revoke"
        return _token(self._connection.post(path, {"reason": reason}, may_repeat=True))


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
                each["mode"], each["priority"], moment(each["next_at"]),
                [status_of(job) for job in each["jobs"]],
            )
            for each in self._connection.get("/v1/schedules")["schedules"]
        ]  # fmt: skip

    def run(self, name: str) -> Sequence[Job]:
        """Enqueue a schedule's syncs, due or not."""
        accepted = self._connection.post(f"{schedule_path(name)}/run")
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


@dataclass(frozen=True)
class RetentionCount:
    """What one rule has deleted, or would. `finished` is False if time ran out first."""

    rule: str
    setting: str
    before: datetime | None
    rows: Mapping[str, int]
    finished: bool


class HttpRetention:
    """`gateway.privacy.retention` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def preview(self) -> Sequence[RetentionCount]:
        """Return what each rule would delete now."""
        return value_of(list[RetentionCount], self._connection.get("/v1/retention")["rules"])

    def run(self, *, actor: str | None = None, seconds: float = 20.0) -> Sequence[RetentionCount]:
        """Delete what is past its retention, for at most some seconds for each rule."""
        reply = self._connection.send(
            "POST", "/v1/retention/run", body={"seconds": seconds}, silence=10 * seconds
        )
        return value_of(list[RetentionCount], reply.json["rules"])


class HttpPrivacy:
    """`gateway.privacy` over HTTP: retention, and how erased persons come back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.retention = HttpRetention(connection)

    def lift(
        self,
        provider: str,
        sourced_id: str,
        *,
        reason: str,
        actor: str | None = None,
        resource: str | None = None,
    ) -> bool:
        """Let later syncs bring an erased person back; return whether they were left out."""
        body = {**_person(provider, sourced_id), "reason": reason, "resource": resource}
        return bool(self._connection.post("/v1/persons/lift", body)["lifted"])

    def pseudonyms(self, provider: str, sourced_id: str) -> Sequence[str]:
        """Return a person's pseudonyms in the audit log, as a student and as a teacher."""
        body = _person(provider, sourced_id)
        found: list[str] = self._connection.post(
            "/v1/persons/pseudonyms", body, may_repeat=True
        )["pseudonyms"]  # fmt: skip
        return found


def _person(provider: str, sourced_id: str) -> dict[str, Any]:
    return {"provider": provider, "sourced_id": sourced_id}


class HttpAudit:
    """`gateway.audit` over HTTP: reading the log. Events are without their MACs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tail(self, wanted: AuditFilter | None = None, *, limit: int = 50) -> Sequence[AuditEvent]:
        """Return the newest matching events, newest first."""
        query = {**_filter(wanted or AuditFilter()), "limit": limit}
        return [_event(each) for each in self._connection.get("/v1/audit/events", query)["events"]]

    def disclosures(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[PersonDisclosure]:
        """Return who read a person's records or responses with their data, oldest first."""
        body = {
            **_person(provider, sourced_id), "resource": resource,
            "since": _text("since", since), "until": _text("until", until),
        }  # fmt: skip
        found = self._connection.post("/v1/persons/disclosures", body, may_repeat=True)
        return value_of(list[PersonDisclosure], found["disclosures"])

    def search(self, wanted: AuditFilter) -> Iterator[AuditEvent]:
        """Stream the matching events, oldest first."""
        lines = self._connection.lines("/v1/audit/search", _filter(wanted))
        return (_event(json.loads(line)) for line in lines)


def _text(name: str, at: datetime | None) -> str | None:
    at = aware(name, at)
    return at.isoformat() if at is not None else None


def _filter(wanted: AuditFilter) -> dict[str, Any]:
    values = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    subjects = values.pop("subjects")
    if len(subjects) > 1:
        raise UsageError("Over HTTP, events are searched for one subject at a time.")
    times = {
        name: at.isoformat() for name, at in values.items() if isinstance(at, datetime)
    }  # fmt: skip
    return {**values, **times, "subject": subjects[0] if subjects else None}


def _event(document: Mapping[str, Any]) -> AuditEvent:
    writer, _, number = document["event"].partition("/")
    detail = document["detail"]
    return AuditEvent(
        writer=int(writer), number=int(number), at=moment(document["at"]),
        actor=document["actor"], action=document["action"], subject=document["subject"],
        reason=document["reason"], provider=document["provider"], job_id=document["job"],
        request_id=document["request"], detail_text=json.dumps(detail) if detail else None,
    )  # fmt: skip


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
