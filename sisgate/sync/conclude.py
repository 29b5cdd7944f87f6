"""The end of a sync: was everything read, what is gone, and is that plausible?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.errors import AnswerInvalid
from sisgate.ledger import call_queue, datasets, deletions, jobs, listings, records, variants
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose, position_of
from sisgate.ledger.deletions import Doomed
from sisgate.ledger.schema import Call, Dataset, Job, ListingRow
from sisgate.providers.dialect import Listing
from sisgate.settings import ProviderConfig
from sisgate.sync import progress, start
from sisgate.sync.completeness import MAX_PASSES, CompletenessResult, PageFact, assess, full_passes
from sisgate.sync.pages import Edges
from sisgate.sync.progress import NAMED, Flaws, of_pages

DELETE_SHARE = 0.2
"""A sync that would delete more than this share of a dataset is held for a person."""

ALWAYS_BELIEVED = 10
"""Up to this many deletions are not held, however small the dataset, if most of it stays."""


@dataclass(frozen=True)
class _Judged:
    row: ListingRow
    listing: Listing
    verdict: CompletenessResult
    full_passes: int
    flaws: Flaws


def conclude(session: Session, job: Job, config: ProviderConfig, now: datetime) -> bool:
    """End a sync whose calls have all ended, or plan another pass; return whether it ended."""
    assert job.resource is not None
    dataset = datasets.lock(session, job.provider, job.resource)
    if job.mode == "incremental" and (job.witness is not None or job.rows_seen == 0):
        _doubt_filter(session, job, config, dataset, now)
        return False
    judged = _judge(session, job)
    if _read_again(session, job, judged, now):
        return False
    if job.rows_seen == 0 and (lost := sum(len(j.flaws.lost) for j in judged)):
        _fail_unusable(session, job, lost, now)
        return True
    incomplete = next((j for j in judged if not j.verdict.complete), None)
    if job.mode == "full" and incomplete is None and _prove(session, job, dataset, judged, now):
        return False
    notes = [] if incomplete is None else [_incomplete_note(incomplete)]
    _end(session, job, dataset, [*notes, *_marred_notes(judged)], now, complete=not notes)
    return True


def _doubt_filter(
    session: Session, job: Job, config: ProviderConfig, dataset: Dataset, now: datetime
) -> None:
    """Read in full, because the filter did not return the newest known record.

    The record may have been deleted at the provider, so the full read shows whether the filter is
    to blame. If no such record is known, the filter is blamed for an empty response immediately.
    """
    why = "the provider's filter did not give back the newest known record"
    if dataset.newest_id is None:
        progress.give_up_filter(session, job, config, why, now)
    else:
        progress.restart_full(session, job, config, dataset, why, now)


def _prove(
    session: Session, job: Job, dataset: Dataset, judged: Sequence[_Judged], now: datetime
) -> bool:
    """Plan what is still needed to trust a complete full read; return whether anything is.

    If records are absent, each list must be proven by its pages or read twice. Then, and in the
    first full read of a dataset, a list's total alone does not prove its end.
    """
    absent = deletions.count(session, dataset, job.id, job.generation).absent
    planned = False
    for one in judged:
        if one.row.looks > MAX_PASSES:
            continue
        beyond = one.verdict.beyond
        if beyond is not None and (absent or dataset.full_synced_at is None):
            one.row.looks += 1
            page = NewCall(Purpose.PAGE, one.row.id, beyond, look=one.row.looks)
            call_queue.plan(session, job, [page], now)
        elif absent and not one.verdict.proven and one.full_passes < 2:
            why = "records are missing from it, and its pages alone do not prove that"
            _reread(session, job, one.row, why, now)
        else:
            continue
        planned = True
    return planned


def _end(
    session: Session,
    job: Job,
    dataset: Dataset,
    notes: Sequence[str],
    now: datetime,
    *,
    complete: bool,
) -> None:
    """End the sync: delete what is gone if that is plausible, else hold it for a person."""
    job.complete = complete
    is_full = job.mode == "full" and job.complete
    generation = job.generation if is_full else None
    doomed = deletions.count(session, dataset, job.id, generation)
    notes = [*notes, *([job.note] if job.note else [])]
    if not job.options.get("allow_deletes") and is_suspicious(doomed, inserted=job.inserted):
        job.note = " ".join([*notes, _held_note(doomed, doomed.live - job.inserted)])
        jobs.end(session, job, JobState.HELD, now)
        return
    if is_full:
        job.updated += variants.forget_unseen(
            session, dataset, job.generation or 0, job_id=job.id, now=now
        )
    if conflicts := variants.count_conflicts(session, dataset):
        notes.append(_conflicts_note(conflicts))
    if doomed.count:
        job.deleted += deletions.carry_out(session, dataset, job.id, generation, now)
    job.note = " ".join(notes) or None
    if job.complete:
        _note_synced(session, job, dataset, now)
    jobs.end(session, job, JobState.DONE, now)


def _note_synced(session: Session, job: Job, dataset: Dataset, now: datetime) -> None:
    dataset.synced_at = now
    is_newer = dataset.high_water is None or (job.high_water or dataset.high_water) > (
        dataset.high_water
    )
    # A full read sees all times, so it also corrects a wrong one.
    if job.high_water is not None and (is_newer or job.mode == "full"):
        dataset.high_water, dataset.newest_id = job.high_water, job.newest_id
    if job.mode == "incremental":
        dataset.filter_works = True
        return
    dataset.full_synced_at = now
    if job.witness is not None and records.is_live(
        session, dataset, job.witness, job.generation or 0
    ):
        # The record exists, but the filter had not returned it.
        dataset.filter_works = False


def is_suspicious(doomed: Doomed, *, inserted: int) -> bool:
    """Return whether a sync would delete implausibly much of a dataset.

    `inserted` records are new in this sync and do not make up for deleted ones.

    >>> is_suspicious(Doomed(live=100, marked=5, absent=15), inserted=0)
    False
    >>> is_suspicious(Doomed(live=100, marked=6, absent=15), inserted=0)
    True
    >>> is_suspicious(Doomed(live=2000, marked=0, absent=400), inserted=1600)
    True
    >>> is_suspicious(Doomed(live=0, marked=0), inserted=1)
    False
    """
    if doomed.count == 0:
        return False  # then `live` is not counted either
    known = doomed.live - inserted
    if doomed.count <= ALWAYS_BELIEVED and doomed.count < known - doomed.count:
        return False
    return doomed.count > DELETE_SHARE * known


def _held_note(doomed: Doomed, known: int) -> str:
    parts = [
        f"{doomed.absent} are no longer in the provider's list" if doomed.absent else "",
        f"{doomed.marked} are marked as deleted by the provider" if doomed.marked else "",
    ]
    return (
        f"{doomed.count} of {known} records would be deleted: {' and '.join(filter(None, parts))}. "
        "That is more than is deleted without approval. If it is right, approve it: in the "
        "console, or by a sync with --allow-deletes."
    )


def _judge(session: Session, job: Job) -> list[_Judged]:
    pages: dict[int, list[Call]] = {}
    for call in listings.pages_of(session, job.id):
        pages.setdefault(call.listing_id or 0, []).append(call)
    judged = []
    for row in listings.of_job(session, job.id):
        listing, calls = Listing.from_json(row.plan), pages.get(row.id, [])
        facts = [_fact(call) for call in calls]
        verdict = assess(listing, facts, row.total, row.looks)
        flaws = of_pages(call.error for call in calls)
        if verdict.complete and flaws.lost:
            verdict = CompletenessResult(complete=False, reason=flaws.lost_text)
        judged.append(_Judged(row, listing, verdict, full_passes(facts), flaws))
    return judged


def _fact(call: Call) -> PageFact:
    edges = call.edges or {"first": [], "last": []}
    target = call.target or {}
    return PageFact(
        position=position_of(call),
        rows=call.rows or 0,
        total=call.total,
        edges=Edges(tuple(edges["first"]), tuple(edges["last"])),
        pass_number=call.look,
        more=edges.get("more"),
        refused=(call.status or 0) >= 400,
        bridged=target.get("bridged"),
        seam=target.get("seam"),
    )


def _read_again(session: Session, job: Job, judged: Sequence[_Judged], now: datetime) -> bool:
    planned = False
    for one in judged:
        verdict, row = one.verdict, one.row
        if verdict.reread:
            _reread(session, job, row, verdict.reason or "it changed while it was read", now)
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


def _reread(session: Session, job: Job, row: ListingRow, why: str, now: datetime) -> None:
    row.looks += 1
    told = f"The list {row.name} was read again, because {why}."
    note = job.note or ""
    if told not in note and note.count(" was read again, ") < NAMED:
        job.note = " ".join(filter(None, [job.note, told]))
    start.begin_listing(session, job, row, now)


def _fail_unusable(session: Session, job: Job, lost: int, now: datetime) -> None:
    """Fail a sync in which no row at all was a record."""
    error = AnswerInvalid(
        f"None of the {lost} rows that the provider sent could be used. Check the provider's kind, "
        "version and base_path."
    )
    jobs.end(session, job, JobState.FAILED, now, error=error.as_dict())


def _conflicts_note(count: int) -> str:
    ids = "1 id was" if count == 1 else f"{count:,} ids were"
    return (
        f"{ids} sent by the provider with different rows. They cannot be merged, so the last new "
        "row is stored."
    )


def _marred_notes(judged: Sequence[_Judged]) -> list[str]:
    """Return the notes on records that were read without a field."""
    marred = [j for j in judged if j.flaws.marred]
    return [f"{j.listing.name}: {j.flaws.marred_text}." for j in marred[:NAMED]]


def _incomplete_note(judged: _Judged) -> str:
    return (
        f"The list {judged.listing.name} could not be read completely: {judged.verdict.reason}. "
        "What was read is stored; nothing is deleted for being absent. The next sync rereads it."
    )
