"""What the measurements of resilience stand on: a provider that goes down, and its fleet."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from sisgate.ledger import schema as tables
from testbed.fleet import Fleet
from testbed.recorder import FailingRecorder
from testbed.redis import RedisServer

PROVIDER = "lincoln"
OPEN_SECONDS, OPEN_CAP_SECONDS = 4.0, 8.0
FAIL_MAX = 5
TIMEOUT_SECONDS = 2.0
BREAKER = (
    f"breaker = {{ fail_max = {FAIL_MAX}, open_seconds = {OPEN_SECONDS:g},"
    f" open_cap_seconds = {OPEN_CAP_SECONDS:g} }}"
)
CONFIGURATION = f'limit = "off"\ntimeout_seconds = {TIMEOUT_SECONDS:g}\n{BREAKER}'


class Dying(FailingRecorder):
    """Endpoints that answer 500 when they are down, or never answer."""

    def __init__(self, endpoints: str, *, latency_seconds: float, hangs: bool = False) -> None:
        super().__init__(endpoints, latency_seconds)
        self.hangs = hangs
        self.down_since = float("inf")

    def fail(self, endpoint: str) -> None:
        """Let an endpoint be down from now on."""
        self.down_since = time.monotonic()
        self.down.add(endpoint)

    def note(self, target: str) -> float:
        """Stamp a call; one that is never answered counts as ended when it is given up."""
        seconds = super().note(target)
        return TIMEOUT_SECONDS if self._never_answers(target) else seconds

    def answer(self, target: str) -> bytes:
        """Return what the endpoint answers, nothing where it hangs."""
        answer = super().answer(target)
        return b"" if self._never_answers(target) else answer

    def _never_answers(self, target: str) -> bool:
        return self.hangs and target.split("/")[2] in self.down


@contextmanager
def fleet_around(recorder: Dying) -> Iterator[Fleet]:
    """Give a fleet of one provider, over a Redis and a ledger of its own, without workers yet."""
    server = RedisServer()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sisgate-bench-") as folder,
            Fleet(Path(folder), server.url, recorder, {PROVIDER: CONFIGURATION}) as fleet,
        ):
            fleet.begin_counting()
            yield fleet
    finally:
        recorder.stop()
        server.stop()


def states(fleet: Fleet) -> Counter[str]:
    """Return how many jobs are in which state."""
    query = select(tables.Job.state, func.count()).group_by(tables.Job.state)
    with fleet.gateway.context.database.read() as session:
        return Counter({state: count for state, count in session.execute(query)})  # noqa: C416 - rows


def tries(fleet: Fleet) -> int:
    """Return the tries that all calls have spent."""
    with fleet.gateway.context.database.read() as session:
        return session.scalar(select(func.sum(tables.Call.tries))) or 0
