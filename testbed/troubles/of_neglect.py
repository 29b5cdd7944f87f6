"""What nobody did anything about: decisions that wait, forgotten settings, apps behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from sisgate.domain.rates import Rate
from sisgate.errors import SisgateError, TooManyRequests
from sisgate.ledger import schema as tables
from sisgate.quarantine import Quarantine
from sisgate.web.inbound import InboundLimits
from testbed.heartbeats import BEAT, WORKER
from testbed.http_server import Asked, Reply
from testbed.scene import DISTRICTS, Silence
from testbed.troubles.of_callers import PEOPLE, many_behind_one
from testbed.troubles.syncs import answer_lists, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of
from workers.jobs import planning
from workers.maintenance import reconciler

DAY = 86_400.0


def _apply(at: Trouble) -> None:
    """Let the fleet follow a version of the configuration."""
    file = at.scene.gateway.settings.config_file
    assert file is not None
    at.scene.gateway.configuration.apply(file, actor="test")
    at.scene.follow_configuration()


def _later(at: Trouble, days: float) -> None:
    """Let days pass in which the fleet is alive."""
    at.scene.clock.advance(days * DAY)


@kind(bench_only=True)
def held_for_days(at: Trouble) -> Expected:
    """A sync was held days ago, and nobody decided: no further one deletes, and data grows old."""
    orgs = schools(40)
    answer_lists(at, pages(orgs))
    sync(at)
    del orgs[4:]
    sync(at)
    _later(at, 4)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs", "fleet"))
    return of("provider", "sync_held", name=at.district, says="4 d")


@kind(bench_only=True)
def pause_forgotten(at: Trouble) -> Expected:
    """Somebody paused it for the holidays, weeks ago."""
    who = at.scene.random.choice(PEOPLE)
    at.scene.gateway.providers.control(at.district).pause(actor=who, reason="holidays")
    _later(at, 21)
    at.subject = at.scene.random.choice((at.district, "fleet"))
    return of("person", "paused", name=who, says="21 d")


@kind(more='[schedules.nightly]\nprovider = "*"\nresources = ["orgs"]\ncron = "0 2 * * *"\n')
def schedule_removed(at: Trouble) -> Expected:
    """Somebody took the schedule out of the configuration days ago; nothing reads it any more."""
    answer_lists(at, pages(schools(40)))
    jobs = at.scene.gateway.schedules.run("nightly")
    for job in jobs:
        planning.plan(at.scene.runtime, job.id)
    while not all(at.scene.gateway.jobs.status(job.id).is_final for job in jobs):
        at.scene.work()
        at.scene.clock.advance(3)
    file = at.scene.gateway.settings.config_file
    assert file is not None
    text = file.read_text()
    file.write_text(text[: text.index("[schedules.nightly]")])
    at.scene.gateway.configuration.apply(file, actor="ana")
    at.scene.follow_configuration()
    _later(at, 6)
    at.subject = f"{at.district}/orgs"
    return of("nobody", "dataset_unscheduled", says="nightly")


@kind(
    more='[schedules.yearly]\nprovider = "*"\nresources = ["orgs"]\ncron = "0 2 2 9 *"\n'
    '[objectives]\nfreshness = "4h"\n',
    bench_only=True,
)
def schedule_too_rare(at: Trouble) -> Expected:
    """Data should be hours old at most, and the schedule reads it once a year."""
    answer_lists(at, pages(schools(40)))
    sync(at)
    _later(at, 0.7)
    at.subject = f"{at.district}/orgs"
    return of("nobody", "data_stale", says="yearly")


@kind(
    more='[schedules.hourly]\nprovider = "*"\nresources = ["orgs"]\nevery = "1h"\n', bench_only=True
)
def schedule_not_run(at: Trouble) -> Expected:
    """The schedule's last starts were missed: beat was away, and has come back."""
    answer_lists(at, pages(schools(40)))
    sync(at)
    _later(at, 0.2)
    at.subject = f"{at.district}/orgs"
    return of("nobody", "data_stale", says="hourly", may_doubt=True)


@kind(bench_only=True)
def feed_unread(at: Trouble) -> Expected:
    """An app that follows a feed has not asked for days, and is far behind."""
    orgs = schools(10)
    answer_lists(at, pages(orgs))
    sync(at)
    app = at.scene.as_app("roster")
    list(app.changes(at.district, "orgs", since=0))
    _later(at, 9)
    orgs += [{**each, "sourcedId": f"new-{each['sourcedId']}"} for each in schools(300)]
    sync(at)
    at.subject = f"{at.district}/orgs"
    return of("app", "feed_unread", name="roster", says="300")


@kind(bench_only=True)
def webhook_dead(at: Trouble) -> Expected:
    """The receiver of a webhook has been down for a day."""
    hooks = at.scene.gateway.webhooks
    hook = hooks.add("https://receiver.invalid/in", ["job.ended"], every_app=True)
    with at.scene.runtime.database.write() as session:
        row = session.get_one(tables.Webhook, hook.id)
        row.failures, row.last_error = 40, "no connection"
        row.failing_since = at.scene.clock.now() - timedelta(days=1)
    at.subject = "fleet"
    return of("app", "webhook_fails", says="receiver.invalid")


@kind(bench_only=True)
def two_beats(at: Trouble) -> Expected:
    """A second beat was started on another host: harmless, but nobody meant it."""
    _apply(at)
    at.scene.heartbeats.send(replace(BEAT, id="beat-2", host="there", pid=9, configuration=1))
    at.subject = "fleet"
    return of("fleet", "beats_double", or_well=True)


@kind(bench_only=True)
def one_host_without_master_key(at: Trouble) -> Expected:
    """One of two hosts lacks the master key: it makes no calls with keys."""
    at.district = "clark"
    other = replace(
        WORKER, id="other", name="w2@there", host="there", queues=("sisgate", *DISTRICTS),
        master_keys=(), calls=(),
    )  # fmt: skip
    at.scene.heartbeats.send(other)
    at.subject = at.scene.random.choice(("clark", "fleet"))
    return of("fleet", "master_key_missing", says="there")


@kind(bench_only=True)
def older_worker(at: Trouble) -> Expected:
    """The worker of one host was not upgraded."""
    _apply(at)
    masters = tuple(each.id.hex() for each in at.scene.runtime.master_keys)
    other = replace(
        WORKER, id="other", name="w2@there", host="there", queues=DISTRICTS, version="0.0.9",
        master_keys=masters, configuration=1, calls=(),
    )  # fmt: skip
    at.scene.heartbeats.send(other)
    at.subject = "fleet"
    return of("fleet", "versions_differ", says="there")


@kind()
def messages_quarantined(at: Trouble) -> Expected:
    """A program that is none of ours puts messages into a provider's queue."""
    quarantine = Quarantine(at.scene.runtime.redis)
    for number in range(at.scene.random.randint(2, 9)):
        quarantine.put(b'{"task": "legacy.sync", "n": %d}' % number, "not a task", at.district)
    at.subject = at.scene.random.choice((at.district, "fleet"))
    return of("nobody", "messages_quarantined", says="quarantine")


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


def _move_to_one_host(at: Trouble) -> str:
    """Let two districts be on the host of the first one, as one vendor's customers are."""
    first, second = DISTRICTS[:2]
    gateway = at.scene.gateway
    _apply(at)
    old, new = (at.scene.districts[name].server.url for name in (second, first))
    plan = gateway.configuration.plan_renamed_endpoint(second, old, f"{new}/second")
    gateway.configuration.apply(plan, actor="test")
    at.scene.follow_configuration()
    for name in (first, second):
        at.scene.load(name, 4)
        at.scene.work(name)
    return new.partition("//")[2].partition(":")[0]


@kind(bench_only=True)
def vendor_host_gone(at: Trouble) -> Expected:
    """The host of two districts accepts no connection; the third one, elsewhere, answers."""
    host = _move_to_one_host(at)
    at.scene.clock.advance(700)
    at.scene.load("clark", 4)
    at.scene.work("clark")
    at.scene.districts[DISTRICTS[0]].stop()

    def more() -> None:
        for name in DISTRICTS:
            at.scene.load(name, 3)
            at.scene.work(name)

    at.more, at.load = more, 0
    at.district = DISTRICTS[0]
    at.subject = "fleet"
    return of("provider", "host_down", name=host)


@kind()
def vendor_host_gone_alone(at: Trouble) -> Expected:
    """The same, and no other host was called: one host is no network."""
    _move_to_one_host(at)
    at.scene.clock.advance(700)
    at.scene.districts[DISTRICTS[0]].stop()

    def more() -> None:
        for name in DISTRICTS[:2]:
            at.scene.load(name, 3)
            at.scene.work(name)

    at.more, at.load = more, 0
    at.subject = at.scene.random.choice(("fleet", *DISTRICTS[:2]))
    return of("provider", "provider_down", "provider_unreachable", may_doubt=True)


@kind(bench_only=True)
def vendor_host_fails(at: Trouble) -> Expected:
    """The host of two districts answers 503 to both."""
    host = _move_to_one_host(at)
    at.scene.districts[DISTRICTS[0]].answer = answers(503)

    def more() -> None:
        for name in DISTRICTS[:2]:
            at.scene.load(name, 3)
            at.scene.work(name)

    at.more, at.load = more, 0
    at.subject = "fleet"
    return of("provider", "host_down", name=host)


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


@kind(wants_key=True, bench_only=True)
def key_revoked_by_the_vendor(at: Trouble) -> Expected:
    """The client was deleted at the vendor: token requests are 400, as the standard says."""
    at.district = "clark"

    def answer(_: Asked) -> Reply:
        return 400, {"Content-Type": "application/json"}, b'{"error": "invalid_client"}'

    at.scene.districts["clark"].answer = answer
    for key in at.scene.runtime.redis.scan_iter("sisgate:*token*"):
        at.scene.runtime.redis.delete(key)
    return of("key", "key_refused")


@kind()
def post_in_doubt(at: Trouble) -> Expected:
    """Some changes were sent and had no answer days ago, and nobody resolved them."""
    good = at.scene.districts[at.district].answer

    def answer(_: Asked) -> Reply:
        raise Silence

    at.scene.districts[at.district].answer = answer
    at.scene.as_app("portal").enqueue_request(
        at.district, "POST", "/mine", body=b"{}", timeout=3600
    )
    at.scene.work(at.district)
    at.scene.districts[at.district].answer = good
    at.scene.clock.advance(timedelta(days=2).total_seconds())
    at.subject = at.scene.random.choice((at.district, "fleet"))
    return of("provider", "outcome_unknown", name=at.district)


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
