"""A trouble in a scene, and what a verdict on it has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sisgate.gateway import Verdict
from testbed.http_server import Asked, Reply, json_reply
from testbed.scene import DISTRICTS, INTERVAL_SECONDS, Scene


@dataclass(frozen=True)
class Expected:
    """What is right: one of these causes, and the party. Without a cause, that all is well.

    `may_doubt`: the evidence cannot tell, so that a verdict that is unclear and has the cause among
    its candidates is right, too.
    """

    causes: frozenset[str] = frozenset()
    kind: str = ""
    name: str | None = None
    may_doubt: bool = False

    def is_met(self, verdict: Verdict) -> bool:
        """Return whether a verdict is right."""
        if not self.causes:
            return not verdict.findings
        culprit = verdict.culprit
        if culprit is None:
            return self.may_doubt and any(each.cause in self.causes for each in verdict.findings)
        name = culprit.party.name or ""
        return (
            culprit.cause in self.causes
            and culprit.party.kind == self.kind
            and (self.name is None or self.name in name)
        )


def of(kind: str, *causes: str, name: str | None = None, may_doubt: bool = False) -> Expected:
    """Return that a party is at fault for one of these causes."""
    return Expected(frozenset(causes), kind, name, may_doubt)


@dataclass
class Trouble:
    """One trouble in a scene: what it does at its beginning and in each interval.

    `subject` is what the verdict is asked about. `load` is how many calls come in each interval,
    and with `others_work` there are some of another provider too.
    """

    scene: Scene
    district: str
    load: int
    expected: Expected = field(default_factory=Expected)
    subject: str | None = None
    others_work: bool = False

    @property
    def victim(self) -> str:
        """What the verdict is asked about: the district unless said otherwise."""
        return self.subject or self.district

    def interval(self) -> Verdict:
        """Let an interval pass under load; return the verdict at its end."""
        scene = self.scene
        if self.load:
            scene.load(self.district, self.load)
        if self.others_work:
            _others_answer(self)
        ends = scene.clock.monotonic() + INTERVAL_SECONDS
        while scene.work(self.district) and scene.clock.monotonic() < ends:
            pass
        scene.clock.advance(max(0.0, ends - scene.clock.monotonic()))
        return scene.gateway.why(None if self.victim == "fleet" else self.victim)


Begin = Callable[[Trouble], Expected]


def answers(status: int, **headers: str) -> Callable[[Asked], Reply]:
    """Return an answer of a status to everything but requests for tokens."""

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            return json_reply({"access_token": "t", "expires_in": 3600})
        return json_reply({"message": "as injected"}, status, **headers)

    return answer


def _others_answer(at: Trouble) -> None:
    for name in DISTRICTS[:2]:
        if name != at.district:
            at.scene.load(name, 2)
            at.scene.work(name)
