"""What apps call: enqueue, wait, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.start_up import names_from

if TYPE_CHECKING:
    from sisgate.access.policy import Action, Role
    from sisgate.access.token_service import TokenInfo
    from sisgate.admission.state import LimiterState
    from sisgate.alerts.evaluation import Silence
    from sisgate.alerts.lifecycle import AlertStatus
    from sisgate.audit.archive import Segment
    from sisgate.audit.findings import IssueKind, VerificationResult
    from sisgate.configuration.diff import TableChange
    from sisgate.domain.choices import PersonResource, Slot
    from sisgate.domain.stored_records import StoredChange, StoredRecord
    from sisgate.gateway.alerts import ChannelStatus
    from sisgate.gateway.answer import Answer
    from sisgate.gateway.attention import Attention
    from sisgate.gateway.bulk_actions import BulkOutcome, BulkReview
    from sisgate.gateway.configuration import AppliedConfiguration, ConfigurationPlan
    from sisgate.gateway.dashboard import Dashboard
    from sisgate.gateway.datasets import AbsentDataset, DatasetStatus
    from sisgate.gateway.diagnosis.result import DiagnosticResult
    from sisgate.gateway.errors import ErrorSummary
    from sisgate.gateway.feeds import Feed, FeedConsumer
    from sisgate.gateway.gateway import Gateway
    from sisgate.gateway.held_deletions import DoomedRecord, HeldDeletions
    from sisgate.gateway.hold import Hold
    from sisgate.gateway.job_handle import Job
    from sisgate.gateway.job_status import DeadLetter, JobStatus
    from sisgate.gateway.key_info import KeyInfo
    from sisgate.gateway.liveness import Liveness
    from sisgate.gateway.many_syncs import SyncResult
    from sisgate.gateway.orders import NewRequest, NewSync
    from sisgate.gateway.overview import Overview, ProviderOverview
    from sisgate.gateway.plan import Plan, PriorityQueue
    from sisgate.gateway.provider_search import ProviderPage
    from sisgate.gateway.readiness import Readiness
    from sisgate.gateway.record_browsing import RecordHistory, RecordInfo, RecordPage
    from sisgate.gateway.timeline import Timeline
    from sisgate.gateway.transforms import TransformTrial
    from sisgate.gateway.usage import Usage
    from sisgate.gateway.wait import Wait
    from sisgate.gateway.webhook_info import WebhookDelivery, WebhookEvents, WebhookInfo
    from sisgate.ledger.audit_log import AuditFilter
    from sisgate.ledger.configuration import VersionInfo
    from sisgate.ledger.schema import AuditEvent
    from sisgate.liveness.obstacles import Cause, Obstacle
    from sisgate.privacy.disclosures import PersonDisclosure
    from sisgate.privacy.erasure import ErasureReport
    from sisgate.privacy.retention import RetentionResult
    from sisgate.verdict.finding import Finding, Verdict
else:
    __getattr__ = names_from(
        __name__,
        {
            "sisgate.access.policy": "Action Role",
            "sisgate.access.token_service": "TokenInfo",
            "sisgate.admission.state": "LimiterState",
            "sisgate.alerts.evaluation": "Silence",
            "sisgate.alerts.lifecycle": "AlertStatus",
            "sisgate.audit.archive": "Segment",
            "sisgate.audit.findings": "IssueKind VerificationResult",
            "sisgate.configuration.diff": "TableChange",
            "sisgate.domain.choices": "PersonResource Slot",
            "sisgate.domain.stored_records": "StoredChange StoredRecord",
            "sisgate.gateway.alerts": "ChannelStatus",
            "sisgate.gateway.answer": "Answer",
            "sisgate.gateway.attention": "Attention",
            "sisgate.gateway.bulk_actions": "BulkOutcome BulkReview",
            "sisgate.gateway.configuration": "AppliedConfiguration ConfigurationPlan",
            "sisgate.gateway.dashboard": "Dashboard",
            "sisgate.gateway.datasets": "AbsentDataset DatasetStatus",
            "sisgate.gateway.diagnosis.result": "DiagnosticResult",
            "sisgate.gateway.errors": "ErrorSummary",
            "sisgate.gateway.feeds": "Feed FeedConsumer",
            "sisgate.gateway.gateway": "Gateway",
            "sisgate.gateway.held_deletions": "DoomedRecord HeldDeletions",
            "sisgate.gateway.hold": "Hold",
            "sisgate.gateway.job_handle": "Job",
            "sisgate.gateway.job_status": "DeadLetter JobStatus",
            "sisgate.gateway.key_info": "KeyInfo",
            "sisgate.gateway.liveness": "Liveness",
            "sisgate.gateway.many_syncs": "SyncResult",
            "sisgate.gateway.orders": "NewRequest NewSync",
            "sisgate.gateway.overview": "Overview ProviderOverview",
            "sisgate.gateway.plan": "Plan PriorityQueue",
            "sisgate.gateway.provider_search": "ProviderPage",
            "sisgate.gateway.readiness": "Readiness",
            "sisgate.gateway.record_browsing": "RecordHistory RecordInfo RecordPage",
            "sisgate.gateway.timeline": "Timeline",
            "sisgate.gateway.transforms": "TransformTrial",
            "sisgate.gateway.usage": "Usage",
            "sisgate.gateway.wait": "Wait",
            "sisgate.gateway.webhook_info": "WebhookDelivery WebhookEvents WebhookInfo",
            "sisgate.ledger.audit_log": "AuditFilter",
            "sisgate.ledger.configuration": "VersionInfo",
            "sisgate.ledger.schema": "AuditEvent",
            "sisgate.liveness.obstacles": "Cause Obstacle",
            "sisgate.privacy.disclosures": "PersonDisclosure",
            "sisgate.privacy.erasure": "ErasureReport",
            "sisgate.privacy.retention": "RetentionResult",
            "sisgate.verdict.finding": "Finding Verdict",
        },
    )

__all__ = [
    "AbsentDataset", "Action", "AlertStatus", "Answer", "AppliedConfiguration", "Attention",
    "AuditEvent", "AuditFilter", "BulkOutcome", "BulkReview", "Cause", "ChannelStatus",
    "ConfigurationPlan", "Dashboard", "DatasetStatus", "DeadLetter", "DiagnosticResult",
    "DoomedRecord", "ErasureReport", "ErrorSummary", "Feed", "FeedConsumer", "Finding", "Gateway",
    "HeldDeletions", "Hold", "IssueKind", "Job", "JobStatus", "KeyInfo", "LimiterState", "Liveness",
    "NewRequest", "NewSync", "Obstacle", "Overview", "PersonDisclosure", "PersonResource", "Plan",
    "PriorityQueue", "ProviderOverview", "ProviderPage", "Readiness", "RecordHistory", "RecordInfo",
    "RecordPage", "RetentionResult", "Role", "Segment", "Silence", "Slot", "StoredChange",
    "StoredRecord", "SyncResult", "TableChange", "Timeline", "TokenInfo", "TransformTrial", "Usage",
    "Verdict", "VerificationResult", "VersionInfo", "Wait", "WebhookDelivery", "WebhookEvents",
    "WebhookInfo",
]  # fmt: skip
