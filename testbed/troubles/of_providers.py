"""Troubles of a provider: it fails, is slow, is gone, or answers nonsense."""

from testbed.http_server import Asked, Reply
from testbed.scene import Silence
from testbed.troubles.syncs import answer_lists, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of


@kind()
def well(at: Trouble) -> Expected:
    """Nothing happens."""
    return Expected()


@kind()
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


@kind()
def fails(at: Trouble) -> Expected:
    """It answers 5xx."""
    status = at.scene.random.choice((500, 502, 503, 504))
    at.scene.districts[at.district].answer = answers(status)
    return of("provider", "provider_down", name=at.district)


@kind()
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


@kind()
def asks_for_time(at: Trouble) -> Expected:
    """It answers 503 with a Retry-After."""
    at.scene.districts[at.district].answer = answers(503, Retry_After="300")
    return of("provider", "provider_down", name=at.district)


@kind()
def throttles(at: Trouble) -> Expected:
    """It answers 429, though the limit is not reached."""
    seconds = at.scene.random.choice(("60", "300", "900"))
    at.scene.districts[at.district].answer = answers(429, Retry_After=seconds)
    return of("provider", "provider_throttles", name=at.district)


@kind()
def is_silent(at: Trouble) -> Expected:
    """It accepts connections and answers nothing, while others answer."""
    at.others_work = True

    def answer(_: Asked) -> Reply:
        raise Silence

    at.scene.districts[at.district].answer = answer
    return of("provider", "provider_down", "provider_unreachable", name=at.district)


@kind()
def is_gone(at: Trouble) -> Expected:
    """It accepts no connection, while others answer."""
    at.others_work = True
    at.scene.districts[at.district].stop()
    return of("provider", "provider_down", "provider_unreachable", name=at.district)


@kind()
def is_gone_alone(at: Trouble) -> Expected:
    """It accepts no connection, and no other was called: it may be our own network."""
    at.scene.clock.advance(700)
    at.scene.districts[at.district].stop()
    at.scene.load(at.district, 4)
    return of(
        "provider", "provider_down", "provider_unreachable", name=at.district, may_doubt=True
    )  # fmt: skip


@kind(usual=24)
def is_slow(at: Trouble) -> Expected:
    """Its latency grows."""
    district = at.scene.districts[at.district]
    district.latency_seconds = max(1.5, district.latency_seconds * at.scene.random.uniform(6, 30))
    at.load = max(at.load, 5)
    return of("provider", "provider_slow", name=at.district)


@kind(usual=24)
def hangs(at: Trouble) -> Expected:
    """Calls are under way that it does not answer."""
    at.scene.load(at.district, 2)
    held = at.scene.claim(at.district)
    at.scene.be_alive(calls=tuple(held), busy=2)
    at.scene.clock.advance(at.scene.random.uniform(30, 80))
    at.load = 0
    return of("provider", "provider_slow", name=at.district)


@kind()
def answers_invalid(at: Trouble) -> Expected:
    """A page of a proxy comes in place of the lists of a sync."""
    page = b"<html>Welcome to the cafeteria</html>"
    answer_lists(at, lambda _: (200, {"Content-Type": "text/html"}, page))
    sync(at)
    return of("provider", "answers_invalid", name=at.district)


@kind()
def sync_held(at: Trouble) -> Expected:
    """Most records of a dataset are gone in the next full read."""
    orgs = schools(40)
    answer_lists(at, pages(orgs))
    sync(at)
    del orgs[4:]
    sync(at)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "sync_held", name=at.district)
