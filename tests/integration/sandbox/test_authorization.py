"""Tokens, the two kinds of 401, scopes and signed requests."""

from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from oauthlib.common import generate_timestamp
from oauthlib.oauth1 import Client as Signer

from sisgate.sandbox import SandboxProcess

KINDS = ("powerschool", "infinite_campus", "skyward", "oneroster")


def probe(client: Any, name: str) -> Any:
    """Ask for what every kind has."""
    return client.get("/ws/v1/district") if name == "powerschool" else client.roster("orgs")


@pytest.mark.parametrize("name", KINDS)
def test_token_opens_the_resources(client: Any, name: str) -> None:
    """A token by client credentials is what every kind wants."""
    assert probe(client(name), name).status == 200


@pytest.mark.parametrize("name", KINDS)
def test_wrong_secret_gets_no_token(client: Any, name: str) -> None:
    """The token endpoint answers 401 invalid_client."""
    answer = client(name).ask_token(secret="wrong")
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


def test_powerschool_tells_expires_in_as_text_and_repeats_its_token(client: Any) -> None:
    """As the real one does."""
    powerschool = client("powerschool")
    first, second = powerschool.ask_token().json, powerschool.ask_token().json
    assert first["expires_in"] == "2592000"
    assert first["access_token"] == second["access_token"]


@pytest.mark.parametrize("name", KINDS)
def test_ended_token_gets_the_expired_401(client: Any, sandbox: SandboxProcess, name: str) -> None:
    """Challenge and text both say expired, and a new token helps."""
    held = client(name)
    sandbox.expire_tokens(name)
    answer = probe(held, name)
    assert answer.status == 401
    assert "expired" in answer.headers["www-authenticate"]
    assert b"expired" in answer.body
    assert probe(held.sign_in(), name).status == 200


def test_missing_permission_is_the_other_401(client: Any, sandbox: SandboxProcess) -> None:
    """PowerSchool's permission 401 has no challenge, so that no token is asked for."""
    sandbox.knobs("powerschool", deny=["/student"])
    answer = client("powerschool").get("/ws/v1/district/student")
    assert answer.status == 401
    assert "www-authenticate" not in answer.headers
    assert "missing required" in answer.json["errorMessage"]["message"]


def test_oneroster_denies_with_403(client: Any, sandbox: SandboxProcess) -> None:
    """Without permission the minor code is forbidden."""
    sandbox.knobs("oneroster", deny=["demographics"])
    answer = client("oneroster").roster("demographics")
    field = answer.json["imsx_CodeMinor"]["imsx_codeMinorField"][0]
    assert (answer.status, field["imsx_codeMinorFieldValue"]) == (403, "forbidden")


def test_scope_is_required_by_knob(client: Any, sandbox: SandboxProcess) -> None:
    """Then a token request without the core scope is refused."""
    campus = client("infinite_campus")
    sandbox.knobs("infinite_campus", scope_required=True)
    assert campus.ask_token().json["error"] == "invalid_scope"
    scope = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly"
    asked = campus.ask_token(body=f"grant_type=client_credentials&scope={scope}")
    assert asked.status == 200


def test_skyward_gives_tokens_by_get(client: Any) -> None:
    """Qmlativ's token endpoint takes the grant in the query."""
    skyward = client("skyward")
    path = "/oauth/token?grant_type=client_credentials"
    pair = f"&client_id={skyward.district.client_id}&client_secret="
    answer = skyward.get(f"{path}{pair}{skyward.district.client_secret}")
    assert answer.status == 200


class TestSignedRequests:
    """OAuth 1.0a on Skyward's 1.1 base."""

    @pytest.fixture
    def signed(self, client: Any, sandbox: SandboxProcess) -> Any:
        skyward = client("skyward")
        skyward.token = ""
        sandbox.knobs("skyward", auth="oauth1", oneroster_version="1.1")

        def send(secret: str | None = None, path: str = "", **forced: Any) -> Any:
            district = skyward.district
            url = f"{district.url}/api/ims/oneroster/v1p1/orgs?limit=2&filter=status%3D%27active%27"
            signer = Signer(district.client_id, secret or district.client_secret, **forced)
            _, headers, _ = signer.sign(url)
            asked = path or url[len(district.url) :]
            return skyward.send("GET", asked, {"authorization": headers["Authorization"]})

        return send

    def test_signature_opens_the_resources(self, signed: Any) -> None:
        """A right signature needs no token."""
        assert signed().status == 200

    def test_other_secret_is_refused(self, signed: Any) -> None:
        """The signature is really checked."""
        assert signed(secret="other").status == 401

    def test_signature_of_another_address_is_refused(self, signed: Any) -> None:
        """A signature holds for its parameters only."""
        assert signed(path="/api/ims/oneroster/v1p1/orgs?limit=3").status == 401

    def test_nonce_serves_once(self, signed: Any) -> None:
        """A replayed request is refused."""
        # A nonce is one of its timestamp (RFC 5849, 3.3), so both are held.
        once = {"nonce": "a-nonce-of-mine-01", "timestamp": generate_timestamp()}
        assert [signed(**once).status, signed(**once).status] == [200, 401]

    def test_old_timestamp_is_refused(self, signed: Any) -> None:
        """A request signed years ago is no request of now."""
        assert signed(timestamp="1500000000").status == 401


def test_wrong_knob_is_refused_and_changes_nothing(sandbox: SandboxProcess) -> None:
    """A PATCH is all or nothing."""
    before = sandbox.districts["skyward"].control("GET", "")["knobs"]
    with pytest.raises(HTTPError, match="400"):
        sandbox.knobs("skyward", page_cap=5, error_rate=2)
    assert sandbox.districts["skyward"].control("GET", "")["knobs"] == before


def test_token_url_carries_its_query(sandbox: SandboxProcess) -> None:
    """Infinite Campus wants the app's name in the token address."""
    assert urlsplit(sandbox.districts["infinite_campus"].token_url).query == "appName=sisgate"
