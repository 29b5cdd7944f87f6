"""What apps call: enqueue, wait, read."""

from sisgate.gateway.answer import Answer
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.forecast import Plan
from sisgate.gateway.gateway import Gateway
from sisgate.gateway.job import JobStatus
from sisgate.gateway.jobs import DeadLetter, Job
from sisgate.gateway.liveness import Liveness
from sisgate.liveness.obstacles import Cause, Obstacle

__all__ = [
    "Answer", "Cause", "DeadLetter", "DiagnosticResult", "Gateway", "Job", "JobStatus", "Liveness",
    "Obstacle", "Plan",
]  # fmt: skip
