"""Troubles that apps make by their calls, and people by hand."""

from __future__ import annotations

from datetime import timedelta

from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.trouble import Expected, Trouble, of

PEOPLE = ("ana", "ben", "chen")


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
