"""How late scheduled syncs are, counted once, whoever looks and whatever is killed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.monitoring.counting import count_next
from sisgate.testing import GatewayDouble
from tests.contract.ledger.rows import at_once
from tests.integration.control.test_metrics import of, samples

START = datetime(2026, 9, 1, 7, tzinfo=UTC)
LEASE = timedelta(seconds=90)
NAME = "powerschool"


class Killed(Exception):
    """The worker is killed while the provider answers."""


@pytest.fixture
def double() -> Iterator[GatewayDouble]:
    """A fleet with one schedule, whose slot is two minutes away."""
    provider = {"kind": NAME, "endpoints": [{"url": "https://ps.test"}]}
    schedule = {"provider": NAME, "resources": ["students"], "cron": "2 7 * * *"}
    configuration = {"providers": {NAME: provider}, "schedules": {"morning": schedule}}
    with GatewayDouble(configuration, start=START) as double:
        yield double


def seconds(gateway: Gateway, step: str) -> tuple[float, float]:
    """How often a step was counted, and for how many seconds in all."""
    gateway.audit.seal()
    while count_next(gateway.context.database):
        pass
    found, name = samples(gateway), "sisgate_schedule_delay_seconds"
    return (
        found.get((f"{name}_count", of(NAME, step)), 0),
        found.get((f"{name}_sum", of(NAME, step)), 0),
    )


def is_once(counted: tuple[float, float], late: float) -> bool:
    """Whether a step was counted once, and so late; the clock of the test moves with each call."""
    return counted[0] == 1 and abs(counted[1] - late) < 2


def test_a_slot_is_as_late_as_its_sync_was_accepted_however_many_beats_ask(
    double: GatewayDouble,
) -> None:
    """It is told before anything of it has begun."""
    with double.stopped_workers():
        double.move(160)
        at_once(*[lambda: double.admin.schedules.run_due()] * 5)
        assert is_once(seconds(double.admin, "accepted"), 40)
        assert seconds(double.admin, "begun") == (0, 0)


def test_its_first_call_begins_once_though_its_worker_is_lost(double: GatewayDouble) -> None:
    """The next worker tells of the lost one's begin; its own calls are not the first."""
    double.answer(NAME, "*", error=Killed(), times=1)
    with double.stopped_workers():
        double.move(160)
        (job,) = double.admin.schedules.run_due()
        double.move(20)
    with pytest.raises(Killed):
        double.work()
    assert seconds(double.admin, "begun") == (0, 0)
    lost_at = double.clock.now()
    double.finish(job)
    assert job.status().calls_made > 1
    assert double.clock.now() - lost_at > LEASE
    assert is_once(seconds(double.admin, "begun"), 60)
    assert is_once(seconds(double.admin, "accepted"), 40)


def test_what_nobody_scheduled_is_not_late(double: GatewayDouble) -> None:
    """By hand or by an app."""
    double.finish(double.gateway.sync(NAME, "students"))
    double.finish(double.admin.schedules.run("morning")[0])
    assert seconds(double.admin, "accepted") == seconds(double.admin, "begun") == (0, 0)
