"""What routes depend on: the caller's gateway, headers that mean something, those who wait."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from sisgate.domain.prefer import Preference, preference_of
from sisgate.errors import UsageError
from sisgate.gateway import Gateway, JobStatus
from sisgate.settings.web import WebConfig
from sisgate.web.identity import caller_of
from sisgate.web.readiness import KeptReadiness
from sisgate.web.streams import LineStreams
from sisgate.web.waiting import WaitingRequests, until_gone

ACTOR = "http"
"""The name in the audit log of a caller without a token."""


@dataclass(frozen=True)
class Shared:
    """What all requests of a process share."""

    config: WebConfig
    waiting: WaitingRequests
    streams: LineStreams
    readiness: KeptReadiness


async def _caller(request: Request) -> Gateway:
    return caller_of(request.scope)


Caller = Annotated[Gateway, Depends(_caller)]
"""The gateway as the caller of this request may use it."""


async def known_parameters(request: Request) -> None:
    """Refuse what the operation has no parameter for: a misspelt `limit` would stream it all.

    Health checks and scrapers may add what they like.
    """
    if not request.query_params or not request.url.path.startswith("/v1/"):
        return
    path = request.app.openapi()["paths"].get(request.scope["route"].path, {})
    parameters = path.get(request.method.lower(), {}).get("parameters", [])
    known = {each["name"] for each in parameters if each["in"] == "query"}
    if request.query_params.keys() - known:
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"A parameter of the query is not known. Known: {names}.")


async def no_unread_body(request: Request) -> None:
    """Refuse a body where the operation takes none: a reason in it would be lost."""
    if request.scope["route"].body_field is not None or not request.url.path.startswith("/v1/"):
        return
    try:
        body = await request.body()
    except ClientDisconnect:
        raise UsageError("The request broke off before its end.") from None
    if body.strip() not in {b"", b"{}"}:
        hint = " A reason goes into the query: ?reason=…" if request.method == "DELETE" else ""
        raise UsageError(f"This operation takes no body.{hint}")


async def shared_of(request: Request) -> Shared:
    """Return what all requests share."""
    shared: Shared = request.app.state.shared
    return shared


Common = Annotated[Shared, Depends(shared_of)]


@dataclass(frozen=True)
class JobEnd:
    """The end of a job, for which a request waits as long as its caller prefers."""

    gateway: Gateway
    preference: Preference
    waiting: WaitingRequests
    request: Request
    response: Response

    async def of(self, job_id: str) -> JobStatus:
        """Return the status of a job once it has ended, or as it is after the wait."""
        seconds, gone = self.preference.wait_seconds, until_gone(self.request)
        status = await self.waiting.ended(self.gateway, job_id, seconds, gone)
        if self.preference.applied is not None:
            self.response.headers["Preference-Applied"] = self.preference.applied
        return status

    async def of_accepted(self, job_id: str) -> JobStatus:
        """Do the same for a job of this request: 202 while it goes on, 200 once it has ended."""
        status = await self.of(job_id)
        self.response.status_code = 200 if status.is_final and self.preference.applied else 202
        self.response.headers["Location"] = f"/v1/jobs/{job_id}"
        return status


async def _job_end(
    request: Request,
    response: Response,
    caller: Caller,
    shared: Common,
    prefer: Annotated[
        str | None,
        Header(
            description="`wait=N` waits up to N seconds for the end of the job, `respond-async` "
            "does not wait (RFC 7240).",
            examples=["wait=10"],
        ),
    ] = None,
) -> JobEnd:
    values = request.headers.getlist("prefer") if prefer else ()
    preference = preference_of(values, shared.config.longest_wait_seconds)
    return JobEnd(caller, preference, shared.waiting, request, response)


End = Annotated[JobEnd, Depends(_job_end)]


async def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key with the same request returns the first job "
            "(draft-ietf-httpapi-idempotency-key-header).",
            max_length=300,
            examples=['"nightly-2026-11-29"'],
        ),
    ] = None,
) -> str | None:
    """Return the key of a request; a string of structured fields stands in quotes (RFC 9651)."""
    if key is None or not key.startswith('"'):
        return key
    inner = key[1:-1]
    if len(key) < 2 or not key.endswith('"') or '"' in inner.replace('\\"', ""):
        raise UsageError("The Idempotency-Key begins with a quote and does not end with one.")
    return inner.replace('\\"', '"').replace("\\\\", "\\")


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]

ProviderName = Annotated[str, Path(description="A configured provider.", examples=["powerschool"])]
ResourceName = Annotated[str, Path(description="A dataset.", examples=["students"])]
JobId = Annotated[str, Path(description="The id of a job.", max_length=36)]
Purpose = Annotated[
    str | None, Query(description="Why the data is read, for the audit log.", max_length=500)
]
Because = Annotated[
    str | None, Query(alias="reason", description="For the audit log.", max_length=500)
]
RequestId = Annotated[
    str | None, Query(description="The id of the caller's own request, for the audit log.")
]
