"""Datasets: their locks, the numbers of their changes, and those that a provider doesn't offer."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select, true, tuple_
from sqlalchemy.orm import Session

from sisgate.domain.school_time import Span
from sisgate.domain.service_levels import ReadTimes
from sisgate.domain.states import UNSUCCESSFUL_JOB_STATES, JobKind, JobState
from sisgate.errors import CursorAhead, CursorTooOld
from sisgate.ledger.job_search import is_among, whose
from sisgate.ledger.schema import Dataset, Job
from sisgate.ledger.statements import lock_or_make, seconds_between
from sisgate.ledger.states import is_in, job_is_live

RESTORE_GAP = 1_000_000_000
"""Numbers that a feed leaves out after a restore: more than are given between two backups."""

ASK_AGAIN = timedelta(days=7)
"""After so long a dataset that was refused is asked for once more."""

REFUSED = frozenset({403, 404, 405, 410, 501})
"""Statuses of a server that has no such dataset, or does not give it to this client."""


def lock(session: Session, provider: str, resource: str) -> Dataset:
    """Return the dataset with its row locked until the transaction ends, made if need be."""
    return lock_or_make(session, Dataset, provider=provider, resource=resource)


def last_sync(
    session: Session, provider: str, resource: str, app: str | None = None
) -> tuple[str, datetime] | None:
    """Return the last job that synced a dataset, of an app or of any, and when it was last read."""
    row = session.execute(
        select(Job.id, Dataset.synced_at)
        .join(Dataset, (Dataset.provider == Job.provider) & (Dataset.resource == Job.resource))
        .where(
            Job.kind == JobKind.SYNC,
            Job.state.in_([JobState.DONE, JobState.HELD]),
            Job.resource == resource,
            Dataset.synced_at.is_not(None),
            Job.ended_at.is_not(None),
            *whose(provider, app, None),
        )
        .order_by(Job.ended_at.desc())
        .limit(1)
    ).first()
    return None if row is None or row[1] is None else (row[0], row[1])


def all_of(
    session: Session,
    places: Sequence[tuple[str, str]],
    provider: str | None,
    after: tuple[str, str] | None,
    limit: int | None,
) -> Sequence[Dataset]:
    """Return the datasets in certain places, of a provider or of all, by name.

    `places` are pairs of provider and resource; `*` is any. `after` is the last one that is known.
    """
    query = select(Dataset).order_by(Dataset.provider, Dataset.resource).limit(limit)
    if after is not None:
        query = query.where(tuple_(Dataset.provider, Dataset.resource) > after)
    if provider is not None:
        query = query.where(Dataset.provider == provider)
    return session.scalars(query.where(is_among(Dataset, places))).all()


def newest_change(session: Session, provider: str, resource: str) -> int:
    """Return the number of a dataset's newest change, 0 where there is none."""
    return ends_of_feed(session, provider, resource)[0]


def ends_of_feed(session: Session, provider: str, resource: str) -> tuple[int, int]:
    """Return the numbers of a feed's newest change and of the newest that is gone, 0 for none."""
    dataset = session.get(Dataset, (provider, resource))
    return (dataset.last_sequence, dataset.change_horizon) if dataset is not None else (0, 0)


def begin_feeds_anew(session: Session) -> list[str]:
    """Make every feed go on above all cursors that apps can hold; return the datasets.

    For a ledger that was restored from an older backup: apps hold numbers that it has not given
    yet, and would miss the changes that get them anew.
    """
    begun = []
    for dataset in session.scalars(select(Dataset).with_for_update()):
        dataset.last_sequence += RESTORE_GAP
        dataset.change_horizon = dataset.last_sequence
        begun.append(f"{dataset.provider}/{dataset.resource}")
    return sorted(begun)


def refuse_cursor(session: Session, provider: str, resource: str, since: int) -> None:
    """Raise where the changes after a cursor are not all there, or it is of another feed."""
    newest, horizon = ends_of_feed(session, provider, resource)
    anew = (
        f"Note the newest number, {newest} now, read all records again, and then follow the "
        "changes since that number."
    )
    detail = {"provider": provider, "resource": resource, "cursor": since, "newest": newest}
    if since > newest:
        raise CursorAhead(
            f"The feed of {provider} {resource} ends at number {newest}, and no change {since} was "
            "ever made in it: the ledger was restored from an older backup, or the cursor is that "
            f"of another dataset or ledger. {anew}",
            **detail,
        )
    if since < horizon:
        raise CursorTooOld(
            f"The changes of {provider} {resource} up to number {horizon} are gone (deleted after "
            "their time, retention.changes, or given up after a restore), so a reader at "
            f"{since} would miss some. {anew}",
            horizon=horizon,
            **detail,
        )


class ReadDataset(NamedTuple):
    """When a dataset was read last; None for never."""

    provider: str
    resource: str
    synced_at: datetime | None


def read_before(session: Session, moment: datetime) -> list[ReadDataset]:
    """Return the datasets that were read, and not since a time."""
    query = select(Dataset.provider, Dataset.resource, Dataset.synced_at).where(
        Dataset.synced_at < moment
    )
    return [ReadDataset(*row) for row in session.execute(query)]


def never_read(session: Session, app: str, since: datetime, until: datetime) -> set[ReadDataset]:
    """Return the datasets that were never read, though syncs of an app, accepted then, tried to.

    Without those that the provider refused, which may not be there.
    """
    is_tried = is_in(Job.state, *UNSUCCESSFUL_JOB_STATES) & is_in(
        Job.state, JobState.FAILED, JobState.EXPIRED
    )
    query = (
        select(Job.provider, Job.resource, Job.error)
        .outerjoin(Dataset, (Dataset.provider == Job.provider) & (Dataset.resource == Job.resource))
        .where(is_tried, Job.accepted_at.between(since, until), Job.app == app)
        .where(Job.kind == JobKind.SYNC, Dataset.synced_at.is_(None))
    )
    return {
        ReadDataset(provider, str(resource), None)
        for provider, resource, error in session.execute(query)
        if (error or {}).get("status") not in REFUSED
    }


def being_synced(session: Session) -> set[tuple[str, str]]:
    """Return the datasets whose sync has not ended, by provider and name."""
    query = select(Job.provider, Job.resource).where(job_is_live(), Job.kind == JobKind.SYNC)
    return {(provider, str(resource)) for provider, resource in session.execute(query.distinct())}


def with_failed_syncs(session: Session, now: datetime) -> frozenset[str]:
    """Return the providers that may have absent datasets: some sync of theirs failed lately."""
    failed = (
        (Job.state == JobState.FAILED)
        & (Job.accepted_at > now - ASK_AGAIN)
        & (Job.kind == JobKind.SYNC)
    )
    return frozenset(session.scalars(select(Job.provider).where(failed).distinct()))


def absent(session: Session, provider: str, now: datetime) -> list[Job]:
    """Return the newest job of each dataset that the provider refused, by name.

    Nothing else is stored of them. A dataset that was ever read is not absent but broken. Nor is
    any while nothing at all has been read: a provider that refuses everything has another trouble,
    which each sync is to report.
    """
    read = set(
        session.scalars(
            select(Dataset.resource).where(
                Dataset.provider == provider, Dataset.synced_at.is_not(None)
            )
        )
    )
    if not read:
        return []
    failed = (
        (Job.provider == provider)
        & (Job.state == JobState.FAILED)
        & (Job.accepted_at > now - ASK_AGAIN)
        & (Job.kind == JobKind.SYNC)
    )
    newest = (
        select(Job.resource, func.max(Job.accepted_at).label("at"))
        .where(failed)
        .group_by(Job.resource)
        .subquery()
    )
    rows = session.scalars(
        select(Job)
        .join(newest, (Job.resource == newest.c.resource) & (Job.accepted_at == newest.c.at))
        .where(failed)
        .order_by(Job.resource)
    )
    found = {str(job.resource): job for job in rows if (job.error or {}).get("status") in REFUSED}
    return [job for resource, job in found.items() if resource not in read]


def read_times(
    session: Session,
    until: datetime,
    apart: timedelta,
    provider: str | None = None,
    *,
    since: datetime | None = None,
) -> dict[tuple[str, str], ReadTimes]:
    """Return when each dataset was read from `since` on and before `until`, by its names.

    With all pauses of `apart` and longer. Without `since`, as far back as jobs are kept.
    """
    at, place = Job.ended_at, (Job.provider, Job.resource)
    before = func.lag(at, type_=at.type).over(partition_by=place, order_by=at).label("before")
    behind = func.lead(at).over(partition_by=place, order_by=at).label("behind")
    reads = select(*place, at, before, behind).where(
        Job.kind == JobKind.SYNC,
        Job.state.in_([JobState.DONE, JobState.HELD]),
        Job.resource.is_not(None),
        at < until,
        true() if since is None else at >= since,
        *whose(provider, None, None),
    )
    each = reads.subquery().c
    is_long = seconds_between(session, each.before, each.ended_at) >= apart.total_seconds() - 1
    query = select(each.provider, each.resource, each.before, each.ended_at)
    query = query.where(or_(each.before.is_(None), each.behind.is_(None), is_long))
    first: dict[tuple[str, str], datetime] = {}
    last: dict[tuple[str, str], datetime] = {}
    pauses: defaultdict[tuple[str, str], list[Span]] = defaultdict(list)
    for name, resource, previous, moment in session.execute(query.order_by(each.ended_at)):
        read = name, resource
        last[read] = moment
        if previous is None:
            first[read] = moment
        elif moment - previous >= apart:
            pauses[read].append((previous, moment))
    return {read: ReadTimes(first[read], last[read], pauses[read]) for read in first}
