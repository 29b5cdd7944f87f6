"""Retrying or cancelling all jobs that match: first a review, then the action."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sisgate.access.policy import Action
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.states import LIVE_JOB_STATES, JobState
from sisgate.domain.validation import chosen
from sisgate.errors import SisgateError, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.job import own_app, places_of, status_of
from sisgate.gateway.job_status import JobStatus
from sisgate.ledger import job_filter as ledger

BulkAction = Literal["retry", "cancel"]

MOST_AT_ONCE = 2_000
"""Jobs of one bulk action; a second one takes the next."""

SAMPLE = 10
PAGE = 200

CAN: Mapping[str, tuple[JobState, ...]] = {
    "retry": (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED),
    "cancel": LIVE_JOB_STATES,
}
"""The states in which an action is possible."""


@dataclass(frozen=True)
class BulkReview:
    """What an action would be done to. `count` is at most `MOST_AT_ONCE`, then `is_capped`.

    `left_out` counts by state the matching jobs in which it is not possible.
    """

    action: BulkAction
    wanted: JobFilter
    count: int
    is_capped: bool
    by_state: Mapping[str, int]
    left_out: Mapping[str, int]
    sample: Sequence[JobStatus]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for the filter."""
        return {
            "action": self.action, "count": self.count, "is_capped": self.is_capped,
            "by_state": dict(self.by_state), "left_out": dict(self.left_out),
            "sample": [each.as_dict() for each in self.sample],
        }  # fmt: skip


@dataclass(frozen=True)
class BulkConflict:
    """A job to which it could not be done, and why: it has moved, or may not be touched."""

    job: str
    message: str


@dataclass(frozen=True)
class BulkOutcome:
    """How many jobs it was done to, and the conflicts. `more`: there are jobs left that match."""

    action: BulkAction
    done: int
    conflicts: Sequence[BulkConflict]
    more: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        conflicts = [{"job": each.job, "message": each.message} for each in self.conflicts]
        return {"action": self.action, "done": self.done, "conflicts": conflicts, "more": self.more}


def review(core: Core, action: str, wanted: JobFilter) -> BulkReview:
    """Return what an action would be done to; changes nothing."""
    word = _action(action)
    possible = _possible(word, wanted)
    mine = _mine(core)
    with core.database.read() as session:
        matching = ledger.count_matching(session, wanted, **mine, most=MOST_AT_ONCE + 1)
        fitting = ledger.count_matching(session, possible, **mine, most=MOST_AT_ONCE + 1)
        rows = ledger.matching(session, possible, **mine, after=None, limit=SAMPLE)
        sample = [status_of(row, {}) for row in rows]
    left_out = {s: n for s, n in matching.items() if JobState(s) not in CAN[word]}
    count = fitting.total()
    return BulkReview(
        word, wanted, min(count, MOST_AT_ONCE), count > MOST_AT_ONCE, fitting, left_out, sample
    )


def carry_out(
    core: Core, action: str, wanted: JobFilter, act: Callable[[JobStatus], object]
) -> BulkOutcome:
    """Do it to each job that matches now, the oldest of a page last; errors are conflicts."""
    word = _action(action)
    done = 0
    conflicts: list[BulkConflict] = []
    for seen, status in enumerate(_all(core, _possible(word, wanted))):
        if seen >= MOST_AT_ONCE:
            return BulkOutcome(word, done, conflicts, more=True)
        try:
            act(status)
            done += 1
        except SisgateError as error:
            conflicts.append(BulkConflict(status.id, error.message))
    return BulkOutcome(word, done, conflicts, more=False)


def _all(core: Core, wanted: JobFilter) -> Iterator[JobStatus]:
    """Yield the jobs that match, page by page."""
    mine, after = _mine(core), None  # type: dict[str, Any], Any
    while True:
        with core.database.read() as session:
            rows = ledger.matching(session, wanted, **mine, after=after, limit=PAGE)
            page = [status_of(row, {}) for row in rows]
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].accepted_at, page[-1].id


def _mine(core: Core) -> dict[str, Any]:
    principal = core.access.require_role(Action.ENQUEUE)
    return {"app": own_app(principal), "places": places_of(principal)}


def _action(word: str) -> BulkAction:
    chosen("action", get_args(BulkAction), word)
    return "retry" if word == "retry" else "cancel"


def _possible(action: BulkAction, wanted: JobFilter) -> JobFilter:
    """Return the filter without the states in which the action is impossible."""
    can = CAN[action]
    states = tuple(state for state in wanted.states if state in can) if wanted.states else can
    if not states:
        raise UsageError(f"No job of that state can be handled by {action}: {', '.join(can)} can.")
    return replace(wanted, states=states, unretried=wanted.unretried or action == "retry")
