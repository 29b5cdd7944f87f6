"""A trouble in a scene, and what a verdict on it has to say."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from sisgate.gateway import Verdict
from sisgate.verdict.finding import Certainty, Finding
from testbed.http_server import Asked, Reply, json_reply
from testbed.scene import DISTRICTS, INTERVAL_SECONDS, Scene, Stage


@dataclass(frozen=True)
class Expected:
    """What is right: one of these causes, and the party. Without a cause, that all is well.

    `may_doubt`: the evidence cannot tell, so that a verdict that is unclear and has the cause among
    its candidates is right, too. `or_well`: it is too little to be told, so that nothing may be
    said. `says` has to stand in its words or its evidence. `beside` is another trouble at the same
    time: both have to be told with confidence, either first.
    """

    causes: frozenset[str] = frozenset()
    kind: str = ""
    name: str | None = None
    may_doubt: bool = False
    or_well: bool = False
    says: str = ""
    beside: "Expected | None" = None

    def is_met(self, verdict: Verdict) -> bool:
        if not verdict.findings:
            return not self.causes or self.or_well
        culprit = verdict.culprit
        if culprit is None:
            return self.may_doubt and any(each.cause in self.causes for each in verdict.findings)
        sure = [each for each in verdict.findings if each.certainty >= Certainty.LIKELY]
        wanted = [self] if self.beside is None else [self, self.beside]
        return any(each.fits(culprit) for each in wanted) and all(
            any(each.fits(finding) for finding in sure) for each in wanted
        )

    def fits(self, finding: Finding) -> bool:
        """Return whether a finding is the right one, and says what it has to."""
        said = f"{finding.message} {finding.remedy} {json.dumps(finding.evidence)}"
        return self._blames(finding) and self.says in said

    def blames(self, finding: Finding) -> bool:
        """Return whether a finding names a right cause and party, of either trouble."""
        beside = self.beside is not None and self.beside.blames(finding)
        return beside or self._blames(finding)

    def _blames(self, finding: Finding) -> bool:
        return (
            finding.cause in self.causes
            and finding.party.kind == self.kind
            and (self.name is None or self.name in (finding.party.name or ""))
        )


def of(
    kind: str,
    *causes: str,
    name: str | None = None,
    may_doubt: bool = False,
    or_well: bool = False,
    says: str = "",
    beside: Expected | None = None,
) -> Expected:
    """Return that a party is at fault for one of these causes."""
    return Expected(frozenset(causes), kind, name, may_doubt, or_well, says, beside)


@dataclass
class Trouble:
    """One trouble in a scene: what it does at its beginning and in each interval.

    `subject` is what the verdict is asked about. `load` is how many calls come in each interval,
    and with `others_work` there are some of another provider too. `more` is done in each interval
    besides. Without `works` nobody makes calls.
    """

    scene: Scene
    district: str
    load: int
    expected: Expected = field(default_factory=Expected)
    subject: str | None = None
    others_work: bool = False
    more: Callable[[], object] | None = None
    works: bool = True

    @property
    def victim(self) -> str:
        """What the verdict is asked about: the district unless said otherwise."""
        return self.subject or self.district

    def interval(self) -> Verdict:
        """Let an interval pass under load; return the verdict at its end."""
        scene = self.scene
        if self.load:
            scene.load(self.district, self.load)
        if self.more is not None:
            self.more()
        if self.others_work:
            self._others_answer()
        ends = scene.clock.monotonic() + INTERVAL_SECONDS
        while self.works and scene.work(self.district) and scene.clock.monotonic() < ends:
            pass
        scene.clock.advance(max(0.0, ends - scene.clock.monotonic()))
        return scene.gateway.why(None if self.victim == "fleet" else self.victim)

    def _others_answer(self) -> None:
        for name in DISTRICTS[:2]:
            if name != self.district:
                self.scene.load(name, 2)
                self.scene.work(name)


Begin = Callable[[Trouble], Expected]


@dataclass(frozen=True)
class Kind:
    """One kind of trouble: how it begins, and what it needs before.

    `usual` calls were made a while ago, from which it is known what is usual; one that `wants_key`
    befalls the provider that has one. `database` is the kind of ledger that it befalls. Tests leave
    out one that is `bench_only`.
    """

    begin: Begin
    stage: Stage
    usual: int
    wants_key: bool
    database: str
    bench_only: bool


KINDS: dict[str, Kind] = {}
"""All kinds of trouble, by name."""


def kind(
    *,
    usual: int = 4,
    wants_key: bool = False,
    database: str = "sqlite",
    bench_only: bool = False,
    **stage: object,
) -> Callable[[Begin], Begin]:
    """Add a kind of trouble, on a stage with these settings."""

    def add(begin: Begin) -> Begin:
        scenery = Stage(**stage)  # type: ignore[arg-type]  # as named
        KINDS[begin.__name__] = Kind(begin, scenery, usual, wants_key, database, bench_only)
        return begin

    return add


def answers(status: int, **headers: str) -> Callable[[Asked], Reply]:
    """Return an answer of a status to everything but requests for tokens."""

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            return json_reply({"access_token": "t", "expires_in": 3600})
        return json_reply({"message": "as injected"}, status, **headers)

    return answer
