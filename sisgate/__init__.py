"""sisgate: job orchestration between school apps and Student Information Systems."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sisgate.errors import SisgateError

if TYPE_CHECKING:
    from sisgate.gateway import Answer, Gateway, Job, JobStatus, NewRequest, NewSync, Plan

__all__ = ["Answer", "Gateway", "Job", "JobStatus", "NewRequest", "NewSync", "Plan", "SisgateError"]
__version__ = "0.1.0"

if not TYPE_CHECKING:  # otherwise every misspelt name would pass a type checker

    def __getattr__(name: str) -> object:
        """Load the gateway on first access: most modules of sisgate do without it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("sisgate.gateway"), name)
