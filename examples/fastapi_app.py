"""A FastAPI app whose requests to a Student Information System go through sisgate.

Run it with `uvicorn fastapi_app:app`, and ask for
`/sis/powerschool/ws/v1/district`, `/schools` or `/rosters/powerschool/students`.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from sisgate import Gateway, SisgateError
from sisgate.integrations.fastapi import (
    CallOptions,
    Interception,
    SISGateMiddleware,
    answer_with_problem,
    gateway_of,
)

API_KEYS = {"a-key-of-your-own": "front-end"}

app = FastAPI()
app.add_exception_handler(SisgateError, answer_with_problem)


def may_call(request: Request) -> bool:
    """Decide who may reach a provider: the middleware comes before the routes and their checks."""
    return request.headers.get("x-api-key") in API_KEYS


app.add_middleware(
    SISGateMiddleware,
    name="portal",
    authorize=may_call,
    accept_headers=may_call,
    options=CallOptions(priority="normal", highest_priority="high", timeout=5.0),
    rules=[Interception("/schools", "powerschool", "/ws/v1/district/school", methods=["GET"])],
)


def require_key(request: Request) -> None:
    """Refuse callers without a key: the middleware guards its own paths only."""
    if not may_call(request):
        raise HTTPException(403, "Send one of the app's keys in X-API-Key.")


@app.post("/rosters/{provider}/{resource}", status_code=202, dependencies=[Depends(require_key)])
def refresh(
    provider: str, resource: str, gateway: Annotated[Gateway, Depends(gateway_of)]
) -> dict[str, str]:
    """Enqueue a sync. A route of the app itself: `def`, because the gateway blocks."""
    return {"job": gateway.sync(provider, resource).id}
