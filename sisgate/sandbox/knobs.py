"""How a simulated server behaves: one model, changed while it runs by `PATCH /sandbox/knobs`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from sisgate.domain.rates import Rate

FaultKind = Literal["status", "reset", "truncate", "malformed", "html", "slow", "hang"]


class Fault(BaseModel):
    """One bad answer. Shorthand: a number is a status, a word is a kind.

    status     the dialect's error with `status` (and Retry-After `retry_after`, any text)
    reset      the connection is reset (RST) before any answer
    truncate   half the body, then the connection closes; Content-Length told the truth
    malformed  status 200 and JSON that ends in the middle, with a fitting Content-Length
    html       a proxy's HTML error page with `status`
    slow       the honest answer at `bytes_per_second`
    hang       no answer until the client goes away
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind = "status"
    status: int = Field(500, ge=200, le=599)
    retry_after: str | None = Field(None, max_length=100, pattern=r"^[\x20-\x7e]*$")
    bytes_per_second: int = Field(1000, ge=1)
    times: int = Field(1, ge=1, le=1_000_000)
    path: str = ""
    """Only calls whose path contains this."""


def _fault_from_shorthand(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"status": value, **({"retry_after": "2"} if value == 503 else {})}
    return {"kind": value} if isinstance(value, str) else value


def _rate_from_text(value: Any) -> Any:
    if value in (None, "none"):
        return None
    return Rate.parse(value) if isinstance(value, str) else value


Milliseconds = Annotated[float, Field(ge=0, le=600_000)]


class Knobs(BaseModel):
    """Everything that can be set. A PATCH replaces the fields it names and leaves the others."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    # Quota and speed.
    quota: Annotated[Rate | None, BeforeValidator(_rate_from_text)] = None
    """`"1000/h"`, or None (`"none"`) for no quota. A change starts a new window."""
    count_refused: bool = False
    """Whether a call that got 429 counts to the window as well."""
    min_interval_seconds: float = Field(0.0, ge=0, le=3600)
    """PowerSchool's own throttle: a call sooner than this after the last one gets 429."""
    latency_ms: Milliseconds | tuple[Milliseconds, Milliseconds] = 0.0
    """Added to each call; a pair is a range drawn from evenly."""

    # Failures.
    error_rate: float = Field(0.0, ge=0, le=1)
    error_statuses: tuple[Annotated[int, Field(ge=400, le=599)], ...] = Field((500,), min_length=1)
    fail_next: tuple[Annotated[Fault, BeforeValidator(_fault_from_shorthand)], ...] = ()
    """The next calls fail like this, in order; a PATCH appends nothing, it replaces."""
    fail_tokens: tuple[Annotated[Fault, BeforeValidator(_fault_from_shorthand)], ...] = ()
    """The same for token requests."""
    deny: tuple[str, ...] = ()
    """Calls whose path contains one of these lack permission (PowerSchool 401, OneRoster 403)."""

    # Lists.
    page_cap: int | None = Field(None, ge=1, le=1_000_000)
    """The most rows of a page; None is 100 for PowerSchool, 1000 for OneRoster."""
    over_cap: Literal["clamp", "refuse"] = "clamp"
    default_limit: int = Field(100, ge=1)
    """OneRoster's page size when `limit` is absent (PowerSchool's is `page_cap`)."""
    list_mode: Literal["honest", "empty", "loop", "shrink", "duplicate"] = "honest"
    """empty: no rows; loop: always the first page; shrink: the second half is missing and
    totals agree; duplicate: each page starts with the last row of the page before."""
    churn_every: int = Field(0, ge=0)
    """After each n-th page served, one row of what was read is deleted and one inserted."""
    send_total: bool = True
    send_link: bool = True
    filter_mode: Literal["honour", "refuse", "ignore", "empty"] = "honour"
    students_envelope: Literal["users", "students"] = "users"
    single_row_object: bool = True
    """PowerSchool: one row is an object, not a list of one."""
    empty_list: Literal["list", "absent"] = "list"
    """PowerSchool: a page without rows has `[]`, or no such field."""
    query_count: Literal["asked", "always", "never"] = "asked"
    """When PowerQuery replies carry `count`; asked: on `count=true`."""
    plugin_installed: bool = True
    """Whether the PowerQueries of sisgate's plugin exist."""

    # Authorization.
    auth: Literal["oauth2", "oauth1"] = "oauth2"
    oneroster_version: Literal["1.1", "1.2"] = "1.2"
    """Skyward only: which base and shape it serves."""
    scope_required: bool = False
    token_lifetime_seconds: float = Field(3600.0, gt=0, le=31_536_000)
    """Of tokens issued from now on."""
    token_expires_in_as_text: bool | None = None
    """None: as text for PowerSchool, as a number for the others."""

    @field_validator("latency_ms")
    @classmethod
    def _ordered(cls, value: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError("a latency range goes from the smaller to the larger number")
        return value

    def patched(self, changes: dict[str, Any]) -> Knobs:
        """Return these knobs with some changed. pydantic's `ValidationError` when one is wrong."""
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return Knobs.model_validate({**current, **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict that `patched` reads back."""
        plain = self.model_dump(mode="json", exclude={"quota"})
        return {**plain, "quota": None if self.quota is None else str(self.quota)}
