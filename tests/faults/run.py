"""One run: work is asked for while everything dies, then the fleet comes to rest and is examined.

The same seed draws the same mishaps in the same order; the moments in which they fall are the
machine's.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from sisgate.clock import poll_until
from sisgate.domain.states import LIVE_JOB_STATES
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import schema as tables
from tests.faults.changes import GUEST
from tests.faults.fleet import CLOCK, DatabaseKind, Fleet, NeverCame
from tests.faults.mishaps import mishaps_of
from tests.faults.oracles import Findings, OrphanWatch, examine, note_recoveries

BACKLOG = 40
"""More is not asked for while so many jobs wait."""

POINT_SHARE = 0.45
"""The share of deaths at a named point among all mishaps."""

CHANGE_SHARE = 0.5
"""How often the configuration is changed besides, by mishaps."""

UNDISTURBED = "sisgate.call.calm"
"""The points of what is only read in peace are not passed again."""

AT_A_POINT = "killed at a named point"
MOMENT_SECONDS = (0.2, 1.2)
PROGRESS_SECONDS = 2.0

Tell = Callable[[int], None]
"""Is told how many kills there have been."""


@dataclass
class Result:
    """What happened to a fleet and what was found after it."""

    seed: int
    database: DatabaseKind
    mishaps: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    points_seen: set[str] = field(default_factory=set)
    points_taken: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    rest_seconds: list[float] = field(default_factory=list)
    """From the last mishap until all work had ended."""
    seconds: float = 0.0


def run(
    folder: Path,
    database: DatabaseKind,
    seed: int,
    kills: int,
    *,
    tell: Tell = lambda _: None,
    known: Mapping[str, int] | None = None,
) -> Result:
    """Disturb a fleet by at least so many kills and return what came of it.

    `known` tells how often earlier runs have died at which points: the rarest come first.
    """
    begun = CLOCK.monotonic()
    with Fleet(folder, database, seed) as fleet:
        result = Result(seed, database)
        story = _Story(fleet, random.Random(seed), result, tell, known or {})
        try:
            story.read_lists_in_peace()
            story.disturb(kills * 3 // 5)
            story.come_to_rest()
            # The list has changed meanwhile: the next sync finds updates, inserts and deletes.
            fleet.provider.versions["lists"] = 1
            story.disturb(kills)
            story.come_to_rest()
        except NeverCame as error:
            raise NeverCame(f"seed {seed}, {database}, {dict(result.mishaps)}: {error}") from None
        examine(fleet, result.findings)
    result.seconds = CLOCK.monotonic() - begun
    return result


class _Story:
    def __init__(
        self,
        fleet: Fleet,
        numbers: random.Random,
        result: Result,
        tell: Tell,
        known: Mapping[str, int],
    ) -> None:
        self._known = Counter(known)
        self._fleet = fleet
        self._numbers = numbers
        self.result = result
        self._tell = tell
        self._asked = 0
        self._struck = 0
        self._rested = CLOCK.now()
        self._mishaps = mishaps_of(fleet)

    def read_lists_in_peace(self) -> None:
        """Make the run that the others are compared with, and learn which points there are."""
        for version in (0, 1):
            self._fleet.provider.versions["calm"] = version
            self._ask("sync", "calm")
            self._ask_requests(gets=4, posts=2)
            self._fleet.wait(lambda: self._fleet.book.lines == self._asked, "the app has asked")
            self._fleet.wait(self._is_at_rest, "everything ends that nothing disturbs")

    def disturb(self, kills: int) -> None:
        """Let mishaps happen until there have been so many kills."""
        self._ask("sync", "lists")
        while self.result.kills < kills:
            self._fleet.tend()
            self._ask_more()
            if self._numbers.random() < CHANGE_SHARE:
                self._change()
            if self._numbers.random() < POINT_SHARE:
                self._die_at_a_point()
            else:
                self._strike()
            self._count()
            self._let_work_go_on()

    def come_to_rest(self) -> None:
        """Let everything be well again, until all work has ended and the list was read."""
        self._fleet.heal()
        self._count()
        rest = CLOCK.now()
        orphans = OrphanWatch()

        def is_at_rest() -> bool:
            orphans.look(self._fleet)
            return self._is_at_rest()

        self._fleet.wait(is_at_rest, "all work ends")
        self.result.findings.recoveries += orphans.seconds_since(rest)
        self.result.rest_seconds.append((CLOCK.now() - rest).total_seconds())
        note_recoveries(self._fleet, self.result.findings, rest, self._rested)
        self._rested = CLOCK.now()
        while not self._list_was_read():
            self._ask("sync", "lists")
            lines = self._fleet.book.lines
            self._fleet.wait(lambda: self._fleet.book.lines > lines, "the app asks")  # noqa: B023
            self._fleet.wait(self._is_at_rest, "the list is read again")

    def _die_at_a_point(self) -> None:
        points, taken = self._fleet.points, self.result.points_taken + self._known
        seen = [point for point in points.seen if UNDISTURBED not in point]
        fewest = min(taken[point] for point in seen)
        rare = [point for point in seen if taken[point] <= fewest + self._numbers.randint(0, 1)]
        before = len(points.taken)
        points.arm(self._numbers.choice(rare))
        self._pass_time(PROGRESS_SECONDS, lambda: len(points.taken) > before)

    def _change(self) -> None:
        kind = self._fleet.changes.make(self._numbers)
        if kind is not None:
            self.result.mishaps[kind] += 1

    def _strike(self) -> None:
        weights = [mishap.weight for mishap in self._mishaps]
        (mishap,) = self._numbers.choices(self._mishaps, weights)
        undo = mishap.act(self._fleet, self._numbers)
        if undo is None:
            return
        if mishap.lasts:
            self._pass_time(self._numbers.uniform(*MOMENT_SECONDS))
        undo()
        self.result.mishaps[mishap.kind] += 1
        self.result.kills += mishap.kills

    def _count(self) -> None:
        taken = self._fleet.points.taken
        new = len(taken) - self.result.points_taken.total()
        self.result.points_taken = Counter(taken)
        self.result.points_seen = set(self._fleet.points.seen)
        self.result.mishaps[AT_A_POINT] = len(taken)
        self.result.kills += new
        self._tell(self.result.kills)

    def _let_work_go_on(self) -> None:
        seen = len(self._fleet.provider.seen) + self._numbers.randint(1, 4)
        self._pass_time(PROGRESS_SECONDS, lambda: len(self._fleet.provider.seen) >= seen)

    def _ask_more(self) -> None:
        self._struck += 1
        if self._live() > BACKLOG:
            return
        self._ask_requests(gets=3, posts=1)
        if GUEST in self._fleet.changes.tables:
            self._ask("GET", GUEST, f"/get/{self._asked}")
        if self._struck % 6 == 0:
            self._ask("sync", "lists")

    def _ask_requests(self, *, gets: int, posts: int) -> None:
        for do in ["GET"] * gets + ["POST"] * posts:
            self._ask(do, "requests", f"/{do.lower()}/{self._asked}")

    def _ask(self, do: str, provider: str, path: str = "") -> None:
        self._asked += 1
        priority = self._numbers.choice(["urgent", "high", "normal", "low"])
        self._fleet.ask(do, provider, path, priority)

    def _is_at_rest(self) -> bool:
        return self._live() == 0

    def _live(self) -> int:
        """Return how many jobs have not ended; as many as can be while nobody can tell."""
        query = select(func.count()).where(
            tables.Job.state.in_([state.value for state in LIVE_JOB_STATES])
        )
        with suppress(DatabaseUnavailable), self._fleet.gateway.context.database.read() as session:
            return session.scalar(query) or 0
        return BACKLOG + 1

    def _list_was_read(self) -> bool:
        (last, *_) = self._fleet.gateway.jobs.list(provider="lists", limit=1)
        return bool(last.state == "done" and last.complete)

    def _pass_time(self, seconds: float, ready: Callable[[], bool] = lambda: False) -> None:
        def tended() -> bool:
            self._fleet.tend()
            return ready()

        poll_until(tended, clock=CLOCK, timeout_seconds=seconds, every_seconds=0.05)
