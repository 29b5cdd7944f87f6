"""PowerSchool's token endpoint."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sisgate.sandbox.district import District
from sisgate.sandbox.tokens import basic_credential
from sisgate.sandbox.vendor import VendorServer, form_fields, json_reply


async def issue_token(district: District, request: Request, dialect: VendorServer) -> Response:
    """Answer a token request: Basic only. A client that asks again gets the same token."""
    knobs = district.knobs
    if request.method != "POST":
        return dialect.error(405, "The token is asked for by POST.")
    try:
        fields = await form_fields(request)
    except Exception:  # noqa: BLE001 - whatever a broken form raises, it is the client's mistake
        return json_reply({"error": "invalid_request"}, 400)
    if fields.get("grant_type") != "client_credentials":
        return json_reply({"error": "unsupported_grant_type"}, 400)
    pair = basic_credential(request.headers.get("authorization", ""))
    if pair is None or not district.tokens.knows(pair.client_id, pair.client_secret):
        return json_reply({"error": "invalid_client"}, 401, {"www-authenticate": "Basic"})
    token = district.tokens.issue(pair.client_id, knobs.token_lifetime_seconds, reuse=True)
    seconds = int(knobs.token_lifetime_seconds) or 1
    as_text = knobs.token_expires_in_as_text is not False
    return json_reply({
        "access_token": token.token,
        "token_type": "Bearer",
        "expires_in": str(seconds) if as_text else seconds,
    })  # fmt: skip
