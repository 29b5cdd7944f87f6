"""The judgement: who must be alive for a job to go on, and the wording for whoever is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.liveness.heartbeats import ALIVE_SECONDS, Fleet, Heartbeat
from sisgate.liveness.judgement import obstacles_of
from sisgate.liveness.obstacles import PERIODIC_CAUSES, Cause, Obstacle, sentences

WORKER = Heartbeat("w", "worker", "app-1", 1, "w@app-1", "1", queues=("sisgate", "clark"))
BEAT = Heartbeat("b", "beat", "app-1", 2, "beat", "1")
WHOLE = Fleet([WORKER, BEAT], reconciled_seconds=0.5)


def judged(fleet: Fleet, *providers: str, **more: object) -> list[Obstacle]:
    """Return the obstacles, for code of version 1."""
    return obstacles_of(fleet, providers or ("clark",), version="1", **more)  # type: ignore[arg-type]  # passed on


def told(fleet: Fleet, *providers: str) -> list[str]:
    """Return the messages alone."""
    return [one.message for one in judged(fleet, *providers)]


def test_a_whole_fleet_has_no_obstacle() -> None:
    """A worker of the planner and the provider, beat, and a reconcile."""
    assert judged(WHOLE) == []


def test_what_is_missing_is_named_and_what_was_seen_is_dated() -> None:
    """The planner is a worker of its queue; beat is none."""
    assert told(Fleet()) == [
        "no worker serves clark",
        "the planner is not running",
        "beat is not running",
    ]
    silent = [replace(one, age_seconds=40.0) for one in (WORKER, BEAT)]
    assert told(Fleet(silent, 41.0)) == [
        "no worker serves clark; the last one has not been seen for 40 s",
        "the planner has not been seen for 40 s",
        "beat has not been seen for 40 s",
    ]


def blocks(found: Obstacle, provider: str) -> bool:
    """Whether an obstacle blocks a provider's jobs."""
    return found.stops and found.provider in {None, provider}


def test_a_provider_without_a_worker_stops_its_own_jobs_only() -> None:
    """The others go on."""
    (missing,) = judged(WHOLE, "clark", "lincoln")
    assert missing.message == "no worker serves lincoln"
    assert blocks(missing, "lincoln")
    assert not blocks(missing, "clark")


def test_no_reconcile_is_told_where_any_worker_runs() -> None:
    """With why the last ones failed; where none is alive, that is why."""
    assert told(replace(WHOLE, reconciled_seconds=40.0)) == ["no reconcile has succeeded for 40 s"]
    failing = replace(WHOLE, reconciled_seconds=None, reconcile_failure="read-only")
    assert told(failing) == ["no reconcile has succeeded yet (read-only)"]
    other = replace(WORKER, queues=("lincoln",))
    assert told(Fleet([other, BEAT], 40.0), "lincoln")[0].startswith("no reconcile has succeeded")
    assert told(Fleet([BEAT], 40.0))[0] == "no worker serves clark"


def test_without_beat_or_planner_jobs_go_on_and_what_stands_still_is_named() -> None:
    """Schedules, rotation and what else only beat triggers."""
    for fleet in (Fleet([WORKER], 0.0), Fleet([replace(WORKER, queues=("clark",)), BEAT], 0.0)):
        (missing,) = judged(fleet)
        assert missing.cause in PERIODIC_CAUSES
        assert not missing.stops
        assert "schedules, key rotation, health checks" in missing.remedy


def test_full_slots_are_told_while_no_worker_has_a_free_one() -> None:
    """One worker that goes on is enough."""
    full = replace(WORKER, full_seconds=65.0)
    (stuck,) = told(Fleet([full, BEAT], 0.0))
    assert stuck.startswith("every slot of the workers that serve clark has been busy with the")
    assert told(Fleet([full, WORKER, BEAT], 0.0)) == []


def test_keys_are_told_that_are_missing_or_that_no_worker_opens() -> None:
    """A worker with one of the master keys is enough."""
    armed = Fleet([replace(WORKER, master_keys=("aa",)), BEAT], 0.0)
    assert judged(armed, sealed_with={"clark": {"aa", "bb"}}) == []
    causes = [
        judged(fleet, sealed_with={"clark": masters})[0].cause
        for fleet, masters in ((armed, {"bb"}), (WHOLE, {"aa"}), (armed, set[str]()), (armed, None))
    ]
    assert causes == [
        Cause.MASTER_KEY_MISSING, Cause.MASTER_KEY_MISSING, Cause.KEY_MISSING, Cause.NOT_SET_UP,
    ]  # fmt: skip


def test_a_worker_without_the_master_key_that_another_has_is_named() -> None:
    """What it takes waits for the other; where none has it, jobs are stopped."""
    lacking = replace(WORKER, name="w1", host="app-2", master_keys=("old",))
    fleet = Fleet([replace(WORKER, master_keys=("new",)), lacking, BEAT], 0.0)
    (found,) = judged(fleet, sealed_with={"clark": {"new"}})
    assert (found.cause, found.stops, found.harms) == (Cause.MASTER_KEY_MISSING, False, True)
    assert found.message.startswith("w1 on app-2 cannot open the key of clark")


def test_a_worker_that_refused_to_start_is_named_and_serves_nothing() -> None:
    """With what it said; for some minutes, as those that restart it do so often."""
    refused = replace(
        WORKER, name="w1", host="app-2", queues=(), refusal="Restore the key.", age_seconds=9.0
    )
    (found,) = judged(Fleet([WORKER, refused, BEAT], 0.0))
    assert (found.cause, found.stops, found.harms) == (Cause.WORKER_REFUSED, False, True)
    assert str(found) == "W1 on app-2 refused to start 9 s ago. Restore the key."
    assert "no worker serves clark" in told(Fleet([refused, BEAT], 0.0))
    assert judged(Fleet([WORKER, replace(refused, age_seconds=3600.0), BEAT], 0.0)) == []


@pytest.mark.parametrize(
    ("offset", "words"),
    [(2.3, "2.3 s ahead of"), (-300.0, "300.0 s behind"), (0.9, None), (None, None)],
)
def test_a_host_with_another_time_is_named_and_stops_nothing(
    offset: float | None, words: str | None
) -> None:
    """Once for each host; a reading too coarse to tell says that Redis is slow."""
    off = [replace(one, clock_offset_seconds=offset) for one in (WORKER, BEAT)]
    found = judged(Fleet(off, 0.0))
    expected = [f"the clock of host app-1 is {words} that of Redis"] if words else []
    assert [one.message for one in found] == expected
    assert not any(one.stops for one in found)
    coarse = [replace(one, clock_error_seconds=400.0) for one in off]
    causes = [one.cause for one in judged(Fleet(coarse, 0.0))]
    assert causes == ([] if offset is None else [Cause.REDIS_SLOW])


def test_a_slow_redis_is_one_that_most_find_slow() -> None:
    """The processes by their last heartbeats, and the caller; one alone may be far away."""
    off = [
        replace(one, clock_offset_seconds=0.0, clock_error_seconds=0.4) for one in (WORKER, BEAT)
    ]
    (slow,) = judged(Fleet(off, 0.0), trip_seconds=0.001)
    assert (slow.message, slow.stops, slow.harms) == (
        "Redis is slow: a round trip takes 0.8 s", False, True,
    )  # fmt: skip
    assert judged(Fleet([off[0], replace(BEAT, clock_offset_seconds=0.0)], 0.0)) == []
    assert [one.cause for one in judged(Fleet([WORKER, BEAT], 0.0), trip_seconds=2.0)] == [
        Cause.REDIS_SLOW
    ]


def test_another_version_is_named_and_stops_nothing() -> None:
    """During an upgrade, or where one host was forgotten."""
    (other,) = judged(Fleet([replace(WORKER, version="2"), BEAT], 0.0))
    assert (other.cause, other.stops) == (Cause.VERSIONS_DIFFER, False)
    assert other.message == "w@app-1 on app-1 runs version 2 of sisgate, and this is 1"


def test_each_is_followed_by_what_helps() -> None:
    """As the error of a job has it."""
    words = sentences(judged(Fleet([WORKER], 0.0), "clark", "lincoln"))
    assert words.startswith("No worker serves lincoln. Start one: ")
    assert "Beat is not running. Jobs go on, but schedules, " in words
    assert words.endswith("Start it: `sisgate celery beat`, or `sisgate up` on one machine.")


AGES = st.floats(0, 200, allow_nan=False)
QUEUES = st.sets(st.sampled_from(["sisgate", "clark", "lincoln"])).map(lambda s: tuple(sorted(s)))
PROCESSES = st.lists(
    st.builds(
        lambda kind, queues, age: replace(
            WORKER, kind=kind, queues=queues if kind == "worker" else (), age_seconds=age
        ),
        st.sampled_from(["worker", "beat"]),
        QUEUES,
        AGES,
    ),
    max_size=6,
)


@given(PROCESSES)
def test_a_job_is_stopped_exactly_while_somebody_it_needs_is_not_alive(
    processes: list[Heartbeat],
) -> None:
    """Whoever else runs, and in whatever order they were heard."""
    alive = [one for one in processes if one.age_seconds <= ALIVE_SECONDS]
    is_served = any("clark" in one.queues for one in alive)
    found = judged(Fleet(processes, 0.0), "clark", "lincoln")
    assert any(blocks(one, "clark") for one in found) is not is_served


def test_who_follows_another_configuration_and_who_cannot_use_it_is_named() -> None:
    """A process that lags, one of another ledger, one of older code; none of them stops jobs."""
    problem = "version 43: providers.x.kind: no such kind"
    processes = [
        replace(WORKER, name="w0", configuration=41),
        replace(WORKER, name="w1", configuration=43),
        replace(WORKER, name="w2", configuration=44),
        replace(WORKER, name="w3", configuration=43, not_understood=(problem,)),
        replace(WORKER, name="w4", configuration=12, age_seconds=3600.0),
        replace(BEAT, configuration=43),
    ]
    found = judged(replace(WHOLE, processes=processes), configuration=43)
    named = [(each.cause, each.message.partition(" ")[0], each.stops) for each in found]
    assert named == [
        (Cause.CONFIGURATION_LAGS, "w0", False),
        (Cause.CONFIGURATION_LAGS, "w2", False),
        (Cause.CONFIGURATION_NOT_UNDERSTOOD, "w3", False),
    ]
    assert "not 43" in found[0].message
    assert "SISGATE_DATABASE_URL" in found[1].remedy
    assert problem in found[2].message


FILE = {"access": "a1", "providers.clark": "c1", "retention": "r1"}


def with_files(*files: dict[str, str], configuration: int = 0) -> Fleet:
    """Return a fleet with a worker on each of several hosts, of the parts of its file."""
    workers = [
        replace(WORKER, name=f"w{at}", host=f"app-{at}", parts=parts, configuration=configuration)
        for at, parts in enumerate(files)
    ]
    return Fleet([*workers, BEAT], 0.0)


def test_hosts_without_a_version_of_the_configuration_are_told_what_it_means() -> None:
    """One machine needs no version: its processes read one file."""
    (found,) = judged(with_files(FILE, FILE), configuration=0)
    assert (found.cause, found.stops, found.harms) == (
        Cause.CONFIGURATION_UNVERSIONED, False, False,
    )  # fmt: skip
    assert "app-0 and app-1" in found.message
    assert "`sisgate config apply`" in found.remedy
    assert judged(Fleet([replace(WORKER, parts=FILE), BEAT], 0.0), configuration=0) == []


def test_who_runs_on_another_file_is_named_with_what_differs() -> None:
    """It harms if one provider has two meanings, not if one host lacks what others have."""
    other = {**FILE, "providers.clark": "c2", "retention": "r2"}
    (found,) = judged(with_files(FILE, FILE, other), configuration=0)
    assert (found.cause, found.stops, found.harms) == (
        Cause.CONFIGURATION_FILES_DIFFER, False, True,
    )  # fmt: skip
    assert found.message == (
        "the file of w2 on app-2 differs from that of w0 on app-0 and w1 on app-1 in "
        "providers.clark and retention"
    )
    assert "`sisgate config apply`" in found.remedy
    (less,) = judged(with_files(FILE, FILE, {"access": "a1", "retention": "r1"}), configuration=0)
    assert (less.cause, less.harms) == (Cause.CONFIGURATION_FILES_DIFFER, False)
    (here,) = judged(
        Fleet([replace(WORKER, parts=FILE), BEAT], 0.0), configuration=0, own_parts=other
    )
    assert "this process" in here.message


def test_rules_of_access_must_agree_whatever_the_version() -> None:
    """No version of the configuration holds them."""
    fleet = with_files({"access": "a1"}, {"access": "a1"}, {"access": "a2"}, configuration=7)
    fleet = replace(fleet, processes=[*fleet.processes[:-1], replace(BEAT, configuration=7)])
    (found,) = judged(fleet, configuration=7)
    assert (found.cause, found.harms) == (Cause.ACCESS_DIFFERS, True)
    assert "w2 on app-2" in found.message
