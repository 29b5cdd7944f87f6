"""Service levels of a real ledger: by gateway, command line and HTTP alike."""

import json
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.access.policy import Principal, Role, Scope
from sisgate.audit.log import record
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.call_results import CALL_OUTCOME, CallResult
from sisgate.domain.service_levels import ReadTimes
from sisgate.errors import AccessDenied, UnknownProvider, UsageError
from sisgate.gateway.dataset_reads import LATE, DatasetReads
from sisgate.ledger import datasets
from sisgate.ledger.schema import BreakerChange, Job
from sisgate.monitoring.sla import ServiceLevel
from workers.maintenance.rollups import count
from workers.runtime import Runtime


def now() -> datetime:
    """Return the time, which has gone on since this file was imported."""
    return datetime.now(UTC)


A = "https://lincoln.test"
OBJECTIVES = """
[providers.lincoln.objectives]
availability = 0.99
latency_p95 = "1s"
freshness = "24h"
datasets = { students = { freshness = "4h", availability = 0.9 } }
"""


def ended(gateway: Gateway, hours: float, seconds: float = 0.1, **facts: Any) -> None:
    """A call to lincoln ended so many hours ago."""
    with gateway.context.database.write() as session:
        record(
            session, now() - timedelta(hours=hours), actor="worker", action=CALL_OUTCOME,
            subject="call/1", provider="lincoln", endpoint=A, priority=6,
            **{"outcome": "done", "status": 200, "resource": "students",
               "ms": {"provider": 1000 * seconds, "queue": 5000.0}, **facts},
        )  # fmt: skip


def synced(gateway: Gateway, hours: float) -> None:
    """The students of lincoln were read so many hours ago."""
    job = gateway.sync("lincoln", "students", idempotency_key=str(hours))
    with gateway.context.database.write() as session:
        row = session.get_one(Job, job.id)
        row.state, row.ended_at, row.complete = "done", now() - timedelta(hours=hours), True


@pytest.fixture
def served(gateway: Gateway, runtime: Runtime) -> Gateway:
    """Twenty calls today and eighty within the month; a hundred and twenty all in all."""
    for number in range(20):
        ended(gateway, 0.5, 0.1 if number else 4.0)
    for number in range(100):
        ended(gateway, 30 + 5 * number, status=503 if number < 3 else 200)
    ended(gateway, 0.5, status=429, outcome="waits")
    synced(gateway, 12)
    synced(gateway, 2)
    count(runtime)
    return gateway


def measured(level: ServiceLevel) -> dict[tuple[str, str | None], Any]:
    """The measurements by kind and dataset."""
    return {(each.kind.value, each.resource): each for each in level.measurements}


@pytest.fixture
def agreed(served: Gateway) -> Gateway:
    """With objectives."""
    assert served.settings.config_file is not None
    file = served.settings.config_file.read_text("utf-8") + OBJECTIVES
    served.configuration.apply(tomllib.loads(file), actor="ana")
    return served


def test_a_provider_is_measured_within_each_window(agreed: Gateway) -> None:
    """Provider and queue apart; what says nothing about the provider does not count."""
    windows = agreed.sla.of("lincoln").windows
    assert [level.calls for level in windows.values()] == [20, 20, 120]
    assert windows["1h"].results == {CallResult.OK: 20, CallResult.THROTTLED: 1}
    assert windows["1h"].provider.quantile(0.5) == pytest.approx(100, rel=0.03)
    assert windows["1h"].queue.quantile(0.5) == pytest.approx(5000, rel=0.03)
    month = measured(windows["30d"])
    availability = month["availability", None]
    assert (availability.total, availability.bad, availability.is_met) == (120, 3, False)
    # Its calls of 22 of 30 days were counted.
    assert availability.known_share == pytest.approx(22 / 30, abs=0.04)
    assert availability.burn_rate == pytest.approx(2.5 * availability.known_share, rel=1e-4)
    assert availability.budget_left == pytest.approx(1 - availability.burn_rate)
    assert month["availability", "students"].is_met
    assert month["latency_p95", None].bad == 1


def test_data_are_stale_for_as_long_as_nobody_read_them(agreed: Gateway) -> None:
    """Read 12 and 2 hours ago, good for 4: stale from 8 to 2 hours ago."""
    freshness = measured(agreed.sla.of("lincoln").windows["24h"])["freshness", "students"]
    assert freshness.bound_seconds == 4 * 3600
    assert freshness.bad == pytest.approx(6 * 3600, abs=60)
    assert freshness.total == pytest.approx(12 * 3600, abs=60)
    assert freshness.is_met is False


def test_what_is_read_in_time_is_never_stale(agreed: Gateway) -> None:
    """However often: since it was read 12 hours ago, every 3 hours."""
    for ago in (5, 8, 11):
        synced(agreed, ago)
    freshness = measured(agreed.sla.of("lincoln").windows["24h"])["freshness", "students"]
    assert (freshness.bad, freshness.is_met) == (0, True)
    assert freshness.total == pytest.approx(12 * 3600, abs=60)


def test_reads_that_are_followed_are_those_that_are_looked_up(agreed: Gateway) -> None:
    """Whenever it was looked: in the middle of a pause, and of what is read in time."""
    at, apart = now(), timedelta(hours=2)
    for ago in (11, 9.5, 6, 3, 1):
        synced(agreed, ago)
    followed = DatasetReads(apart)
    with agreed.context.database.read() as session:
        seen: dict[tuple[str, str], ReadTimes] = {}
        for ago in (11.5, 10, 7, 2.5, 2.4, 0):
            seen = followed.before(session, at - timedelta(hours=ago))
            asked = at - timedelta(hours=ago) - LATE
            assert seen == datasets.read_times(session, asked, apart)
    assert len(seen["lincoln", "students"].pauses) == 2


def test_an_outage_counts_by_its_time(agreed: Gateway) -> None:
    """A third of an hour, which calls alone would not show; not what was set by hand."""
    with agreed.context.database.write() as session:
        for number, (minutes, state, reason) in enumerate(
            [(50, "open", "failures"), (40, "half-open", "due"), (30, "closed", "recovered"),
             (20, "open", "pinned"), (10, "closed", "unpinned")]
        ):  # fmt: skip
            at = now() - timedelta(minutes=minutes)
            session.add(
                BreakerChange(provider="lincoln", entry=f"{number}", at=at, endpoint=A,
                              state=state, reason=reason)
            )  # fmt: skip
    level = agreed.sla.of("lincoln").windows["1h"]
    assert level.down_seconds == pytest.approx(1200, abs=1)
    availability = measured(level)["availability", None]
    assert availability.good_share == pytest.approx(2 / 3, abs=0.01)


def test_without_objectives_there_are_numbers_all_the_same(served: Gateway) -> None:
    """And no verdict."""
    found = {each.name: each for each in served.sla.list()}
    assert found["lincoln"].windows["30d"].calls == 120
    assert not found["lincoln"].has_objectives
    assert found["open"].windows["30d"].is_met is None


def test_a_month_is_that_of_utc_and_its_report_has_no_script(agreed: Gateway) -> None:
    """One page, nothing loaded from anywhere."""
    month = f"{now():%Y-%m}"
    report = agreed.sla.month("lincoln", month)
    assert report.level.since == now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert sum(day["good"] + day["bad"] for day in report.as_dict()["days"]) == report.level.calls
    page = agreed.sla.report("lincoln", month)
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="', page)
    assert page.count("<svg") == 3
    with pytest.raises(UsageError, match="2026-10"):
        agreed.sla.month("lincoln", "October")
    with pytest.raises(UsageError, match="not begun"):
        agreed.sla.month("lincoln", "2999-01")
    with pytest.raises(UnknownProvider):
        agreed.sla.month("nobody", month)


def test_the_command_shows_the_same(
    agreed: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    """All providers, one, a month, a file."""
    monkeypatch.setattr(Invocation, "gateway", agreed)
    assert execute(["sla", "lincoln", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = agreed.sla.of("lincoln").windows["30d"]
    assert told["windows"]["30d"]["results"] == found.as_dict()["results"]
    told_of = [(m["objective"], m["resource"]) for m in told["windows"]["30d"]["objectives"]]
    assert told_of == list(measured(found))
    assert execute(["sla"]) == 0
    out = capsys.readouterr().out
    assert "lincoln" in out
    assert "met 3 of 4" in out
    assert execute(["sla", "lincoln"]) == 0
    brief = capsys.readouterr().out
    assert execute(["sla", "lincoln", "--all"]) == 0
    whole = capsys.readouterr().out
    assert [word in brief for word in ("97.5% in 2", "95.24%", "--all")] == [True, False, True]
    assert [word in whole for word in ("97.5% in 2", "95.24%", "--all")] == [True, True, False]
    page = tmp_path / "report.html"
    assert execute(["sla", "lincoln", "--html", str(page)]) == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    capsys.readouterr()
    assert execute(["sla", "--month", "2026-10"]) == 2
    assert "name it" in capsys.readouterr().err


def test_an_app_sees_its_own_providers(agreed: Gateway) -> None:
    """As with all that is looked at."""
    app = agreed.acting_as(Principal("reader", frozenset({Role.APP}), (Scope("open"),)))
    assert [each.name for each in app.sla.list()] == ["open"]
    with pytest.raises(AccessDenied):
        app.sla.of("lincoln")
