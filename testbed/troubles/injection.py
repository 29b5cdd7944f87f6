"""Injects troubles of every kind into a scene, and judges the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sisgate.gateway import Verdict
from testbed.scene import DISTRICTS, Scene
from testbed.troubles import of_callers, of_keys, of_providers, of_the_fleet
from testbed.troubles.trouble import Begin, Expected, Trouble

INTERVALS = 2
"""Within so many evaluations a verdict has to be right."""

KINDS: Mapping[str, Begin] = {
    begin.__name__: begin
    for begin in (
        of_providers.well, of_providers.recovered, of_providers.fails, of_providers.fails_in_part,
        of_providers.asks_for_time, of_providers.throttles, of_providers.is_silent,
        of_providers.is_gone, of_providers.is_gone_alone, of_the_fleet.network,
        of_providers.is_slow, of_providers.hangs, of_the_fleet.loses_workers, of_keys.tokens_fail,
        of_keys.token_refused, of_keys.key_refused, of_keys.key_expired, of_keys.key_expires,
        of_keys.key_missing, of_callers.paused, of_callers.held_open, of_callers.limited,
        of_callers.quota_spent, of_callers.quota_shared, of_callers.flood,
        of_callers.requests_refused, of_providers.answers_invalid, of_providers.sync_held,
        of_the_fleet.worker_missing, of_the_fleet.workers_silent, of_the_fleet.slots_full,
        of_the_fleet.master_key_missing, of_the_fleet.beat_silent, of_the_fleet.planner_missing,
        of_the_fleet.clocks_differ, of_the_fleet.versions_differ, of_the_fleet.configuration_lags,
        of_the_fleet.redis_away, of_the_fleet.ledger_away,
    )
}  # fmt: skip
"""All kinds of trouble, by name."""

OF_TIME = frozenset({"is_slow", "hangs"})
"""Kinds that need a past, from which it is known what is usual."""

OF_KEYS = frozenset(
    {"tokens_fail", "token_refused", "key_refused", "key_expired", "key_expires", "key_missing"}
)
"""Kinds that befall the provider that wants a key."""

LIMITS = {"quota_spent": ("60/h", 60), "quota_shared": ("60/h", 60), "flood": ("200/h", 40)}
"""The limits, and the bursts, of kinds that need low ones."""


@dataclass(frozen=True)
class Result:
    """The verdicts on a trouble, one an interval, until one was right."""

    kind: str
    seed: int
    expected: Expected
    verdicts: Sequence[Verdict]
    is_right: bool

    @property
    def wrong(self) -> list[str]:
        """The causes and parties that were named with confidence, and wrongly."""
        named = self.verdicts[:-1] if self.is_right else self.verdicts
        return [f"{e.culprit.cause} ({e.culprit.party})" for e in named if e.culprit is not None]

    @property
    def told(self) -> str:
        """What was expected and what was said instead, for people."""
        last = self.verdicts[-1]
        found = "; ".join(f"{e.cause} {e.party} {e.certainty.word}" for e in last.findings)
        return f"{self.kind} {self.seed}: {self.expected} but {last.summary} [{found}]"


def run(kind: str, seed: int, folder: Path, redis_url: str, database_url: str) -> Result:
    """Inject one trouble, drawn by a seed, and judge the verdicts."""
    scene = Scene(folder, redis_url, database_url, seed)
    with scene.running(*LIMITS.get(kind, ("2000/h", 2000))):
        district = scene.random.choice(DISTRICTS[:2])
        trouble = Trouble(scene, district, scene.random.randint(2, 8))
        scene.calm(district, 24 if kind in OF_TIME else 4, scene.random.randint(1, 6))
        if kind in OF_KEYS:
            scene.calm("clark", 2, 4)
        scene.clock.advance(scene.random.uniform(5, 120))
        trouble.expected = KINDS[kind](trouble)
        verdicts: list[Verdict] = []
        while len(verdicts) < INTERVALS:
            verdicts.append(trouble.interval())
            if trouble.expected.is_met(verdicts[-1]):
                return Result(kind, seed, trouble.expected, verdicts, is_right=True)
        return Result(kind, seed, trouble.expected, verdicts, is_right=False)
