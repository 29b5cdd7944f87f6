"""Injects troubles of every kind into a scene, and judges the verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sisgate.gateway import Verdict
from testbed.scene import DISTRICTS, Scene
from testbed.troubles import (  # noqa: F401  # they add their kinds
    at_once,
    of_answers,
    of_callers,
    of_jobs,
    of_keys,
    of_neglect,
    of_networks,
    of_parts,
    of_providers,
    of_stores,
    of_the_fleet,
    of_turns,
)
from testbed.troubles.trouble import KINDS, Expected, Trouble

INTERVALS = 2
"""Within so many evaluations a verdict has to be right."""


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
        named = [each.culprit for each in self.verdicts if each.culprit is not None]
        return [f"{e.cause} ({e.party})" for e in named if not self.expected.blames(e)]

    @property
    def told(self) -> str:
        """What was expected and what was said instead, for people."""
        last = self.verdicts[-1]
        found = "; ".join(f"{e.cause} {e.party} {e.certainty.word}" for e in last.findings)
        return f"{self.kind} {self.seed}: {self.expected} but {last.summary} [{found}]"


def run(kind: str, seed: int, folder: Path, redis_url: str, database_url: str) -> Result:
    """Inject one trouble, drawn by a seed, and judge the verdicts."""
    needs = KINDS[kind]
    scene = Scene(folder, redis_url, database_url, seed, needs.stage)
    with scene.running():
        district = scene.random.choice(DISTRICTS[:2])
        trouble = Trouble(scene, district, scene.random.randint(2, 8))
        scene.calm(district, needs.usual, scene.random.randint(1, 6))
        if needs.wants_key:
            scene.calm("clark", 2, 4)
        scene.clock.advance(scene.random.uniform(5, 120))
        trouble.expected = needs.begin(trouble)
        verdicts: list[Verdict] = []
        while len(verdicts) < INTERVALS:
            verdicts.append(trouble.interval())
            if trouble.expected.is_met(verdicts[-1]):
                return Result(kind, seed, trouble.expected, verdicts, is_right=True)
        return Result(kind, seed, trouble.expected, verdicts, is_right=False)
