"""Troubles that apps make by their calls, and people by hand."""

from contextlib import suppress
from datetime import timedelta

from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.errors import TooManyRequests
from sisgate.ledger import schema as tables
from sisgate.web.inbound import InboundLimits
from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of

PEOPLE = ("ana", "ben", "chen")


@kind()
def paused(at: Trouble) -> Expected:
    """Somebody pauses it."""
    who = at.scene.random.choice(PEOPLE)
    control = at.scene.gateway.providers.control(at.district)
    hours = timedelta(hours=at.scene.random.randint(1, 9))
    until = at.scene.random.choice((None, at.scene.clock.now() + hours))
    control.pause(until, actor=who, reason=at.scene.random.choice((None, "exams")))
    return of("person", "paused", name=who)


@kind()
def held_open(at: Trouble) -> Expected:
    """Somebody holds its breaker open."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.breakers(at.district).set("open", actor=who)
    return of("person", "breaker_by_hand", name=who)


@kind()
def limited(at: Trouble) -> Expected:
    """Somebody sets a limit that is used up."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.control(at.district).set_limits("4/h", actor=who)
    return of("person", "limit_by_hand", name=who)


@kind(limit="60/h", burst=60)
def quota_spent(at: Trouble) -> Expected:
    """One app uses the quota up."""
    app = at.scene.random.choice(at.scene.apps)
    at.scene.ask(at.district, app, 60, "high")
    at.scene.work(at.district)
    at.load = max(at.load, 3)
    return of("app", "quota_spent", name=app)


@kind(limit="60/h", burst=60)
def quota_shared(at: Trouble) -> Expected:
    """Several apps use the quota up, none of them most of it."""
    for app in ("one", "two", "three", "four"):
        at.scene.ask(at.district, app, 14, "high")
    at.scene.work(at.district)
    at.load = max(at.load, 3)
    return of("nobody", "quota_spent")


@kind(limit="200/h", burst=40)
def flood(at: Trouble) -> Expected:
    """One app asks for far more than the quota allows soon, of a provider with a slow pace."""
    app = at.scene.random.choice(at.scene.apps)
    at.scene.ask(at.district, app, at.scene.random.randint(80, 140))
    at.scene.work(at.district, most=10)
    return of("app", "app_flood", "quota_spent", name=app)


@kind()
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


@kind(limit="60/h", burst=60)
def urgent_spent(at: Trouble) -> Expected:
    """One app uses the quota up by calls it calls urgent, while others wait."""
    app = at.scene.random.choice(at.scene.apps)
    at.scene.ask(at.district, app, 80, "urgent")
    at.scene.work(at.district)
    return of("app", "quota_spent", name=app)


@kind(limit="60/h", burst=60)
def retries_spent(at: Trouble) -> Expected:
    """The provider failed most calls of this hour; their repetitions have used the quota up."""
    district, app = at.scene.districts[at.district], at.scene.random.choice(at.scene.apps)
    before, district.answer = district.answer, answers(500)
    at.scene.gateway.providers.breakers(at.district).set("close", actor="ana")
    at.scene.ask(at.district, app, 12, "high")
    for _ in range(40):
        at.scene.work(at.district)
        at.scene.clock.advance(20)
    at.scene.gateway.providers.breakers(at.district).set("auto", actor="ana")
    district.answer = before
    at.scene.clock.advance(610)
    at.load = max(at.load, 4)
    return of("provider", "quota_spent", name=at.district)


@kind()
def limited_slowly(at: Trouble) -> Expected:
    """Somebody sets a limit at which what waits takes hours."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.control(at.district).set_limits("60/h", actor=who)
    at.scene.ask(at.district, at.scene.apps[0], 150)
    at.scene.work(at.district, most=12)
    return of("person", "limit_by_hand", name=who)


@kind(limit="60/h", burst=60)
def raised(at: Trouble) -> Expected:
    """Somebody sets a limit above that of the provider, which then answers 429."""
    who = at.scene.random.choice(PEOPLE)
    good, made = at.scene.districts[at.district].answer, [0]
    refuse = answers(429, Retry_After="600")

    def answer(asked: Asked) -> Reply:
        made[0] += 1
        return good(asked) if made[0] <= 30 else refuse(asked)

    at.scene.districts[at.district].answer = answer
    at.scene.gateway.providers.control(at.district).set_limits("600/h", actor=who)
    at.scene.ask(at.district, at.scene.apps[0], 50)
    at.scene.work(at.district)
    return of("person", "limit_by_hand", name=who)


@kind(limit="200/h", burst=40)
def many_floods(at: Trouble) -> Expected:
    """Several apps ask for far more than the quota allows soon."""
    for app in ("one", "two", "three", "four"):
        at.scene.ask(at.district, app, at.scene.random.randint(30, 40))
    at.scene.work(at.district, most=10)
    return of("nobody", "app_flood", "quota_spent", may_doubt=False)


def many_behind_one(at: Trouble) -> None:
    """One call is under way, and many wait for the permit that it holds."""
    config, limiter = at.scene.config(at.district), at.scene.runtime.limiter
    at.scene.ask(at.district, at.scene.apps[0], 1)
    at.scene.be_alive(calls=tuple(at.scene.claim(at.district)), busy=1)
    limiter.take(config.name, at.scene.runtime.limits(config), Priority.NORMAL)
    at.scene.ask(at.district, at.scene.apps[0], 30)
    at.scene.clock.advance(10)
    at.load, at.works = 0, False


@kind(settings="max_concurrency = 1")
def one_at_a_time(at: Trouble) -> Expected:
    """The configuration allows one call at a time, and so many wait for long."""
    many_behind_one(at)
    return of("nobody", "pace_bound", says="max_concurrency")


@kind()
def throttles_shortly(at: Trouble) -> Expected:
    """It answers 429 to every fourth call, without a Retry-After."""
    good, made = at.scene.districts[at.district].answer, [0]
    refuse = answers(429)

    def answer(asked: Asked) -> Reply:
        made[0] += 1
        return refuse(asked) if made[0] % 4 == 0 else good(asked)

    at.scene.districts[at.district].answer = answer
    at.load = max(at.load, 6)
    return of("provider", "provider_throttles", name=at.district)


@kind()
def webhook_down(at: Trouble) -> Expected:
    """The receiver of a webhook is down: no provider's fault."""
    hooks = at.scene.gateway.webhooks
    hook = hooks.add("https://receiver.invalid/in", ["job.ended"], every_app=True)
    with at.scene.runtime.database.write() as session:
        session.get_one(tables.Webhook, hook.id).failures = at.scene.random.randint(3, 40)
    return Expected()


@kind()
def asks_too_often(at: Trouble) -> Expected:
    """An app asks the HTTP service far more often than it may, and is answered 429 by us."""
    limits, rate = InboundLimits(at.scene.gateway), Rate.parse("10/m")

    def more() -> None:
        for _ in range(40):
            with suppress(TooManyRequests):
                limits.count(rate, "portal")

    more()
    at.more = more
    at.subject = "fleet"
    return of("app", "inbound_refused", name="portal", says="10/m")
