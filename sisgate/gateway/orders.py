"""What apps can enqueue: a sync, or one request to a provider."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from sisgate.domain.priorities import Priority
from sisgate.domain.targets import Query
from sisgate.errors import UsageError


@dataclass(frozen=True, slots=True)
class NewSync:
    """A sync of one dataset; see `Gateway.sync`."""

    provider: str
    resource: str
    _: KW_ONLY
    priority: str | Priority = "normal"
    mode: str = "auto"
    allow_deletes: bool = False
    idempotency_key: str | None = None
    timeout: float | None = None
    expires_at: datetime | None = None
    job_id: str | None = None
    app: str | None = None
    request_id: str | None = None
    on_unavailable: str = "wait"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NewRequest:
    """One call to a provider; see `Gateway.enqueue_request`."""

    provider: str
    method: str
    path: str = field(repr=False)
    _: KW_ONLY
    query: Query | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    priority: str | Priority = "urgent"
    timeout: float | None = None
    idempotency_key: str | None = None
    job_id: str | None = None
    request_id: str | None = None
    on_unavailable: str = "wait"
    max_age: float | None = None
    transform: str | None = None

    def __post_init__(self) -> None:
        """Check what would else fail where its name is not known."""
        if self.body is not None and not isinstance(self.body, bytes):
            raise UsageError(
                f"body is bytes, not {type(self.body).__name__}: encode a text, or give json."
            )
        if self.headers is not None and not isinstance(self.headers, Mapping):
            raise UsageError(f"headers is a mapping, not {type(self.headers).__name__}.")
