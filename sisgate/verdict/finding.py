"""What a verdict consists of: findings, each with its culprit, evidence and remedy. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal

from sisgate.domain.sentences import as_sentence

PartyKind = Literal["provider", "key", "app", "person", "fleet", "redis", "database", "nobody"]
Standing = Literal["well", "warning", "degraded", "stopped"]


class Trouble(StrEnum):
    """What is wrong where work is made, for programs. What the fleet lacks is a `Cause`."""

    PAUSED = "paused"
    BREAKER_BY_HAND = "breaker_by_hand"
    LIMIT_BY_HAND = "limit_by_hand"
    PROVIDER_DOWN = "provider_down"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    HOST_DOWN = "host_down"
    NETWORK_DOWN = "network_down"
    PROVIDER_SLOW = "provider_slow"
    PROVIDER_THROTTLES = "provider_throttles"
    TOKENS_FAIL = "tokens_fail"
    ANSWERS_INVALID = "answers_invalid"
    KEY_REFUSED = "key_refused"
    KEY_EXPIRED = "key_expired"
    KEY_EXPIRES = "key_expires"
    CERTIFICATE_EXPIRES = "certificate_expires"
    PROVIDER_MISCONFIGURED = "provider_misconfigured"
    PROVIDER_REMOVED = "provider_removed"
    PROVIDER_MOVED = "provider_moved"
    QUOTA_SPENT = "quota_spent"
    APP_FLOOD = "app_flood"
    REQUESTS_REFUSED = "requests_refused"
    PACE_BOUND = "pace_bound"
    WORKERS_BUSY = "workers_busy"
    CALLS_LOST = "calls_lost"
    LEDGER_SLOW = "ledger_slow"
    DISK_LOW = "disk_low"
    LIMITER_REBUILDS = "limiter_rebuilds"
    SYNC_HELD = "sync_held"
    DATA_STALE = "data_stale"
    NEVER_READ = "never_read"
    DATASET_ABSENT = "dataset_absent"
    DATASET_FAILS = "dataset_fails"
    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"
    LIST_INCOMPLETE = "list_incomplete"
    DATASET_UNSCHEDULED = "dataset_unscheduled"
    FEED_UNREAD = "feed_unread"
    QUEUE_FULL = "queue_full"
    MESSAGES_QUARANTINED = "messages_quarantined"
    WEBHOOK_FAILS = "webhook_fails"
    INBOUND_REFUSED = "inbound_refused"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RETRY_WAITS = "retry_waits"
    TURN_WAITS = "turn_waits"
    DEADLINE_SHORT = "deadline_short"
    UNEXPLAINED = "unexplained"


class Severity(IntEnum):
    """How much a finding matters."""

    WARNS = 1
    HARMS = 2
    STOPS = 3


class Certainty(IntEnum):
    """How sure a finding is: read from a state, concluded from numbers, or only possible."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3

    @property
    def word(self) -> str:
        """The certainty as people and programs read it."""
        return self.name.lower()


STANDINGS: Mapping[Severity, Standing] = {
    Severity.WARNS: "warning",
    Severity.HARMS: "degraded",
    Severity.STOPS: "stopped",
}


@dataclass(frozen=True, slots=True)
class Party:
    """Who is at fault: the kind of party, and its name where it has one.

    >>> str(Party("app", "reports")), str(Party("redis"))
    ('app reports', 'redis')
    """

    kind: PartyKind
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and who is at fault.

    `cause` is a `Trouble`, or a `Cause` of the fleet's obstacles. `message` has no full stop,
    `remedy` is whole sentences. `evidence` holds numbers, times and ids by name.
    """

    cause: str
    party: Party
    severity: Severity
    certainty: Certainty
    message: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None

    @property
    def sentence(self) -> str:
        """The message as a sentence."""
        return as_sentence(self.message, self.provider)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "cause": str(self.cause),
            "culprit": {"kind": self.party.kind, "name": self.party.name},
            "severity": self.severity.name.lower(),
            "certainty": self.certainty.word,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": dict(self.evidence),
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """How something stands, and why: the findings, the one to act on first.

    `subject` is what was asked about. `figures` are numbers of the moment, whatever was found.
    """

    subject: str
    at: datetime
    findings: Sequence[Finding] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        """How it stands, by the worst finding."""
        worst = max((each.severity for each in self.findings), default=None)
        return "well" if worst is None else STANDINGS[worst]

    @property
    def culprit(self) -> Finding | None:
        """The finding that explains it; None if nothing is wrong or the evidence is thin."""
        if not self.findings or self.findings[0].certainty < Certainty.LIKELY:
            return None
        return self.findings[0]

    @property
    def is_unclear(self) -> bool:
        """Whether something is wrong and the evidence does not say who is at fault."""
        return bool(self.findings) and self.culprit is None

    @property
    def summary(self) -> str:
        """Return the verdict as one sentence.

        >>> Verdict("lincoln", datetime.now()).summary
        'lincoln: all is well.'
        """
        if not self.findings:
            return f"{self.subject}: all is well."
        if self.culprit is not None:
            return f"{self.subject} ({self.standing}): {self.culprit.message}."
        candidates = "; or ".join(each.message for each in self.findings[:3])
        return f"{self.subject} ({self.standing}): it is unclear why. Perhaps {candidates}."

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        culprit = self.culprit
        return {
            "subject": self.subject,
            "at": self.at.isoformat(),
            "standing": self.standing,
            "is_unclear": self.is_unclear,
            "summary": self.summary,
            "culprit": culprit.as_dict() if culprit else None,
            "findings": [each.as_dict() for each in self.findings],
            "figures": dict(self.figures),
        }
