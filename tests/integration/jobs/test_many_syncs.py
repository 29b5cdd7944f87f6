"""Syncs of many providers at once: by hand, and by schedules that spread their starts."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from sisgate import Gateway
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.recurrence import offset_in
from sisgate.errors import UnknownProvider, UnknownResource, UsageError
from sisgate.gateway import SyncResult, bulk
from testbed.clock import ManualClock
from testbed.installation import install

NIGHT = datetime(2026, 9, 2, 2, tzinfo=UTC)
WINDOW = timedelta(minutes=30)
NORTH = [f"north-{number}" for number in range(12)]
PROVIDERS = [*NORTH, "south", "tiny"]

_PROVIDER = """
[providers.{name}]
kind = "{kind}"
auth = "none"
token_url = "https://sis.test/token"
{more}
[[providers.{name}.endpoints]]
url = "https://{name}.test"
"""
CONFIG = (
    "".join(_PROVIDER.format(name=name, kind="oneroster", more='pool = "north"') for name in NORTH)
    + _PROVIDER.format(name="south", kind="oneroster", more="")
    + _PROVIDER.format(name="tiny", kind="powerschool", more="max_waiting_jobs = 1")
    + """
[schedules.nightly]
where = { pool = "north" }
resources = ["orgs", "students"]
cron = "0 2 * * *"
window = "30m"

[schedules.everything]
provider = "*"
resources = ["orgs"]
every = "P1D"
catch_up = "1m"
"""
)


@pytest.fixture
def clock() -> ManualClock:
    """Just before two o'clock."""
    return ManualClock(NIGHT - timedelta(minutes=1))


@pytest.fixture
def gateway(
    tmp_path: Path, redis_url: str, ledger_url: str, clock: ManualClock
) -> Iterator[Gateway]:
    """Fourteen providers, twelve of them in one pool."""
    settings = install(tmp_path, CONFIG, redis_url=redis_url, database_url=ledger_url)
    gateway = Gateway(settings, clock=clock)
    yield gateway
    gateway.close()


@pytest.fixture
def run(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command beside the gateway; return its exit code and all that it said."""
    monkeypatch.setattr(Invocation, "gateway", gateway)
    monkeypatch.setattr(Invocation, "settings", gateway.settings)

    def said(*words: str) -> tuple[int, str]:
        code = execute([*words])
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    return said


def started(gateway: Gateway) -> list[str]:
    """Look once; return the providers of the new jobs."""
    return [job.status().provider for job in gateway.schedules.run_due()]


def outcome(result: SyncResult) -> str:
    """Return what became of a dataset, in a word."""
    if result.job is None:
        return "refused"
    return "new" if result.job.is_new else "known"


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ({}, PROVIDERS),
        ({"pool": "north"}, NORTH),
        ({"kind": "powerschool"}, ["tiny"]),
        ({"name": "north-1*"}, ["north-1", "north-10", "north-11"]),
        ({"pool": "north", "name": "*-3"}, ["north-3"]),
    ],
)
def test_providers_are_chosen_by_pool_kind_and_name(
    gateway: Gateway, where: dict[str, str], chosen: list[str]
) -> None:
    """All conditions hold; without any, all providers are meant."""
    results = gateway.sync_many(where, ["orgs"])
    assert sorted(each.provider for each in results) == sorted(chosen)
    assert all(each.job and each.job.status().state == "accepted" for each in results)


def test_what_is_refused_keeps_nothing_else_from_being_accepted(gateway: Gateway) -> None:
    """Each dataset says what became of it; again with the same key, nothing is new."""
    seen: list[tuple[int, int]] = []

    def once() -> Counter[tuple[str, str]]:
        results = gateway.sync_many(
            {}, ["orgs", "students"], idempotency_key="k", progress=lambda *at: seen.append(at)
        )
        return Counter((each.provider, outcome(each)) for each in results)

    first = once()
    assert first["tiny", "new"] == first["tiny", "refused"] == 1
    assert all(first[name, "new"] == 2 for name in [*NORTH, "south"])
    assert seen == [(28, 28)]
    assert len(gateway.jobs.list(limit=100)) == 27
    again = once()
    assert again["tiny", "known"] == again["tiny", "refused"] == 1
    assert len(gateway.jobs.list(limit=100)) == 27


def test_many_are_accepted_in_few_statements(gateway: Gateway) -> None:
    """One transaction for hundreds, as with `enqueue`."""
    gateway.sync_many({}, ["orgs"])
    commits: list[object] = []
    event.listen(gateway.context.database.engine, "commit", commits.append)
    gateway.sync_many({"pool": "north"})
    assert len(commits) <= 3
    roster = len(gateway.datasets.roster("south"))
    assert len(gateway.jobs.list(limit=500)) == 14 + 12 * roster


def test_nothing_chosen_is_a_mistake(gateway: Gateway) -> None:
    """A pool or a dataset that nobody has, a condition that there is not."""
    with pytest.raises(UnknownProvider, match="No provider is chosen by pool=nroth"):
        gateway.sync_many({"pool": "nroth"})
    with pytest.raises(UnknownResource, match="Did you mean 'students'"):
        gateway.sync_many({}, ["studnts"])
    with pytest.raises(UsageError, match="by pool, kind, name, not by 'pol'"):
        gateway.sync_many({"pol": "north"})


def test_a_schedule_starts_each_provider_at_its_own_time(
    gateway: Gateway, clock: ManualClock
) -> None:
    """Within the window, once, and as the list said before; whoever is late is caught up with."""
    (_, nightly) = gateway.schedules.list()
    assert nightly.starts == {name: NIGHT + offset_in(WINDOW, "nightly", name) for name in NORTH}
    assert nightly.next_at == min(nightly.starts.values())
    assert started(gateway) == []
    seen: Counter[str] = Counter()
    while clock.now() < NIGHT + WINDOW:
        clock.advance(10)
        new = started(gateway)
        seen.update(new)
        for name in new:
            assert timedelta(0) <= clock.now() - nightly.starts[name] < timedelta(seconds=10)
    assert seen == Counter(dict.fromkeys(NORTH, 2))


def test_a_schedule_is_looked_at_by_several_processes(gateway: Gateway, clock: ManualClock) -> None:
    """What one has enqueued, another knows by the ledger, and then by heart."""
    other = Gateway(gateway.settings, clock=clock)
    clock.advance(60 + WINDOW.total_seconds())
    assert len(started(gateway)) == 24
    assert started(other) == []
    assert started(other) == []
    other.close()


def test_a_schedule_of_all_serves_those_that_come_and_waits_for_one_that_is_full(
    gateway: Gateway, clock: ManualClock
) -> None:
    """Refused is tried again in the next pass; the others are not asked for twice."""
    gateway.sync("tiny", "students")
    clock.advance((datetime(2026, 9, 3, tzinfo=UTC) - clock.now()).total_seconds())
    refused: list[tuple[str, str]] = []

    def pass_once() -> list[str]:
        found = gateway.schedules.run_due(lambda *what: refused.append((what[1], what[3].code)))
        return sorted(job.status().provider for job in found)

    assert pass_once() == sorted([*NORTH, "south"])
    clock.advance(10)
    assert pass_once() == []
    assert refused == [("tiny", "backlog_full")] * 2
    for job in gateway.jobs.list(provider="tiny"):
        gateway.jobs.cancel(job.id)
    clock.advance(10)
    assert pass_once() == ["tiny"]


def test_sync_of_many_says_what_was_accepted_and_refused(
    gateway: Gateway, run: Callable[..., tuple[int, str]]
) -> None:
    """As a table, as JSON, and with what is wrong on the command line."""
    code, words = run("sync", "--all", "orgs", "students")
    assert code == 1
    assert "tiny 1 0 1" in words
    assert "north-3 2 0 0" in words
    assert "tiny: 1 jobs of tiny are already waiting" in words
    assert "The jobs of 14 of 14 providers wait" in words
    assert "No worker serves north-0. Start one" in words
    code, words = run("sync", "--where", "pool=north", "--where", "name=*-3", "classes", "--json")
    assert code == 0
    assert '"provider": "north-3", "resource": "classes", "job": "' in words
    assert run("sync") == (2, "error: Name a provider, or choose several with --all or --where.")
    code, words = run("sync", "--where", "north")
    assert (code, "--where is written like pool=north" in words) == (2, True)


def test_schedules_show_when_each_provider_starts(
    gateway: Gateway, run: Callable[..., tuple[int, str]]
) -> None:
    """The list has the first of them."""
    first = min(NORTH, key=lambda name: offset_in(WINDOW, "nightly", name))
    _, listed = run("schedules", "list")
    assert "pool=north (12): orgs, students" in listed
    assert "at 02:00 every day in UTC, within 30 min (0 2 * * *)" in listed
    assert "all (14): orgs" in listed
    code, shown = run("schedules", "show", "nightly")
    assert code == 0
    assert shown.index(first) < min(shown.index(f"{name} ") for name in NORTH if name != first)


def test_a_provider_that_is_removed_meanwhile_is_refused_by_itself(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those accepted before are told, and those after it accepted."""
    monkeypatch.setattr(bulk, "CHUNK", 3)
    file = gateway.settings.config_file
    assert file is not None
    gateway.configuration.apply(file, actor="ana")

    def remove(done: int, _total: int) -> None:
        if done == 3:
            removal = gateway.configuration.plan_removal("north-10")
            gateway.configuration.apply(removal, actor="ana")

    results = gateway.sync_many({"pool": "north"}, ["orgs", "students"], progress=remove)
    refused = {(each.provider, type(each.error)) for each in results if each.error is not None}
    assert refused == {("north-10", UnknownProvider)}
    assert sum(each.job is not None for each in results) == 22
    assert [each.provider for each in results[:2]] == ["north-0", "north-0"]
