"""A whole installation with something on every page of the console, and one with nothing.

It has long names, an outage, a held sync, failing webhooks, alerts, error patterns and messages in
quarantine; nobody works on it any more, so that its pages do not change while they are looked at.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests

from sisgate.clock import SystemClock
from sisgate.console.rooms import ConsoleRoute
from sisgate.errors import SisgateError
from sisgate.monitoring.counting import count_next
from sisgate.quarantine import Quarantine
from sisgate.testing import GatewayDouble
from sisgate.webhooks.delivery import Deliveries
from sisgate.webhooks.news import hand_out
from testbed.heartbeats import be_heard
from testbed.web_service import WebService

LONG = "washington-county-unified-school-district-north"
"""As long as names of providers get."""

STUDENTS = "/ims/oneroster/rostering/v1p2/students"

CONFIGURATION: dict[str, Any] = {
    "providers": {
        "lincoln": {"kind": "oneroster", "limit": "2000/h", "pool": "north"},
        "roosevelt": {"kind": "powerschool", "limit": "1000/h", "pool": "north"},
        LONG: {"kind": "infinite_campus", "limit": "500/h", "pool": "a-pool-with-a-long-name"},
        "jefferson": {"kind": "skyward", "limit": "2000/h"},
    },
    "schedules": {
        "nightly": {"provider": "lincoln", "cron": "30 2 * * 1-5", "resources": ["students"]},
        "every-quarter-of-an-hour": {"where": {"pool": "north"}, "every": "15m"},
    },
    "webhooks": {"give_up_after": "2m"},
    "objectives": {"availability": 0.999, "latency_p95": "2s"},
    "alerts": {"channels": {"ops": {"url_env": "OPS_CHAT_URL"}}},
}
for _name, _it in CONFIGURATION["providers"].items():
    _it["auth"] = "none"
    _it["endpoints"] = [{"url": f"https://{_name}.example"}, {"url": f"https://{_name}-2.example"}]


ACTS = {
    "/jobs/{job_id}/{act}": ("cancel", "retry", "resolve"),
    "/jobs/bulk/{action}": ("retry", "cancel"),
    "/errors/{pattern}/{act}": ("resolve", "reopen"),
    "/quarantine/{message}/{act}": ("requeue", "drop"),
    "/webhooks/{webhook}/{act}": ("pause", "resume", "redeliver"),
}
"""What is done on pages whose last part says it."""

ASKED = {"/search": "q=lincoln", "/jobs/bulk/{action}": "q=state:cancelled"}
"""What a page is asked for, beside its place."""


@dataclass
class Showroom:
    """A served installation. `places` name something for each part of a route's path."""

    service: WebService
    double: GatewayDouble
    places: dict[str, str] = field(default_factory=dict)

    def catch_up(self) -> None:
        """Move its time on to that of whoever looks at it."""
        self.double.clock.move((SystemClock().now() - self.double.clock.now()).total_seconds())

    def addresses(self) -> Iterator[str]:
        """Yield the address of each page that the application has; of an empty one, of lists."""
        routes: list[ConsoleRoute] = self.service.app.state.console.routes
        for route in routes:
            if route.method != "GET" or ("{" in route.path and not self.places):
                continue
            query = f"?{ASKED[route.path]}" if route.path in ASKED else ""
            for act in ACTS.get(route.path, ("",)):
                places = self.places | {"act": act, "action": act}
                if route.path.startswith("/held/"):
                    places["job_id"] = places["held"]
                yield route.path.format(**places) + query


@contextmanager
def showroom(*, rich: bool) -> Iterator[Showroom]:
    """Serve an installation on a real port, for visitors without a token."""
    configuration = CONFIGURATION if rich else {"providers": {}}
    start = SystemClock().now() - timedelta(hours=2)
    with GatewayDouble(configuration, app="gradebook", start=start) as double:
        places = _furnished(double) if rich else {}
        be_heard(double.admin)
        with WebService(double.admin) as service:
            yield Showroom(service, double, places)


def _furnished(double: GatewayDouble) -> dict[str, str]:
    """Do what an installation does in two hours; return what is found where."""
    admin = double.admin
    configuration = admin.configuration
    configuration.apply(CONFIGURATION, actor="ana", reason="the first one")
    plan = configuration.plan_edit("roosevelt", {"limit": "900/h"})
    configuration.apply(plan, actor="ana", reason="their letter of 3 November")
    hook = admin.webhooks.add(
        "https://gradebook.example/hooks/sisgate/of-a-long-path-that-says-little",
        ["job.ended", "sync.held"], app="gradebook", note="the portal of the parents",
    ).id  # fmt: skip
    admin.webhooks.add(None, ["job.ended"], app="attendance-and-transport-planning")
    for name in ("lincoln", "roosevelt", LONG):
        for dataset in ("students", "orgs", "classes"):
            with suppress(SisgateError):
                double.finish(admin.sync(name, dataset, mode="full", app="nightly-roster-export"))
    held = _held(double)
    answered = double.finish(admin.enqueue_request("lincoln", "GET", STUDENTS)).id
    double.answer("roosevelt", "/*", method="POST", error=requests.ReadTimeout("no answer"))
    grade = admin.enqueue_request("roosevelt", "POST", "/ws/v1/grades", json={"grade": "A"})
    double.move(1)
    _outage(double)
    waiting = [admin.sync("jefferson", each, priority="high").id for each in ("students", "orgs")]
    admin.jobs.cancel(admin.sync("jefferson", "classes").id, reason="asked for twice")
    _webhooks_fail(double)
    double.clock.move((SystemClock().now() - double.clock.now()).total_seconds() - 90)
    for name in ("lincoln", "roosevelt"):
        double.finish(admin.sync(name, "teachers", mode="full", app="nightly-roster-export"))
    alert = _alerts(double)
    silence = admin.alerts.silence(
        double.clock.now() + timedelta(days=1), rule="missed-sync", provider=LONG, actor="ana",
        reason="they import the timetable of the whole year until tomorrow morning",
    ).id  # fmt: skip
    message = Quarantine(double.admin.context.redis).put(
        b'{"task": "sisgate.call", "of": "another version"}',
        "a message of another version",
        "lincoln",
    )
    token = admin.tokens.add("an-operator-of-the-county-office", ["operator"], scopes=["lincoln"])
    pattern = admin.errors.list(states=["open", "resolved"])[0].id
    list(admin.records("lincoln", "orgs", purpose="the attendance letters"))
    return {
        "provider": "lincoln", "resource": "students", "job_id": waiting[0], "held": held,
        "answered": answered, "unknown": grade.id, "alert": alert, "silence": silence,
        "message": message, "token": token.id, "pattern": pattern, "webhook": hook,
        "dead": str(admin.webhooks.deliveries(hook, state="dead")[0].event.number),
        "schedule": "nightly", "number": "1", "call": "1",
    }  # fmt: skip


def _held(double: GatewayDouble) -> str:
    """A sync that would delete most of a dataset."""
    reply = double.providers.answered(
        requests.Request("GET", f"https://lincoln.example{STUDENTS}?limit=1000").prepare()
    )
    body = json.loads(reply.body)
    (name,) = body
    few, headers = {name: body[name][:4]}, {"x-total-count": "4"}
    double.answer("lincoln", STUDENTS, json=few, headers=headers)
    status = double.finish(double.admin.sync("lincoln", "students", mode="full"))
    assert status.state == "held", status
    return status.id


def _outage(double: GatewayDouble) -> None:
    """One provider answers with errors until its breakers open, another refuses a dataset."""
    double.answer("jefferson", "/*", status=503, json={"message": "maintenance"})
    double.answer(LONG, "/*", status=404, json={"message": "no such resource"})
    with suppress(SisgateError):
        double.finish(double.admin.sync(LONG, "students", mode="full"))
    double.admin.sync("jefferson", "terms")
    double.move(60)
    double.admin.audit.seal()
    while count_next(double.admin.context.database):
        pass


def _webhooks_fail(double: GatewayDouble) -> None:
    context = double.admin.context
    hand_out(context.database, double.clock)
    gone = Deliveries(context.database, lambda: context.vault, double.clock, resolve=lambda *_: [])
    for _ in range(4):
        gone.deliver_one(context.configuration.current().webhooks)
        double.clock.move(60)


def _alerts(double: GatewayDouble) -> str:
    """Let the rules fire; one alert is looked after."""
    admin = double.admin
    for _ in range(3):
        admin.alerts.evaluate()
        double.clock.move(30)
    firing = admin.alerts.list(states=["firing"])
    admin.alerts.ack(firing[-1].id, actor="ana", note="the district knows; back by noon")
    return firing[0].id
