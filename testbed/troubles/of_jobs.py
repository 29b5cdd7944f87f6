"""What one job waits for, or how it ended."""

from sisgate.domain.states import JobState
from testbed.http_server import Asked, Reply
from testbed.scene import Silence
from testbed.troubles.syncs import answer_lists, begin_sync, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of
from workers.maintenance import reconciler


def _ask(at: Trouble, **words: object) -> str:
    """Let one app ask for a call that the verdict is asked about."""
    words = {"timeout": 3600, **words}
    job = at.scene.as_app("portal").enqueue_request(at.district, "GET", "/mine", **words)  # type: ignore[arg-type]  # as named
    at.subject = job.id
    return job.id


def _expire(at: Trouble, seconds: float) -> None:
    at.scene.clock.advance(seconds)
    reconciler.reconcile(at.scene.runtime)
    assert at.subject is not None
    assert at.scene.gateway.jobs.status(at.subject).state is JobState.EXPIRED


@kind()
def job_done(at: Trouble) -> Expected:
    """It is done, and then its provider fails."""
    _ask(at)
    at.scene.work(at.district)
    at.scene.districts[at.district].answer = answers(500)
    return Expected()


@kind()
def job_cancelled(at: Trouble) -> Expected:
    """Somebody cancels it while its provider fails."""
    at.scene.districts[at.district].answer = answers(500)
    at.scene.gateway.jobs.cancel(_ask(at), actor="ana")
    return of("person", "job_cancelled", name="ana")


@kind()
def job_unknown(at: Trouble) -> Expected:
    """It was sent, changes something, and had no answer."""

    def answer(_: Asked) -> Reply:
        raise Silence

    at.scene.districts[at.district].answer = answer
    job = at.scene.as_app("portal").enqueue_request(
        at.district, "POST", "/mine", body=b"{}", timeout=3600
    )
    at.subject = job.id
    at.scene.work(at.district)
    return of("provider", "outcome_unknown", name=at.district)


@kind()
def job_held(at: Trouble) -> Expected:
    """It would delete too much."""
    orgs = schools(40)
    answer_lists(at, pages(orgs))
    sync(at)
    del orgs[3:]
    at.subject = sync(at)
    return of("provider", "sync_held", name=at.district, says="orgs")


@kind()
def job_refused(at: Trouble) -> Expected:
    """The provider does not know what it asks for."""
    at.scene.districts[at.district].answer = answers(at.scene.random.choice((400, 404, 422)))
    _ask(at)
    at.scene.work(at.district)
    return of("app", "requests_refused", name="portal")


@kind(limit="60/h", burst=60)
def job_expired_by_quota(at: Trouble) -> Expected:
    """Another app had used the quota up, until its time was over."""
    at.scene.ask(at.district, "reports", 60, "urgent")
    at.scene.work(at.district)
    _ask(at, timeout=at.scene.random.randint(30, 300))
    _expire(at, 301)
    at.load = 0
    return of("app", "quota_spent", name="reports")


@kind()
def job_expired_while_down(at: Trouble) -> Expected:
    """Its provider failed until its time was over."""
    at.scene.districts[at.district].answer = answers(500)
    at.scene.load(at.district, 8)
    at.scene.work(at.district)
    _ask(at, timeout=20)
    _expire(at, 21)
    return of("provider", "provider_down", "retry_waits", name=at.district)


@kind()
def job_without_worker(at: Trouble) -> Expected:
    """No worker serves its provider."""
    at.scene.be_alive(queues=("sisgate", "clark"))
    _ask(at)
    at.works = False
    return of("fleet", "worker_missing")


@kind()
def job_lost(at: Trouble) -> Expected:
    """Its worker died."""
    _ask(at)
    at.scene.claim(at.district)
    at.scene.be_alive(calls=())
    at.scene.clock.advance(12)
    at.load = 0
    return of("fleet", "calls_lost")


@kind()
def job_under_way(at: Trouble) -> Expected:
    """Its call was sent a second ago."""
    _ask(at)
    at.scene.be_alive(calls=tuple(at.scene.claim(at.district)), busy=1)
    at.load = 0
    return Expected()


@kind(limit="200/h", burst=20)
def job_behind_others(at: Trouble) -> Expected:
    """Another app's more urgent calls come first, at the pace of the limit."""
    at.scene.ask(at.district, "reports", 100, "urgent")
    at.scene.work(at.district)
    _ask(at, priority="low")
    at.load = 0
    return of("app", "quota_spent", "turn_waits", "app_flood", name="reports")


@kind()
def job_of_a_sync(at: Trouble) -> Expected:
    """A sync whose provider fails."""
    at.scene.districts[at.district].answer = answers(503)
    at.subject = begin_sync(at)
    return of("provider", "provider_down", "retry_waits", name=at.district)
