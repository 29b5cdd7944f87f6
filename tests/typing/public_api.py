"""What a type checker tells an app that uses sisgate: `make lint` checks it, nothing runs it.

An ignored error is a promise as well: if the misuse stopped being an error, mypy would report the
ignore.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type

import sisgate
from sisgate import Answer, Gateway, Job, JobStatus, Plan, SisgateError
from sisgate.client import HttpGateway
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.domain.stored_records import StoredChange, StoredRecord


def opening() -> None:
    """A gateway comes from the environment or a file."""
    assert_type(Gateway.from_env(app="gradebook"), Gateway)
    assert_type(Gateway.from_env(Path("sisgate.toml"), token="…"), Gateway)
    Gateway.from_env(config="sisgate.toml")  # type: ignore[arg-type]


def over_http() -> None:
    """The gateway over HTTP gives the same types."""
    with HttpGateway.from_env() as gateway:
        assert_type(gateway, HttpGateway)
        assert_type(gateway.sync("powerschool", "students"), Job)
        assert_type(gateway.request("powerschool", "GET", "/x"), Answer)
        assert_type(gateway.jobs.status("…"), JobStatus)
        assert_type(gateway.plan("powerschool", "students"), Plan)
        assert_type(gateway.records("powerschool", "students"), Iterator[StoredRecord])
        gateway.sync("powerschool")  # type: ignore[call-arg]
    HttpGateway("https://sisgate.example.org", 5)  # type: ignore[arg-type]


def syncing(gateway: Gateway) -> None:
    """A sync is a job, whose status has typed fields."""
    job = gateway.sync(
        "powerschool", "students", priority="high", expires_at=datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert_type(job, Job)
    assert_type(job.id, str)
    status = job.wait(timeout=600)
    assert_type(status, JobStatus)
    assert_type(status.state, JobState)
    assert_type(status.priority, Priority)
    assert_type(status.inserted, int)
    assert_type(status.ended_at, datetime | None)
    assert_type(status.error, Mapping[str, Any] | None)
    assert_type(job.cancel(), JobStatus)
    assert_type(gateway.job(job.id).status(), JobStatus)
    assert_type(gateway.plan("powerschool", "students"), Plan)

    gateway.sync("powerschool")  # type: ignore[call-arg]
    gateway.sync("powerschool", "students", Priority.HIGH)  # type: ignore[call-arg]
    gateway.sync("powerschool", "students", priority=3)  # type: ignore[arg-type]
    status.inserted = 0  # type: ignore[misc]


def reading(gateway: Gateway) -> None:
    """Records and changes come one by one, for as many as there are."""
    assert_type(gateway.records("powerschool", "students"), Iterator[StoredRecord])
    for change in gateway.changes("powerschool", "students", since=41):
        assert_type(change, StoredChange)
        assert_type(change.sequence, int)
        assert_type(change.sourced_id, str)
    gateway.changes("powerschool", "students", since="41")  # type: ignore[arg-type]


def requesting(gateway: Gateway) -> None:
    """A request gives an answer: status, headers and bytes."""
    answer = gateway.request("powerschool", "GET", "/ws/v1/district", query={"q": "x"}, timeout=2)
    assert_type(answer, Answer)
    assert_type(answer.status, int)
    assert_type(answer.ok, bool)
    assert_type(answer.body, bytes)
    assert_type(answer.headers, Mapping[str, str])
    gateway.request("powerschool", "/ws/v1/district")  # type: ignore[call-arg]


def failing(gateway: Gateway) -> None:
    """Each error has a code; a name that is not there is an error of the type checker."""
    try:
        gateway.sync("powerschool", "students")
    except SisgateError as error:
        assert_type(error.code, str)
    sisgate.Gatewy  # type: ignore[attr-defined]  # noqa: B018
