"""Part of `admission`: how soon an urgent call starts behind a large backlog, three ways."""

import json
import time

from benchmarks.admission_ground import NOOP_APP, fleet_of, lay_noops, percentile
from benchmarks.noop_app import DELAYS, PLAIN_QUEUE
from benchmarks.report import Report, tell
from sisgate.broker import call_task
from sisgate.redis.queues import queue_keys
from sisgate.wakeups import Wakeups
from testbed.fleet import CLOCK, Fleet, message

RATE = 50
EVERY_SECONDS = 0.15
CONTENDERS = {
    "sisgate": "admitted",
    "Celery rate_limit": "rate_limit",
    "bucket in the task, retry(countdown)": "bucket",
}


def delays(way: str, backlog: int, seconds: float) -> list[float]:
    """Return the seconds from enqueueing to start of urgent calls behind low ones."""
    with fleet_of({"alpha": f'limit = "{RATE * 60}/60s"\nburst = 200'}) as fleet:
        queue, task = ("alpha", call_task("alpha")) if way == "admitted" else (PLAIN_QUEUE, "noop")
        lay_noops(fleet, task, queue, backlog)
        fleet.start_worker(
            queue, app=NOOP_APP, concurrency=4, level="ERROR", BENCH_WAY=way, BENCH_RATE=str(RATE)
        )
        time.sleep(6.0)  # the burst is over, the backlog runs at the pace of the limit
        sent = 0
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            send_urgent(fleet, task, queue)
            sent += 1
            time.sleep(EVERY_SECONDS)
        time.sleep(2.0)
        found = [float(delay) for delay in fleet.redis.lrange(DELAYS, 0, -1)]
        # What has not started by now has waited at least since the last was sent.
        return found + [float("inf")] * (sent - len(found))


def send_urgent(fleet: Fleet, task: str, queue: str) -> None:
    """Publish an urgent call as `sisgate.broker.Publisher` does: the message, then the signal."""
    made = message(task, {"sent_at": CLOCK.now().timestamp()}, queue, 0)
    fleet.redis.lpush(queue_keys(queue)[0], json.dumps(made))
    Wakeups(fleet.redis, CLOCK).signal_work(queue)


def measure(report: Report, *, quick: bool) -> None:
    """Add the table of the urgent."""
    backlog, seconds = (5_000, 6.0) if quick else (100_000, 18.0)
    rows, figures = [], {}
    for name, way in CONTENDERS.items():
        tell(f"urgent behind {backlog:,}: {name}")
        found = delays(way, backlog, seconds)
        p50, p99 = percentile(found, 0.5), percentile(found, 0.99)
        late = sum(delay == float("inf") for delay in found)
        rows.append([name, _ms(p50), _ms(p99), str(len(found)), str(late)])
        figures[name] = {"p50_s": p50, "p99_s": p99, "sent": len(found), "not_started": late}
    report.add_table(
        f"Urgent behind {backlog:,} low at {RATE}/s, one worker of 4 processes",
        ["way", "p50 ms", "p99 ms", "sent", "not started in time"],
        rows,
    )
    report.figures["urgent"] = figures


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"
