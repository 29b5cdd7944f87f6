"""The control plane of a district: state, statistics, knobs, churn and reset under `/sandbox`."""

from typing import Any

import orjson
from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.responses import Response

from sisgate.sandbox.district import District
from sisgate.sandbox.population.churn import ChurnRequest
from sisgate.sandbox.spec import AcceptedCredential
from sisgate.sandbox.vendor import VendorServer, json_reply

MAX_BODY = 1_000_000


def control_app(district: District, dialect: VendorServer) -> FastAPI:
    """Return the ASGI application of the control plane."""
    app = FastAPI(title="sisgate sandbox", openapi_url="/sandbox/openapi.json", docs_url=None,
                  redoc_url=None)  # fmt: skip

    @app.exception_handler(ValueError)
    async def refused(_: Request, error: Exception) -> Response:
        """Respond 400 with every problem."""
        problems = [str(error)]
        if isinstance(error, ValidationError):
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return json_reply({"error": "invalid", "problems": problems}, 400)

    @app.get("/sandbox")
    async def state() -> Response:
        """Return kind, sizes and knobs."""
        tables = {table.name: len(table) for table in district.roster.tables()}
        return json_reply({"name": district.spec.name, "kind": district.spec.kind,
                           "seed": district.spec.seed, "sizes": tables,
                           "knobs": district.knobs.as_dict()})  # fmt: skip

    @app.get("/sandbox/stats")
    async def stats(request: Request) -> Response:
        """Return what has arrived; `?arrivals=1` with the time of each call."""
        return json_reply(district.report(arrivals=request.query_params.get("arrivals") == "1"))

    @app.patch("/sandbox/knobs")
    async def knobs(request: Request) -> Response:
        """Change the knobs that the body names."""
        district.turn(await _object(request))
        return json_reply(district.knobs.as_dict())

    @app.post("/sandbox/churn")
    async def churn(request: Request) -> Response:
        """Insert, update and delete rows; return their ids."""
        done = district.churn(ChurnRequest.model_validate(await _object(request)))
        word = done.table.name
        ids = {
            name: [dialect.public_id(word, key) for key in keys]
            for name, keys in (
                ("inserted", done.inserted),
                ("updated", done.updated),
                ("deleted", done.deleted),
            )
        }
        return json_reply({"resource": word, "dateLastModified": done.modified, **ids})

    @app.post("/sandbox/tokens/expire")
    async def expire() -> Response:
        """End every token now."""
        district.tokens.expire_all()
        return json_reply({"expired": True})

    _add_key_routes(app, district)

    @app.post("/sandbox/reset")
    async def reset() -> Response:
        """Go back to the start. Tokens stay valid."""
        district.reset()
        return json_reply({"reset": True})

    return app


def _add_key_routes(app: FastAPI, district: District) -> None:
    @app.post("/sandbox/keys/rotate")
    async def rotate_key(request: Request) -> Response:
        """Accept one more key and return it; the same order gets the same key again."""
        order = str((await _object(request)).get("order", ""))
        pair = district.tokens.rotate(district.spec.name, order)
        return json_reply({"client_id": pair.client_id, "client_secret": pair.client_secret})

    @app.post("/sandbox/keys/accept")
    async def accept_key(request: Request) -> Response:
        """Accept one more client id and secret, or another secret for a known id."""
        body = await _object(request)
        pair = AcceptedCredential(
            str(body.get("client_id", "")), str(body.get("client_secret", ""))
        )
        if not pair.client_id or not pair.client_secret:
            raise ValueError("a key has a client_id and a client_secret")
        district.tokens.accept(pair)
        return json_reply({"accepted": district.tokens.client_ids})

    @app.post("/sandbox/keys/revoke")
    async def revoke_key(request: Request) -> Response:
        """Accept a key no longer, nor its tokens."""
        district.tokens.revoke(str((await _object(request)).get("client_id", "")))
        return json_reply({"accepted": district.tokens.client_ids})


async def _object(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object; an empty body is an empty one. `ValueError` otherwise."""
    body = await request.body()
    if len(body) > MAX_BODY:
        raise ValueError("the body is too big")
    value = orjson.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - it becomes a 400
    return value
