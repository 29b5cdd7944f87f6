"""What apps call: enqueue, wait, read."""

from sisgate.access.policy import Role
from sisgate.access.token_service import TokenInfo
from sisgate.admission.state import LimiterState
from sisgate.audit.archive import Segment
from sisgate.audit.chain import IssueKind, VerificationResult
from sisgate.gateway.answer import Answer
from sisgate.gateway.datasets import AbsentDataset
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.forecast import Plan
from sisgate.gateway.gateway import Gateway
from sisgate.gateway.job import DeadLetter, JobStatus
from sisgate.gateway.jobs import Job
from sisgate.gateway.key_info import KeyInfo
from sisgate.gateway.liveness import Liveness
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.overview import Overview, ProviderOverview
from sisgate.ledger.audit_log import Filter as AuditFilter
from sisgate.ledger.keys import Slot
from sisgate.ledger.records import StoredChange, StoredRecord
from sisgate.ledger.schema import AuditEvent
from sisgate.liveness.obstacles import Cause, Obstacle
from sisgate.privacy.disclosures import PersonDisclosure
from sisgate.privacy.erasure import ErasureReport
from sisgate.privacy.persons import PersonResource
from sisgate.privacy.retention import RetentionResult

__all__ = [
    "AbsentDataset", "Answer", "AuditEvent", "AuditFilter", "Cause", "DeadLetter",
    "DiagnosticResult", "ErasureReport", "Gateway", "IssueKind", "Job", "JobStatus", "KeyInfo",
    "LimiterState", "Liveness", "NewRequest", "NewSync", "Obstacle", "Overview",
    "PersonDisclosure", "PersonResource", "Plan", "ProviderOverview", "RetentionResult", "Role",
    "Segment", "Slot", "StoredChange", "StoredRecord", "TokenInfo", "VerificationResult",
]  # fmt: skip
