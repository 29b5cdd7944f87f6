"""sisgate: job orchestration between school apps and Student Information Systems."""

from sisgate.errors import SisgateError
from sisgate.gateway import Answer, Gateway, Job, JobStatus, Plan

__all__ = ["Answer", "Gateway", "Job", "JobStatus", "Plan", "SisgateError"]
__version__ = "0.1.0"
