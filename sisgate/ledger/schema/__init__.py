"""The tables of the ledger, by aggregate; all are imported from here."""

from sisgate.ledger.schema.access import AccessSession, AccessToken, PrivacyKey, Suppression
from sisgate.ledger.schema.alerts import (
    Alert,
    AlertEvaluation,
    AlertMessage,
    AlertSilence,
    ErrorCount,
    ErrorPattern,
)
from sisgate.ledger.schema.audit import (
    AuditConfiguration,
    AuditEvent,
    AuditSeal,
    AuditVerification,
    AuditWriter,
)
from sisgate.ledger.schema.base import Base, BigId, Json, UtcDateTime, serialise_json, table_of
from sisgate.ledger.schema.configuration import ConfigurationVersion
from sisgate.ledger.schema.jobs import Attempt, Call, Job, ListingRow, Response
from sisgate.ledger.schema.keys import Key, KeySlot, KeyUsage
from sisgate.ledger.schema.providers import Control, UsageHour
from sisgate.ledger.schema.records import (
    Change,
    Dataset,
    FeedPosition,
    KnownPage,
    MarkedDeletion,
    Record,
    Sighting,
    Variant,
)
from sisgate.ledger.schema.rollups import BreakerChange, Rollup, RollupProgress, TimingSketch
from sisgate.ledger.schema.webhooks import (
    ProviderCondition,
    Webhook,
    WebhookAttempt,
    WebhookInterest,
    WebhookMessage,
    WebhookOutbox,
)

__all__ = [
    "AccessSession", "AccessToken", "Alert", "AlertEvaluation", "AlertMessage", "AlertSilence",
    "Attempt", "AuditConfiguration", "AuditEvent", "AuditSeal", "AuditVerification",
    "AuditWriter", "Base", "BigId", "BreakerChange", "Call", "Change", "ConfigurationVersion",
    "Control", "Dataset", "ErrorCount", "ErrorPattern", "FeedPosition", "Job", "Json", "Key",
    "KeySlot", "KeyUsage", "KnownPage", "ListingRow", "MarkedDeletion", "PrivacyKey",
    "ProviderCondition", "Record", "Response", "Rollup", "RollupProgress", "Sighting",
    "Suppression", "TimingSketch", "UsageHour", "UtcDateTime", "Variant", "Webhook",
    "WebhookAttempt", "WebhookInterest", "WebhookMessage", "WebhookOutbox", "serialise_json",
    "table_of",
]  # fmt: skip
