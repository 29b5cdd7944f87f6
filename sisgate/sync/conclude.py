"""The end of a sync: was everything read, what is gone, and is that believable?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.ledger import call_queue, jobs, listings, records
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose, position_of
from sisgate.ledger.schema import Call, Dataset, Job, ListingRow
from sisgate.providers.dialect import Listing
from sisgate.settings import ProviderConfig
from sisgate.sync import progress, start
from sisgate.sync.completeness import MAX_LOOKS, PageFact, Verdict, assess, full_looks
from sisgate.sync.pages import Edges

DELETE_SHARE = 0.2
"""A full sync that would delete more than this share of a dataset is held for a person."""

ALWAYS_BELIEVED = 10
"""So few deletions are not held, however small the dataset, while most of it is still there."""


@dataclass(frozen=True)
class _Judged:
    row: ListingRow
    listing: Listing
    verdict: Verdict
    full_looks: int


def conclude(session: Session, job: Job, config: ProviderConfig, now: datetime) -> bool:
    """End a sync whose calls have all ended, or plan another look; return whether it ended."""
    assert job.resource is not None
    dataset = records.lock_dataset(session, job.provider, job.resource)
    if job.mode == "incremental" and job.rows_seen == 0:
        why = "the provider's filter found not even the newest known record"
        progress.give_up_filter(session, job, config, why, now)
        return False
    judged = _judge(session, job)
    if _look_again(session, job, judged, now):
        return False
    incomplete = next((j for j in judged if not j.verdict.complete), None)
    if incomplete is not None:
        job.complete = False
        job.note = _incomplete_note(incomplete)
        jobs.end(session, job, JobState.DONE, now)
        return True
    if job.mode == "full":
        return _conclude_full(session, job, dataset, judged, now)
    _end_complete(session, job, dataset, now)
    return True


def _conclude_full(
    session: Session, job: Job, dataset: Dataset, judged: Sequence[_Judged], now: datetime
) -> bool:
    generation = job.generation or 0
    missing = records.count_missing(session, dataset, generation)
    if missing:
        unproven = [
            j
            for j in judged
            if not j.verdict.proven and j.full_looks < 2 and j.row.looks <= MAX_LOOKS
        ]
        if unproven:
            for one in unproven:
                _relook(session, job, one.row, now)
            return False
        seen = records.count_seen(session, dataset, generation)
        if _is_suspicious(job, missing, seen):
            job.complete = True
            job.note = (
                f"{missing} of {missing + seen} records were not in the provider's list any more. "
                "That is more than is deleted unasked. If it is right, run the sync again with "
                "--allow-deletes."
            )
            jobs.end(session, job, JobState.HELD, now)
            return True
        job.deleted += records.delete_missing(session, dataset, generation, job_id=job.id, now=now)
    dataset.full_synced_at = now
    _end_complete(session, job, dataset, now)
    return True


def _end_complete(session: Session, job: Job, dataset: Dataset, now: datetime) -> None:
    job.complete = True
    dataset.synced_at = now
    if job.high_water and (dataset.high_water is None or job.high_water > dataset.high_water):
        dataset.high_water = job.high_water
    if job.mode == "incremental":
        dataset.filter_works = True
    jobs.end(session, job, JobState.DONE, now)


def _is_suspicious(job: Job, missing: int, seen: int) -> bool:
    if job.options.get("allow_deletes") or (missing <= ALWAYS_BELIEVED and missing < seen):
        return False
    return missing > DELETE_SHARE * (missing + seen)


def _judge(session: Session, job: Job) -> list[_Judged]:
    pages: dict[int, list[PageFact]] = {}
    for call in listings.pages_of(session, job.id):
        pages.setdefault(call.listing_id or 0, []).append(_fact(call))
    judged = []
    for row in listings.of_job(session, job.id):
        listing, facts = Listing.from_json(row.plan), pages.get(row.id, [])
        verdict = assess(listing, facts, row.total, row.looks)
        judged.append(_Judged(row, listing, verdict, full_looks(facts)))
    return judged


def _fact(call: Call) -> PageFact:
    edges = call.edges or {"first": [], "last": []}
    target = call.target or {}
    return PageFact(
        position=position_of(call),
        rows=call.rows or 0,
        total=call.total,
        edges=Edges(tuple(edges["first"]), tuple(edges["last"])),
        look=call.look,
        bridged=target.get("bridged"),
        seam=target.get("seam"),
    )


def _look_again(session: Session, job: Job, judged: Sequence[_Judged], now: datetime) -> bool:
    planned = False
    for one in judged:
        verdict, row = one.verdict, one.row
        if verdict.relook:
            _relook(session, job, row, now)
            planned = True
            continue
        new = [
            NewCall(
                Purpose.BRIDGE,
                row.id,
                bridge.position,
                target=progress.bridge_target(bridge),
                look=row.looks + 1,
            )
            for bridge in verdict.bridges
        ]
        new += [
            NewCall(Purpose.PAGE, row.id, position, look=row.looks + 1)
            for position in verdict.extend
        ]
        if new:
            row.looks += 1
            call_queue.plan(session, job, new, now)
            planned = True
    return planned


def _relook(session: Session, job: Job, row: ListingRow, now: datetime) -> None:
    row.looks += 1
    start.begin_listing(session, job, row, now)


def _incomplete_note(judged: _Judged) -> str:
    return (
        f"The list {judged.listing.name} could not be read completely: {judged.verdict.reason}. "
        "What came is stored; nothing was deleted. The next sync looks again."
    )
