"""sisgate: job orchestration between school apps and Student Information Systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.errors import SisgateError
from sisgate.start_up import names_from

if TYPE_CHECKING:  # a `__getattr__` here would hide misspelt names from type checkers
    from sisgate.gateway import Answer, Gateway, Job, JobStatus, NewRequest, NewSync, Plan
else:
    __getattr__ = names_from(
        __name__, {"sisgate.gateway": "Answer Gateway Job JobStatus NewRequest NewSync Plan"}
    )

__all__ = ["Answer", "Gateway", "Job", "JobStatus", "NewRequest", "NewSync", "Plan", "SisgateError"]
__version__ = "0.1.0"
