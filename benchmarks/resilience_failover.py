"""Part of `resilience`: one of two endpoints dies under load, beside a plain worker's breakers."""

import json
from dataclasses import asdict, dataclass

from benchmarks import breaker_app as plain
from benchmarks.admission_ground import lay_calls, wait_for
from benchmarks.report import Report, tell
from benchmarks.resilience_ground import (
    FAIL_MAX,
    OPEN_SECONDS,
    PROVIDER,
    TIMEOUT_SECONDS,
    Dying,
    fleet_around,
    states,
)
from sisgate.domain.states import JobState
from testbed.fleet import Fleet, message

PROCESSES = 4
LATENCY_SECONDS = 0.02
SECONDS = 120.0
MOVING_SECONDS = 1.0
"""So long after the failure that opens a breaker no probe is due, whatever the jitter."""

CONTENDERS = {
    "sisgate": None,
    "requests + pybreaker": "memory",
    "requests + pybreaker in Redis": "redis",
}
DEATHS = {"answers 500": False, "never answers": True}


@dataclass(frozen=True)
class Death:
    """What apps and the dying endpoint saw."""

    calls: int
    failed: int
    """Calls whose app was told that they failed."""
    until_moved: int
    """Failed calls at the endpoint until a second after the one that should open its breaker."""
    begun_after: int
    """Those of them that began when `FAIL_MAX` had failed already."""
    failures: int
    """All failed calls at the endpoint, probes and trials of it too."""

    @property
    def per_thousand(self) -> float:
        """Failed calls that apps saw, in a thousand."""
        return 1000 * self.failed / self.calls


def run_death(breakers: str | None, calls: int, *, hangs: bool) -> Death:
    """Let endpoint b die after a quarter of the calls; `breakers` is None for sisgate."""
    recorder = Dying("ab", latency_seconds=LATENCY_SECONDS, hangs=hangs)
    with fleet_around(recorder) as fleet:

        def ended() -> tuple[int, int]:
            return _ended_here(fleet) if breakers is None else _ended_there(fleet)

        if breakers is None:
            _start_sisgate(fleet, calls)
        else:
            _start_plain(fleet, recorder, breakers, calls)
        wait_for(lambda: len(recorder.served) > calls / 4, 60)
        recorder.fail("b")
        wait_for(lambda: sum(ended()) >= calls, SECONDS, every=0.25)
        return _death(recorder, calls, ended()[1])


def _start_sisgate(fleet: Fleet, calls: int) -> None:
    lay_calls(fleet, PROVIDER, calls)
    fleet.start_worker(PROVIDER, "sisgate", concurrency=PROCESSES, level="ERROR")
    fleet.start_beat()


def _start_plain(fleet: Fleet, recorder: Dying, breakers: str, calls: int) -> None:
    pipe = fleet.redis.pipeline(transaction=False)
    for number in range(calls):
        made = message(plain.TASK, {"number": number}, plain.QUEUE)
        pipe.lpush(plain.QUEUE, json.dumps(made))
    pipe.execute()
    fleet.start_worker(
        plain.QUEUE,
        app=plain.__name__,
        concurrency=PROCESSES,
        level="CRITICAL",
        BENCH_URLS=",".join(recorder.urls(PROVIDER)),
        BENCH_BREAKERS=breakers,
        BENCH_FAIL_MAX=str(FAIL_MAX),
        BENCH_OPEN=str(OPEN_SECONDS),
        BENCH_TIMEOUT=str(TIMEOUT_SECONDS),
    )


def _ended_here(fleet: Fleet) -> tuple[int, int]:
    """Return how many jobs are done and how many have ended otherwise."""
    found = states(fleet)
    final = sum(count for state, count in found.items() if JobState(state).is_final)
    return found["done"], final - found["done"]


def _ended_there(fleet: Fleet) -> tuple[int, int]:
    done, failed = fleet.redis.mget(plain.DONE, plain.FAILED)
    return int(done or 0), int(failed or 0)


def _death(recorder: Dying, calls: int, failed: int) -> Death:
    failures = sorted((c for c in recorder.served if c.failed), key=lambda call: call.ended)
    opens = failures[FAIL_MAX - 1].ended
    moving = [call for call in failures if call.began < opens + MOVING_SECONDS]
    after = [call for call in moving if call.began > opens]
    return Death(calls, failed, len(moving), len(after), len(failures))


def measure(report: Report, *, quick: bool) -> None:
    """Add the table of the dying endpoint."""
    calls = 800 if quick else 2000
    rows, figures = [], {}
    for death, hangs in DEATHS.items():
        for name, breakers in CONTENDERS.items():
            tell(f"one of two endpoints {death}: {name}")
            found = run_death(breakers, calls, hangs=hangs)
            rows.append(
                [f"{name}; {death}", f"{found.per_thousand:.1f}", str(found.until_moved),
                 str(found.begun_after), str(found.failures)]
            )  # fmt: skip
            figures[f"{name}; {death}"] = asdict(found)
    report.add_table(
        f"One of two endpoints dies under load, one worker of {PROCESSES} processes,"
        f" {calls:,} calls, fail_max {FAIL_MAX}",
        ["worker; the endpoint", "failed calls seen by apps per 1,000",
         "failures until traffic has moved", f"begun after {FAIL_MAX} had failed", "all failures"],
        rows,
    )  # fmt: skip
    report.notes.append(
        "dying endpoint: a plain worker's call fails with its request; sisgate's goes on at the "
        f"other endpoint. Up to {PROCESSES} calls are under way at once, so some have begun "
        f"before {FAIL_MAX} have failed."
    )
    report.figures["dying_endpoint"] = figures
