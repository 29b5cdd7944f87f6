"""Conditions on the states of jobs and calls, written so that the right index serves them.

The indexes of states hold live rows only, so they stay small. States are literals, because SQLite
uses such an index only where the text of its condition is part of the query. With old statistics
PostgreSQL takes each of them for nearly empty, so a condition fits one of them at most.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, true

from sisgate.domain.states import (
    LIVE_CALL_STATES,
    LIVE_JOB_STATES,
    UNSUCCESSFUL_JOB_STATES,
    CallState,
    JobState,
)
from sisgate.ledger.schema import Call, Job


def is_in(state: Any, *states: StrEnum) -> ColumnElement[bool]:
    """Return the condition by which rows of a column's states are looked for."""
    literals: list[ColumnElement[str]] = [literal_column(f"'{each.value}'") for each in states]
    found: ColumnElement[bool] = state == literals[0] if len(literals) == 1 else state.in_(literals)
    return found


def is_still(state: Any, *states: StrEnum) -> ColumnElement[bool]:
    """Return the condition that a row, found by something else, is in one of the states.

    It has a form that no index serves: with old statistics PostgreSQL would prefer an index of a
    state to the primary key, and read all rows of that state.
    """
    return is_in(state, *states).is_(true())


def live_call(*states: CallState) -> ColumnElement[bool]:
    """Return the condition of live calls of a job, or of those in some of the live states.

    Together with the job it is served by the index of a job's calls without an end.
    """
    return and_(Call.ended_at.is_(None), is_still(Call.state, *(states or LIVE_CALL_STATES)))


def live_retry(*states: CallState) -> ColumnElement[bool]:
    """Return the condition of live retries in some states; they have an index by provider."""
    is_live = is_in(Call.state, *LIVE_CALL_STATES)
    return and_(Call.is_retry, is_live, is_still(Call.state, *states))


def job_is_live() -> ColumnElement[bool]:
    """Return the condition by which live jobs are looked for."""
    return is_in(Job.state, *LIVE_JOB_STATES)


def job_ended_as(state: JobState) -> ColumnElement[bool]:
    """Return the condition by which jobs of an unsuccessful end are looked for."""
    return is_in(Job.state, *UNSUCCESSFUL_JOB_STATES) & is_in(Job.state, state)
