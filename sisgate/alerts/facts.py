"""What the rules of alerts are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sisgate.verdict.facts import FleetFacts


@dataclass(frozen=True)
class PatternNews:
    """An error pattern that is new, came back, or comes far more often than it did."""

    id: str
    provider: str
    what: str
    kind: str
    count: int
    job: str | None = None


@dataclass(frozen=True)
class MissedSync:
    """A dataset that was not read when its schedule said: when that was, and the last time.

    `synced_at` is None if it was never read.
    """

    schedule: str
    due: datetime
    synced_at: datetime | None


@dataclass(frozen=True)
class AuditTrouble:
    """What is wrong with the audit log: what the alert is about, the words, numbers."""

    subject: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AlertFacts:
    """What rules are judged by: the facts of a verdict, and what else rules ask for.

    `patterns` are by provider, and so are in `burning` the objectives whose budget burns, with the
    rate. `audit` is what is wrong with the audit log. `missed` are, by the time that rules ask for,
    the datasets of providers that were not read for so long.
    """

    fleet: FleetFacts
    patterns: Mapping[str, Sequence[PatternNews]] = field(default_factory=dict)
    burning: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    audit: Sequence[AuditTrouble] = ()
    missed: Mapping[timedelta, Mapping[str, Mapping[str, MissedSync]]] = field(default_factory=dict)
