"""The states of jobs and calls, and which of them are final."""

from enum import StrEnum


class JobKind(StrEnum):
    """What an app can request."""

    SYNC = "sync"
    REQUEST = "request"


class JobState(StrEnum):
    """The life of a job. `held` is final too: done, but deletions wait for a person's approval.

    `unknown`: it is unknown whether the provider carried out the request.
    """

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self not in {JobState.ACCEPTED, JobState.RUNNING}


class CallState(StrEnum):
    """The life of a call.

    `planned`: in the ledger only (not yet published, or waiting until `not_before`).
    `queued`: published to the provider's queue. `running`: claimed under a lease. `unknown`: sent,
    but it is unknown whether the provider carried it out.
    """

    PLANNED = "planned"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the call has ended."""
        return self not in {CallState.PLANNED, CallState.QUEUED, CallState.RUNNING}


class KeyState(StrEnum):
    """The life of a provider's key. A rotation goes from the first to `retired`.

    `staged`: stored, not used. `canary`: one real call tries it. `active`: calls use it.
    `draining`: replaced, but kept for the overlap. `retired` and `revoked`: its secret is gone.
    """

    STAGED = "staged"
    CANARY = "canary"
    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"
    REVOKED = "revoked"

    @property
    def is_final(self) -> bool:
        """Whether its secret has been destroyed."""
        return self in {KeyState.RETIRED, KeyState.REVOKED}


FINAL_JOB_STATES = tuple(state for state in JobState if state.is_final)
UNSUCCESSFUL_JOB_STATES = tuple(state for state in FINAL_JOB_STATES if state is not JobState.DONE)
LIVE_JOB_STATES = tuple(state for state in JobState if not state.is_final)
LIVE_CALL_STATES = tuple(state for state in CallState if not state.is_final)
