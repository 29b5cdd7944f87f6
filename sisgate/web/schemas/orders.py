"""Jobs as callers order them: syncs, requests, and many at once."""

from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from sisgate.domain.priorities import PriorityName
from sisgate.gateway import NewRequest, NewSync
from sisgate.web.schemas.document import Json, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason

OnUnavailableName = Literal["wait", "fail", "stale"]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
ChosenId = Annotated[
    str | None, Field(max_length=36, description="The id of the job; by default a new one.")
]


class AnySyncOrder(OrderDocument):
    """A sync of one dataset, alone or among others."""

    provider: str
    resource: str
    priority: PriorityName = "normal"
    mode: Literal["auto", "full", "incremental"] = "auto"
    allow_deletes: Annotated[
        bool, Field(description="Approve any number of deletions. Needs the role operator.")
    ] = False
    timeout: Annotated[Seconds | None, Field(description="Seconds to the job's deadline.")] = None
    expires_at: Moment | None = None
    app: Annotated[str | None, Field(description="The app it is for; with a token, its own.")] = (
        None
    )
    request_id: str | None = None
    reason: Reason = None


class SyncOrder(AnySyncOrder):
    """A sync of one dataset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"provider": "powerschool", "resource": "students", "priority": "high"}]
        }
    )

    job_id: ChosenId = None
    on_unavailable: OnUnavailableName = "wait"

    def arguments(self, key: str | None) -> Json:
        """Return what the gateway takes, by name."""
        return {**dict(self), "idempotency_key": key}


class ManySyncsOrder(OrderDocument):
    """Syncs of the providers chosen by `pool`, `kind` and `name` (a pattern, as lincoln-*)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"where": {"pool": "north"}, "resources": ["students"]}]}
    )

    where: Annotated[dict[str, str], Field(description="Empty: all providers.")] = Field(
        default_factory=dict
    )
    resources: Annotated[
        list[str], Field(max_length=100, description="Empty: each provider's whole roster.")
    ] = Field(default_factory=list)
    priority: PriorityName = "normal"
    mode: Literal["auto", "full", "incremental"] = "auto"
    allow_deletes: Annotated[bool, Field(description="Needs the role operator.")] = False
    timeout: Annotated[Seconds | None, Field(description="Seconds to the jobs' deadline.")] = None
    app: str | None = None
    reason: Reason = None
    with_absent: Annotated[
        bool, Field(description="Also datasets that a provider lately refused.")
    ] = False

    def arguments(self, key: str | None) -> Json:
        """Return what the gateway takes, by name."""
        return {**dict(self), "idempotency_key": key}


class AnyRequestOrder(OrderDocument):
    """One call to a provider, alone or among others."""

    provider: str
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: dict[str, str] | list[tuple[str, str]] | None = None
    payload: Annotated[Any, Field(alias="json", description="Sent as JSON.")] = None
    body: Annotated[Base64Bytes | None, Field(description="Sent as it is; base64.")] = None
    headers: dict[str, str] | None = None
    priority: PriorityName = "urgent"
    timeout: Annotated[Seconds | None, Field(description="Seconds to the job's deadline.")] = None
    request_id: str | None = None
    transform: Annotated[str | None, Field(description="A transform of the provider.")] = None


class RequestOrder(AnyRequestOrder):
    """One call to a provider."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"provider": "powerschool", "method": "GET", "path": "/ws/v1/district"}]
        }
    )

    job_id: ChosenId = None
    on_unavailable: OnUnavailableName = "wait"
    max_age: Annotated[
        float | None,
        Field(ge=0, le=10**9, description="How old a shared or stored answer may be, in seconds."),
    ] = None

    def arguments(self, key: str | None) -> Json:
        """Return what the gateway takes, by name."""
        own = {name: getattr(self, name) for name in RequestOrder.model_fields}
        return own | {"json": own.pop("payload"), "idempotency_key": key}


class AnswerOrder(RequestOrder):
    """One call to a provider whose caller waits for the answer, for `timeout` seconds."""

    timeout: Seconds = 2.0

    def order(self, key: str | None) -> NewRequest:
        """Return it as the gateway takes it."""
        return NewRequest(**self.arguments(key))


class BulkSync(AnySyncOrder):
    """A sync among others, which always waits while its provider takes no calls."""

    kind: Literal["sync"]
    idempotency_key: str | None = None
    on_unavailable: Literal["wait"] = "wait"
    job_id: SkipJsonSchema[None] = None

    def order(self) -> NewSync:
        """Return it as the gateway takes it."""
        own = {name: getattr(self, name) for name in AnySyncOrder.model_fields}
        return NewSync(**own, idempotency_key=self.idempotency_key)


class BulkRequest(AnyRequestOrder):
    """A call among others, which always waits while its provider takes no calls."""

    kind: Literal["request"]
    idempotency_key: str | None = None
    on_unavailable: Literal["wait"] = "wait"
    job_id: SkipJsonSchema[None] = None
    max_age: SkipJsonSchema[None] = None

    def order(self) -> NewRequest:
        """Return it as the gateway takes it."""
        own = {name: getattr(self, name) for name in AnyRequestOrder.model_fields}
        return NewRequest(
            **own | {"json": own.pop("payload")}, idempotency_key=self.idempotency_key
        )


class BulkOrder(OrderDocument):
    """Syncs and requests, all accepted or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [{"kind": "sync", "provider": "powerschool", "resource": "students"}]}
            ]
        }
    )

    items: Annotated[
        list[Annotated[BulkSync | BulkRequest, Field(discriminator="kind")]],
        Field(max_length=10_000),
    ]
