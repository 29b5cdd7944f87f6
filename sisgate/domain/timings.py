"""What else takes time besides calls, and is told by metrics."""

from enum import StrEnum

JOB_ACCEPTED = "gateway:job:accept"
"""The audit event that tells that a job was accepted."""


class Timed(StrEnum):
    """What takes time. The first ones are told by events of the audit log, in their `ms`."""

    ACCEPTED = "accepted"
    """A scheduled sync, from its slot until it was accepted."""

    BEGUN = "begun"
    """A scheduled sync, from its slot until its first call began."""

    ACCEPTANCE = "acceptance"
    """The transaction that accepts jobs."""

    RECORD = "record"
    """The transaction that records what became of a call."""

    WEBHOOK = "webhook"
    """The delivery of a message to a webhook."""

    @property
    def is_of_provider(self) -> bool:
        """Whether it is told for each provider."""
        return self in {Timed.ACCEPTED, Timed.BEGUN}


TOLD_BY_EVENTS = tuple(timed for timed in Timed if timed is not Timed.WEBHOOK)
