"""Work that waits for its turn: behind other apps, for a slot, at a slowed pace."""

from contextlib import suppress

from sisgate.errors import SisgateError
from testbed.scene import DISTRICTS
from testbed.troubles.of_callers import PEOPLE, many_behind_one
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of
from workers.maintenance import reconciler


@kind(bench_only=True)
def expired_in_a_pause(at: Trouble) -> Expected:
    """A job's time was over in a pause that has ended since."""
    who = at.scene.random.choice(PEOPLE)
    control = at.scene.gateway.providers.control(at.district)
    control.pause(actor=who, reason="maintenance")
    job = at.scene.as_app("portal").enqueue_request(at.district, "GET", "/mine", timeout=300)
    at.scene.clock.advance(301)
    reconciler.reconcile(at.scene.runtime)
    control.resume(actor=who)
    at.scene.clock.advance(60)
    at.subject, at.load = job.id, 0
    return of("person", "paused", says="is paused")


@kind(limit="60/h", burst=60, bench_only=True)
def third_starves(at: Trouble) -> Expected:
    """Two apps call everything urgent, so that a third one's calls wait for ever."""
    for _ in range(45):
        for app in ("one", "two"):
            at.scene.ask(at.district, app, 1, "urgent")
    at.scene.work(at.district)
    job = at.scene.as_app("third").enqueue_request(
        at.district, "GET", "/mine", timeout=7200, priority="low"
    )
    at.subject, at.load = job.id, 0
    return of("nobody", "quota_spent", "turn_waits", "app_flood", says="two")


@kind(settings="max_waiting_jobs = 20", limit="30/h", burst=10)
def queue_full(at: Trouble) -> Expected:
    """An app has filled the provider's queue, so that no other app's jobs are accepted."""

    def fill() -> None:
        with suppress(SisgateError):
            at.scene.ask(at.district, "reports", 60, "low")

    fill()
    at.scene.work(at.district)
    fill()
    at.load, at.works = 0, False
    return of("app", "queue_full", name="reports")


@kind(bench_only=True)
def others_slots(at: Trouble) -> Expected:
    """Every slot waits for another provider, which hangs: this one's calls wait for it."""
    hung, at.district = DISTRICTS[0], DISTRICTS[1]
    at.scene.load(hung, 4)
    held = at.scene.claim(hung)
    at.scene.clock.advance(at.scene.random.uniform(100, 200))
    at.scene.be_alive(calls=tuple(held), busy=4, full_seconds=100.0)
    at.load, at.works = 4, False
    at.subject = at.scene.random.choice((at.district, "fleet"))
    return of("provider", "provider_slow", "slots_full", "workers_busy", name=hung)


@kind(limit="2000/h", burst=5, bench_only=True)
def slowed_down(at: Trouble) -> Expected:
    """It refused many calls by 429, so that the pace is a fraction of the limit still."""
    district = at.scene.districts[at.district]
    good, district.answer = district.answer, answers(429)
    for _ in range(8):
        at.scene.load(at.district, 3)
        at.scene.work(at.district)
        at.scene.clock.advance(31)
    district.answer = good
    at.scene.ask(at.district, at.scene.apps[0], 200)
    return of("provider", "provider_throttles", "pace_bound", name=at.district, says="429")


@kind(
    settings='school_hours = { zone = "UTC", start = "06:00", end = "18:00", max_concurrency = 1 }',
    bench_only=True,
)
def school_hours(at: Trouble) -> Expected:
    """One call at a time is allowed while the school is open, and many wait for long."""
    many_behind_one(at)
    return of("nobody", "pace_bound", says="school")
