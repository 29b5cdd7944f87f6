"""Two troubles at once, and troubles that are over."""

from testbed.troubles import of_callers, of_the_fleet
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of


@kind()
def paused_while_down(at: Trouble) -> Expected:
    """It fails, and so somebody paused it: what waits, waits for the person."""
    at.scene.districts[at.district].answer = answers(500)
    at.scene.load(at.district, 8)
    at.scene.work(at.district)
    down = of("provider", "provider_down", name=at.district)
    person = of_callers.paused(at)
    return of("person", "paused", name=person.name, beside=down)


@kind()
def down_and_no_worker(at: Trouble) -> Expected:
    """It fails, and no worker is left that serves it."""
    at.scene.districts[at.district].answer = answers(502)
    at.scene.load(at.district, 8)
    at.scene.work(at.district)
    of_the_fleet.worker_missing(at)
    down = of("provider", "provider_down", name=at.district)
    return of("fleet", "worker_missing", beside=down)


@kind(limit="60/h", burst=60, usual=24)
def slow_and_spent(at: Trouble) -> Expected:
    """It is slow, and one app uses the quota up."""
    district = at.scene.districts[at.district]
    at.scene.clock.advance(3700)
    district.latency_seconds = at.scene.random.uniform(3, 6)
    spent = of_callers.quota_spent(at)
    slow = of("provider", "provider_slow", name=at.district)
    return of("app", "quota_spent", name=spent.name, beside=slow)


@kind()
def throttled_before(at: Trouble) -> Expected:
    """It answered 429 for a minute, and takes calls again."""
    district = at.scene.districts[at.district]
    before, district.answer = district.answer, answers(429, Retry_After="20")
    at.scene.load(at.district, 4)
    at.scene.work(at.district)
    district.answer = before
    at.scene.clock.advance(at.scene.random.uniform(25, 90))
    at.load = max(at.load, 4)
    return Expected()


@kind(usual=24)
def slow_before(at: Trouble) -> Expected:
    """It was slow for a while, and is quick again."""
    district = at.scene.districts[at.district]
    before, district.latency_seconds = district.latency_seconds, at.scene.random.uniform(3, 9)
    at.scene.load(at.district, 12)
    at.scene.work(at.district)
    district.latency_seconds = before
    at.scene.load(at.district, 8)
    at.scene.work(at.district)
    at.load = max(at.load, 6)
    return Expected()


@kind()
def resumed(at: Trouble) -> Expected:
    """Somebody ends a pause, a held breaker and a limit by hand."""
    control = at.scene.gateway.providers.control(at.district)
    control.pause(actor="ana")
    control.set_limits("4/h", actor="ana")
    at.scene.gateway.providers.breakers(at.district).set("open", actor="ana")
    at.scene.load(at.district, 4)
    at.scene.work(at.district)
    control.resume(actor="ben")
    control.set_limits(None, actor="ben")
    at.scene.gateway.providers.breakers(at.district).set("auto", actor="ben")
    return Expected()


@kind()
def back_again(at: Trouble) -> Expected:
    """It gave no answer for a while, and answers again."""
    district = at.scene.districts[at.district]
    district.is_up = False
    at.scene.load(at.district, 6)
    at.scene.work(at.district)
    district.is_up = True
    at.scene.clock.advance(at.scene.random.uniform(100, 240))
    at.load = max(at.load, 6)
    for _ in range(6):
        at.scene.load(at.district, 2)
        at.scene.work(at.district)
        at.scene.clock.advance(4)
    return Expected()
