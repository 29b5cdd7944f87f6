"""Kinds of trouble to inject into a scene, each with what a verdict on it has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sisgate.gateway import Verdict
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import connect
from testbed.heartbeats import BEAT
from testbed.http_server import Asked, Reply, json_reply
from testbed.scene import DISTRICTS, INTERVAL_SECONDS, Scene, Silence

INTERVALS = 2
"""Within so many evaluations a verdict has to be right."""

PEOPLE = ("ana", "ben", "chen")
BASE = "/ims/oneroster/rostering/v1p2"


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


def well(at: Trouble) -> Expected:
    """Nothing happens."""
    return Expected()


def recovered(at: Trouble) -> Expected:
    """The provider fails for a while, and answers again."""
    district = at.scene.districts[at.district]
    before, district.answer = district.answer, answers(500)
    at.scene.load(at.district, 8)
    at.scene.work(at.district)
    district.answer = before
    at.scene.clock.advance(at.scene.random.uniform(60, 200))
    at.load = max(at.load, 6)
    at.scene.load(at.district, 4)
    for _ in range(6):
        at.scene.work(at.district)
        at.scene.clock.advance(3)
    return Expected()


def fails(at: Trouble) -> Expected:
    """It answers 5xx."""
    status = at.scene.random.choice((500, 502, 503, 504))
    at.scene.districts[at.district].answer = answers(status)
    return of("provider", "provider_down", name=at.district)


def fails_in_part(at: Trouble) -> Expected:
    """It answers 5xx to most calls."""
    good, share = at.scene.districts[at.district].answer, at.scene.random.uniform(0.6, 0.9)
    bad = answers(at.scene.random.choice((500, 502)))

    def answer(asked: Asked) -> Reply:
        is_bad = at.scene.random.random() < share
        return bad(asked) if is_bad else good(asked)

    at.scene.districts[at.district].answer = answer
    at.load = max(at.load, 8)
    return of("provider", "provider_down", name=at.district)


def asks_for_time(at: Trouble) -> Expected:
    """It answers 503 with a Retry-After."""
    at.scene.districts[at.district].answer = answers(503, Retry_After="300")
    return of("provider", "provider_down", name=at.district)


def throttles(at: Trouble) -> Expected:
    """It answers 429, though the limit is not reached."""
    seconds = at.scene.random.choice(("60", "300", "900"))
    at.scene.districts[at.district].answer = answers(429, Retry_After=seconds)
    return of("provider", "provider_throttles", name=at.district)


def is_silent(at: Trouble) -> Expected:
    """It accepts connections and answers nothing, while others answer."""
    at.others_work = True

    def answer(_: Asked) -> Reply:
        raise Silence

    at.scene.districts[at.district].answer = answer
    return of("provider", "provider_down", "provider_unreachable", name=at.district)


def is_gone(at: Trouble) -> Expected:
    """It accepts no connection, while others answer."""
    at.others_work = True
    at.scene.districts[at.district].stop()
    return of("provider", "provider_down", "provider_unreachable", name=at.district)


def is_gone_alone(at: Trouble) -> Expected:
    """It accepts no connection, and no other was called: it may be our own network."""
    at.scene.clock.advance(700)
    at.scene.districts[at.district].stop()
    at.scene.load(at.district, 4)
    return of(
        "provider", "provider_down", "provider_unreachable", name=at.district, may_doubt=True
    )  # fmt: skip


def network(at: Trouble) -> Expected:
    """No provider can be reached."""
    at.scene.clock.advance(700)
    for name in DISTRICTS[:2]:
        at.scene.districts[name].stop()
        at.scene.load(name, 5)
        at.scene.work(name)
    at.district = at.scene.random.choice(DISTRICTS[:2])
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "network_down")


def is_slow(at: Trouble) -> Expected:
    """Its latency grows."""
    district = at.scene.districts[at.district]
    district.latency_seconds = max(1.5, district.latency_seconds * at.scene.random.uniform(6, 30))
    at.load = max(at.load, 5)
    return of("provider", "provider_slow", name=at.district)


def hangs(at: Trouble) -> Expected:
    """Calls are under way that it does not answer."""
    at.scene.load(at.district, 2)
    held = at.scene.claim(at.district)
    at.scene.be_alive(calls=tuple(held), busy=2)
    at.scene.clock.advance(at.scene.random.uniform(30, 80))
    at.load = 0
    return of("provider", "provider_slow", name=at.district)


def loses_workers(at: Trouble) -> Expected:
    """Workers died with calls under way."""
    at.scene.load(at.district, at.scene.random.randint(1, 3))
    at.scene.claim(at.district)
    at.scene.be_alive(calls=())
    at.scene.clock.advance(12)
    at.load = 0
    return of("fleet", "calls_lost")


def tokens_fail(at: Trouble) -> Expected:
    """The token endpoint fails."""
    at.district = "clark"
    _forget_token(at)
    good = at.scene.districts["clark"].answer
    status = at.scene.random.choice((500, 503))

    def answer(asked: Asked) -> Reply:
        return json_reply({}, status) if asked.path == "/token" else good(asked)

    at.scene.districts["clark"].answer = answer
    return of("provider", "tokens_fail", name="clark")


def token_refused(at: Trouble) -> Expected:
    """The token endpoint does not know the client any more."""
    at.district = "clark"
    _forget_token(at)

    def answer(asked: Asked) -> Reply:
        return json_reply({"error": "invalid_client"}, 401)

    at.scene.districts["clark"].answer = answer
    return of("key", "key_refused")


def key_refused(at: Trouble) -> Expected:
    """Every call is refused with 401 or 403."""
    at.district = "clark"
    status = at.scene.random.choice((401, 403))
    at.scene.districts["clark"].answer = answers(status)
    at.load = max(at.load, 5)
    return of("key", "key_refused")


def key_expired(at: Trouble) -> Expected:
    """The key has expired, and is refused."""
    at.district = "clark"
    _expire(at, -at.scene.random.uniform(60, 3600))
    at.scene.districts["clark"].answer = answers(403)
    at.load = max(at.load, 5)
    return of("key", "key_expired")


def key_expires(at: Trouble) -> Expected:
    """The key expires within days."""
    at.district = "clark"
    _expire(at, at.scene.random.uniform(3600, 86_400))
    return of("key", "key_expires")


def key_missing(at: Trouble) -> Expected:
    """The provider has no key."""
    at.district = "clark"
    keys = at.scene.gateway.keys.of("clark")
    keys.revoke(keys.list()[0].id, actor="test", reason="leaked")
    return of("key", "key_missing")


def paused(at: Trouble) -> Expected:
    """Somebody pauses it."""
    who = at.scene.random.choice(PEOPLE)
    control = at.scene.gateway.providers.control(at.district)
    hours = timedelta(hours=at.scene.random.randint(1, 9))
    until = at.scene.random.choice((None, at.scene.clock.now() + hours))
    control.pause(until, actor=who, reason=at.scene.random.choice((None, "exams")))
    return of("person", "paused", name=who)


def held_open(at: Trouble) -> Expected:
    """Somebody holds its breaker open."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.breakers(at.district).set("open", actor=who)
    return of("person", "breaker_by_hand", name=who)


def limited(at: Trouble) -> Expected:
    """Somebody sets a limit that is used up."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.control(at.district).set_limits("4/h", actor=who)
    return of("person", "limit_by_hand", name=who)


def quota_spent(at: Trouble) -> Expected:
    """One app uses the quota up."""
    app = at.scene.random.choice(at.scene.apps)
    at.scene.ask(at.district, app, 60, "high")
    at.scene.work(at.district)
    at.load = max(at.load, 3)
    return of("app", "quota_spent", name=app)


def quota_shared(at: Trouble) -> Expected:
    """Several apps use the quota up, none of them most of it."""
    for app in ("one", "two", "three", "four"):
        at.scene.ask(at.district, app, 14, "high")
    at.scene.work(at.district)
    at.load = max(at.load, 3)
    return of("nobody", "quota_spent")


def flood(at: Trouble) -> Expected:
    """One app asks for far more than the quota allows soon, of a provider with a slow pace."""
    app = at.scene.random.choice(at.scene.apps)
    at.scene.ask(at.district, app, at.scene.random.randint(80, 140))
    at.scene.work(at.district, most=10)
    return of("app", "app_flood", "quota_spent", name=app)


def requests_refused(at: Trouble) -> Expected:
    """One app asks for what is not there."""
    app, good = at.scene.random.choice(at.scene.apps), at.scene.districts[at.district].answer
    status = at.scene.random.choice((400, 404, 422))

    def answer(asked: Asked) -> Reply:
        is_bad = asked.path.startswith("/wrong")
        return json_reply({"message": "no"}, status) if is_bad else good(asked)

    at.scene.districts[at.district].answer = answer
    app = "newcomer"
    gateway = at.scene.as_app(app)
    for number in range(at.scene.random.randint(4, 8)):
        gateway.enqueue_request(at.district, "GET", f"/wrong/{number}", timeout=3600)
    return of("app", "requests_refused", name=app)


def answers_invalid(at: Trouble) -> Expected:
    """A page of a proxy comes in place of the lists of a sync."""
    good = at.scene.districts[at.district].answer

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith(BASE):
            return 200, {"Content-Type": "text/html"}, b"<html>Welcome to the cafeteria</html>"
        return good(asked)

    at.scene.districts[at.district].answer = answer
    _sync(at, "orgs")
    return of("provider", "answers_invalid", name=at.district)


def sync_held(at: Trouble) -> Expected:
    """Most records of a dataset are gone in the next full read."""
    orgs = [_org(number) for number in range(40)]
    good = at.scene.districts[at.district].answer

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith(BASE):
            begin = int(asked.query.get("offset", 0))
            page = orgs[begin : begin + int(asked.query.get("limit", 100))]
            return json_reply({"orgs": page}, X_Total_Count=str(len(orgs)))
        return good(asked)

    at.scene.districts[at.district].answer = answer
    _sync(at, "orgs")
    del orgs[4:]
    _sync(at, "orgs")
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "sync_held", name=at.district)


def worker_missing(at: Trouble) -> Expected:
    """No worker serves it."""
    others = tuple(name for name in DISTRICTS if name != at.district)
    at.scene.be_alive(queues=("sisgate", *others))
    return of("fleet", "worker_missing")


def workers_silent(at: Trouble) -> Expected:
    """The only worker has not been heard of for a while."""
    at.scene.be_silent(at.scene.worker_id, at.scene.random.uniform(30, 300))
    return of("fleet", "worker_missing")


def slots_full(at: Trouble) -> Expected:
    """Every slot is busy with the same tasks."""
    at.scene.be_alive(busy=4, full_seconds=at.scene.random.uniform(70, 600))
    return of("fleet", "slots_full")


def master_key_missing(at: Trouble) -> Expected:
    """No worker has the master key of the provider's key."""
    at.district = "clark"
    at.scene.be_alive(master_keys=("another",))
    return of("fleet", "master_key_missing")


def beat_silent(at: Trouble) -> Expected:
    """Beat has not been heard of for a while."""
    at.scene.be_silent(at.scene.beat_id, at.scene.random.uniform(30, 600))
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "beat_missing")


def planner_missing(at: Trouble) -> Expected:
    """No worker serves the planner's queue."""
    at.scene.be_alive(queues=DISTRICTS)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "planner_missing")


def clocks_differ(at: Trouble) -> Expected:
    """A host's clock is wrong."""
    at.scene.be_alive(clock_offset_seconds=at.scene.random.choice((-40.0, 7.0, 90.0)))
    return of("fleet", "clocks_differ")


def versions_differ(at: Trouble) -> Expected:
    """A worker runs another version."""
    at.scene.be_alive(version="0.0.1")
    return of("fleet", "versions_differ")


def configuration_lags(at: Trouble) -> Expected:
    """A worker follows an older version of the configuration."""
    path = at.scene.gateway.settings.config_file
    assert path is not None
    number = at.scene.gateway.configuration.apply(path, actor="test").version.number
    at.scene.heartbeats.send(replace(BEAT, configuration=number))
    at.scene.be_alive(configuration=number - 1 or 99)
    return of("fleet", "configuration_lags")


def redis_away(at: Trouble) -> Expected:
    """Redis cannot be reached."""
    nowhere, context = connect("redis://127.0.0.1:1/0"), at.scene.gateway.context
    context.redis = at.scene.gateway._core.redis = nowhere
    vars(context)["heartbeats"] = Heartbeats(nowhere)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_unreachable")


def ledger_away(at: Trouble) -> Expected:
    """The database file is gone."""
    at.load = 0
    at.scene.runtime.database.dispose()
    url = at.scene.runtime.database.engine.url.database
    assert url is not None
    Path(url).rename(f"{url}.gone")
    Path(url).mkdir()
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("database", "ledger_unreachable")


KINDS: Mapping[str, Begin] = {
    begin.__name__: begin
    for begin in (
        well, recovered, fails, fails_in_part, asks_for_time, throttles, is_silent, is_gone,
        is_gone_alone, network, is_slow, hangs, loses_workers, tokens_fail, token_refused,
        key_refused, key_expired, key_expires, key_missing, paused, held_open, limited,
        quota_spent, quota_shared, flood, requests_refused, answers_invalid, sync_held,
        worker_missing, workers_silent, slots_full, master_key_missing, beat_silent,
        planner_missing, clocks_differ, versions_differ, configuration_lags, redis_away,
        ledger_away,
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


def _others_answer(at: Trouble) -> None:
    for name in DISTRICTS[:2]:
        if name != at.district:
            at.scene.load(name, 2)
            at.scene.work(name)


def _forget_token(at: Trouble) -> None:
    for key in at.scene.runtime.redis.scan_iter("sisgate:*token*"):
        at.scene.runtime.redis.delete(key)


def _expire(at: Trouble, seconds: float) -> None:
    from sisgate.ledger import schema as tables

    with at.scene.runtime.database.write() as session:
        key = session.query(tables.Key).one()
        key.expires_at = at.scene.clock.now() + timedelta(seconds=seconds)


def _sync(at: Trouble, resource: str) -> None:
    from workers.jobs import planning

    job = at.scene.gateway.sync(at.district, resource, mode="full")
    planning.plan(at.scene.runtime, job.id)
    for _ in range(60):
        if at.scene.gateway.jobs.status(job.id).is_final:
            return
        if not at.scene.work(at.district):
            at.scene.clock.advance(3)
    raise AssertionError(at.scene.gateway.jobs.status(job.id))


def _org(number: int) -> dict[str, object]:
    return {
        "sourcedId": f"org-{number}",
        "status": "active",
        "dateLastModified": "2026-08-01T00:00:00.000Z",
        "name": f"School {number}",
        "type": "school",
        "identifier": str(number),
    }
