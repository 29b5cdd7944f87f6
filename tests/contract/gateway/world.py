"""What the suite needs of each gateway: an installation, a provider, and a worker when asked."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate import Gateway
from sisgate.client import HttpGateway

NAME = "lincoln"
LIMITED = "madison"

STUDENTS = [
    {
        "sourcedId": f"s{number}", "status": "active", "dateLastModified": "2026-09-01T00:00:00Z",
        "givenName": "Ada", "familyName": f"L{number}", "enabledUser": "true", "role": "student",
        "username": f"s{number}", "orgs": [],
    }
    for number in range(3)
]  # fmt: skip


@dataclass(frozen=True)
class World:
    """A gateway of one kind over an installation with two providers.

    `gateway` is the one under test, `admin` one that may do everything, `fleet` always in the
    process: what workers do by it. `answers` sets what the
    provider answers by path; other paths are 404. While `working`, jobs are worked off; otherwise
    they wait. `now` is the time of the installation.
    """

    gateway: Gateway | HttpGateway
    admin: Gateway | HttpGateway
    fleet: Gateway
    answers: Callable[[Mapping[str, Any]], None]
    asked: Callable[[], list[tuple[str, str]]]
    working: Callable[[], AbstractContextManager[object]]
    now: Callable[[], datetime]
