"""Retrying or cancelling all jobs that match: first a review, then the action."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sisgate.access.policy import Action
from sisgate.domain.job_filter import JobFilter, pinned
from sisgate.domain.states import LIVE_JOB_STATES, JobState
from sisgate.domain.validation import chosen
from sisgate.errors import DatabaseUnavailable, SisgateError, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.job import own_app, places_of, status_of
from sisgate.gateway.job_status import JobStatus, read_cursor
from sisgate.ledger import job_filter as ledger

BulkAction = Literal["retry", "cancel"]

MOST_AT_ONCE = 2_000
SECONDS_AT_ONCE = 15.0
"""When one round ends; the next goes on behind its last job."""

MOST_COUNTED = 100_000

SAMPLE = 10
PAGE = 200

CAN: Mapping[str, tuple[JobState, ...]] = {
    "retry": (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED),
    "cancel": LIVE_JOB_STATES,
}
"""The states in which an action is possible."""


@dataclass(frozen=True)
class BulkReview:
    """What an action would be done to: `count` jobs, and if it `is_capped`, more than those.

    `query` finds the same jobs later, and none that is accepted after the review. `left_out` counts
    by state the matching jobs in which the action is not possible, `forbidden` those that the
    caller may see, but not touch.
    """

    action: BulkAction
    wanted: JobFilter
    query: str
    count: int
    is_capped: bool
    by_state: Mapping[str, int]
    left_out: Mapping[str, int]
    forbidden: int
    sample: Sequence[JobStatus]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for the filter."""
        return {
            "action": self.action, "query": self.query, "count": self.count,
            "is_capped": self.is_capped, "by_state": dict(self.by_state),
            "left_out": dict(self.left_out), "forbidden": self.forbidden,
            "sample": [each.as_dict() for each in self.sample],
        }  # fmt: skip


@dataclass(frozen=True)
class BulkConflict:
    """A job to which it could not be done, and why: it has moved, or may not be touched."""

    job: str
    message: str


@dataclass(frozen=True)
class BulkOutcome:
    """How many jobs it was done to, and the conflicts.

    `after` is where the next round goes on; None once no job is left.
    """

    action: BulkAction
    done: int
    conflicts: Sequence[BulkConflict]
    after: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        conflicts = [{"job": each.job, "message": each.message} for each in self.conflicts]
        return {
            "action": self.action, "done": self.done, "conflicts": conflicts, "after": self.after,
        }  # fmt: skip


def review(core: Core, action: str, query: str) -> BulkReview:
    """Return what an action would be done to; changes nothing."""
    word, now = _action(action), core.clock.now()
    query = pinned(query, now)
    wanted = JobFilter.parse(query, now)
    possible, mine = _possible(word, wanted), _mine(core)
    with core.database.read() as session:
        matching = ledger.count_matching(session, wanted, **mine, most=MOST_COUNTED)
        fitting = ledger.count_matching(session, possible, **mine, most=MOST_COUNTED)
        rows = ledger.matching(session, possible, **mine, after=None, limit=SAMPLE)
        sample = [status_of(row, {}) for row in rows]
    left_out, by_state = Counter[str](), Counter[str]()
    for group, count in matching.items():
        if JobState(group.state) not in CAN[word]:
            left_out[group.state] += count
    for group, count in fitting.items():
        if may_act(core, group):
            by_state[group.state] += count
    return BulkReview(
        word, wanted, query, by_state.total(), fitting.total() == MOST_COUNTED, by_state, left_out,
        fitting.total() - by_state.total(), [each for each in sample if may_act(core, each)],
    )  # fmt: skip


def may_act(core: Core, job: JobStatus | ledger.JobGroup) -> bool:
    """Return whether the caller may cancel or retry a job: an app its own, an operator any."""
    is_own = job.app == core.access.principal().name
    action = Action.ENQUEUE if is_own else Action.CONTROL
    return core.access.allows(action, job.provider, job.resource)


def carry_out(
    core: Core, action: str, query: str, after: str | None, act: Callable[[JobStatus], object]
) -> BulkOutcome:
    """Do it to each job that matches now, newest first, behind `after`; errors are conflicts."""
    word, clock = _action(action), core.clock
    wanted = _possible(word, JobFilter.parse(query, clock.now()))
    ends = clock.monotonic() + SECONDS_AT_ONCE
    done = 0
    conflicts: list[BulkConflict] = []
    for seen, status in enumerate(_all(core, wanted, after)):
        if seen >= MOST_AT_ONCE or (seen and clock.monotonic() >= ends):
            return BulkOutcome(word, done, conflicts, after)
        try:
            act(status)
            done += 1
        except DatabaseUnavailable:
            if not seen:
                raise
            return BulkOutcome(word, done, conflicts, after)
        except SisgateError as error:
            conflicts.append(BulkConflict(status.id, error.message))
        after = status.cursor
    return BulkOutcome(word, done, conflicts, None)


def _all(core: Core, wanted: JobFilter, after: str | None) -> Iterator[JobStatus]:
    """Yield the jobs that match, page by page."""
    mine = _mine(core)
    while True:
        with core.database.read() as session:
            behind = read_cursor(after) if after is not None else None
            rows = ledger.matching(session, wanted, **mine, after=behind, limit=PAGE)
            page = [status_of(row, {}) for row in rows]
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].cursor


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
        asked = ", ".join(f"state:{state}" for state in wanted.states)
        raise UsageError(
            f"{action} is not possible for {asked}: only for jobs that are {', '.join(can)}."
        )
    return replace(wanted, states=states, unretried=wanted.unretried or action == "retry")
