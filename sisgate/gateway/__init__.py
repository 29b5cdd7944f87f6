"""What apps call: enqueue, wait, read."""

from sisgate.gateway.answer import Answer
from sisgate.gateway.forecast import Plan
from sisgate.gateway.gateway import Gateway
from sisgate.gateway.job import Job, JobStatus
from sisgate.gateway.remedies import DeadLetter

__all__ = ["Answer", "DeadLetter", "Gateway", "Job", "JobStatus", "Plan"]
