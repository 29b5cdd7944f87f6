"""What nobody did anything about: decisions that wait, forgotten settings, apps behind."""

from dataclasses import replace
from datetime import timedelta

from sisgate.ledger import schema as tables
from sisgate.quarantine import Quarantine
from testbed.heartbeats import BEAT, WORKER
from testbed.http_server import Asked, Reply
from testbed.scene import DISTRICTS, Silence
from testbed.troubles.of_callers import PEOPLE
from testbed.troubles.syncs import answer_lists, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, kind, of
from workers.jobs import planning

DAY = 86_400.0


def apply_version(at: Trouble) -> None:
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
    apply_version(at)
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
    apply_version(at)
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
