"""Turns rows of the ledger into facts of a verdict. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sisgate.domain.links import Link, link_of
from sisgate.domain.states import KeyState
from sisgate.ledger import controls
from sisgate.ledger.recent_work import EndedAttempt, ErrorRow, WaitingCalls
from sisgate.ledger.schema import Control, Job, Key
from sisgate.verdict.facts import AppBacklog, ByHand, KeyStanding, MetError, RecentCall, TimedCall
from sisgate.verdict.unattended import FailedSync, HeldSync, Unsettled

NameOf = Callable[[str], str]
"""Returns how an app is named for the caller, who may see only one."""


def met_error(row: ErrorRow, now: datetime) -> MetError:
    """Return an error of the ledger as a fact."""
    error = row.error
    return MetError(
        code=str(error.get("code", "")),
        message=str(error.get("message", "")),
        status=error.get("status"),
        seconds_ago=(now - row.at).total_seconds() if row.at is not None else None,
        job=row.job,
        link=link_of(error),
        tls=error.get("tls"),
        resource=row.resource,
        broke_off=error.get("broke_off") is True,
        fresh_token=error.get("fresh_token") is True,
    )


def held_sync(job: Job, now: datetime) -> HeldSync:
    """Return a held sync as a fact."""
    seconds = (now - job.ended_at).total_seconds() if job.ended_at is not None else 0.0
    return HeldSync(job.id, job.resource or "", job.note, seconds)


def failed_sync(job: Job) -> FailedSync:
    """Return a sync that failed as a fact."""
    error = job.error or {}
    return FailedSync(
        job.id, job.resource or "", str(error.get("code", "failed")), error.get("status")
    )


def unsettled_jobs(jobs: Sequence[Job], now: datetime) -> Unsettled | None:
    """Return the jobs of unknown outcome, the oldest first, as a fact; None without any."""
    if not jobs:
        return None
    ended = jobs[0].ended_at or now
    return Unsettled(len(jobs), jobs[0].id, (now - ended).total_seconds())


def is_in_use(key: Key) -> bool:
    """Return whether a key is in use. One that was replaced may be refused or expire meanwhile."""
    is_over = key.suspect_at is not None or key.expires_at is not None
    return key.state == KeyState.ACTIVE or (key.state == KeyState.DRAINING and not is_over)


def key_standing(key: Key, failure: str | None, now: datetime) -> KeyStanding:
    """Return a key as a fact; `failure` is why its last rotation failed."""
    return KeyStanding(
        key.id,
        key.slot,
        (key.expires_at - now).total_seconds() if key.expires_at else None,
        (now - key.suspect_at).total_seconds() if key.suspect_at else None,
        failure,
    )


def recent_call(row: EndedAttempt, name_of: NameOf, now: datetime) -> RecentCall:
    """Return a try that has ended as a fact."""
    return RecentCall(
        name_of(row.app),
        row.status,
        (now - row.started_at).total_seconds(),
        row.part,
        row.endpoint,
        Link(row.unsent).step if row.unsent else Link.ANSWER,
        row.is_page,
    )


def timed_calls(attempts: Sequence[EndedAttempt]) -> list[TimedCall]:
    """Return how long the provider and the rest took, of each try that it answered."""
    return [
        TimedCall(seconds, each.all_seconds - seconds, each.part, each.endpoint)
        for each in attempts
        if (seconds := each.provider_seconds) is not None
    ]


def by_hand(control: Control, setting: controls.Setting, until: datetime | None) -> ByHand:
    """Return who has set something by hand, as a fact."""
    setter = controls.setter_of(control, setting)
    if setter is None:
        return ByHand(until=until)
    return ByHand(setter.actor, setter.at, setter.reason, until)


def backlog_by_app(
    rows: Sequence[WaitingCalls], name_of: NameOf, now: datetime
) -> list[AppBacklog]:
    """Return what waits, by app as the caller may know it."""
    calls: dict[str, dict[int, int]] = {}
    oldest: dict[str, dict[int, float]] = {}
    queued: dict[str, dict[int, float]] = {}
    for row in rows:
        app, age = name_of(row.app), (now - row.oldest).total_seconds()
        of_app, ages = calls.setdefault(app, {}), oldest.setdefault(app, {})
        of_app[row.priority] = of_app.get(row.priority, 0) + row.calls
        ages[row.priority] = max(ages.get(row.priority, 0.0), age)
        if row.queued_since is not None:
            seconds = (now - row.queued_since).total_seconds()
            of_it = queued.setdefault(app, {})
            of_it[row.priority] = max(of_it.get(row.priority, 0.0), seconds)
    return [
        AppBacklog(app, of_app, max(oldest[app].values()), oldest[app], queued.get(app, {}))
        for app, of_app in calls.items()
    ]
