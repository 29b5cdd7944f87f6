"""The OAuth2 token endpoint of OneRoster servers (RFC 6749, client credentials)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sisgate.sandbox.district import District
from sisgate.sandbox.spec import AcceptedCredential
from sisgate.sandbox.tokens import basic_credential
from sisgate.sandbox.vendor import form_fields, json_reply

CORE_SCOPE = "roster-core.readonly"


async def issue_token(district: District, request: Request) -> Response:
    """Answer a token request, the credentials given by Basic or in the form."""
    knobs = district.knobs
    if request.method not in _methods(district):
        return json_reply({"error": "invalid_request"}, 405, {"allow": "POST"})
    try:
        fields = await form_fields(request)
    except Exception:  # noqa: BLE001 - whatever a broken form raises, it is the client's mistake
        return _refused("invalid_request")
    if "appName" not in request.query_params and district.spec.kind == "infinite_campus":
        return _refused("invalid_request", "appName is missing")
    if fields.get("grant_type") != "client_credentials":
        return _refused("unsupported_grant_type")
    pair = basic_credential(request.headers.get("authorization", ""))
    if pair is None:
        pair = AcceptedCredential(fields.get("client_id", ""), fields.get("client_secret", ""))
    if not district.tokens.knows(pair.client_id, pair.client_secret):
        return json_reply({"error": "invalid_client"}, 401, {"www-authenticate": "Basic"})
    scope = fields.get("scope", "")
    if knobs.scope_required and not any(s.endswith(CORE_SCOPE) for s in scope.split()):
        return _refused("invalid_scope", f"a scope ending in {CORE_SCOPE} is required")
    token = district.tokens.issue(pair.client_id, knobs.token_lifetime_seconds, scope=scope)
    seconds = int(knobs.token_lifetime_seconds) or 1
    body = {
        "access_token": token.token,
        "token_type": "bearer",
        "expires_in": str(seconds) if knobs.token_expires_in_as_text else seconds,
        "scope": scope,
    }
    return json_reply(body, headers={"cache-control": "no-store"})


def _methods(district: District) -> tuple[str, ...]:
    # Skyward Qmlativ's token endpoint is a GET with the grant in the query.
    return ("POST", "GET") if district.spec.kind == "skyward" else ("POST",)


def _refused(error: str, description: str = "") -> Response:
    body = {"error": error, **({"error_description": description} if description else {})}
    return json_reply(body, 400)
