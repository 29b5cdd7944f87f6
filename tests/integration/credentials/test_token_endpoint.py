"""What a token endpoint's answer means: a token, a refused key, our own mistake, or a wait."""

from typing import Any

import pytest

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.domain.secret import Secret
from sisgate.errors import (
    ConfigurationError,
    ProviderUnavailable,
    SisgateError,
    Throttled,
    TokenRefused,
)
from sisgate.settings import Endpoint, ProviderConfig
from testbed.http_server import HttpServer, Reply, json_reply

KEY = Credential("3f8a12cd-0000", "lincoln", "41", Secret("swordfish"))
TOKEN = {"access_token": "tok-1", "token_type": "bearer", "expires_in": 3600}


def config_of(url: str, **more: Any) -> ProviderConfig:
    """A provider whose token endpoint is at `url`."""
    return ProviderConfig(
        name="lincoln",
        kind="oneroster",
        allow_insecure=True,
        token_url=f"{url}/token",
        endpoints=(Endpoint(url=url),),
        **more,
    )


def fetched(reply: Reply, **more: Any) -> tuple[str, float]:
    """Fetch a token from an endpoint that answers so; return it and its life."""
    with HttpServer(lambda _: reply) as server:
        token, lifetime = fetch_token(config_of(server.url, **more), KEY, SystemClock())
    return token.get_secret_value(), lifetime


def refused(reply: Reply, **more: Any) -> SisgateError:
    """Return the error of an answer without a token, which holds no secret."""
    with pytest.raises(SisgateError) as caught:
        fetched(reply, **more)
    assert "swordfish" not in str(caught.value.as_dict())
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_with_a_token_is_a_token(status: int) -> None:
    """A framework whose POST answers 201 by itself, say."""
    assert fetched(json_reply(TOKEN, status)) == ("tok-1", 3600)


@pytest.mark.parametrize(
    "more",
    [
        {"token_type": "BEARER"},
        {"token_type": None},
        {"expires_in": "3600"},
        {"expires_in": None},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": [3600]},
        {"expires_in": "soon"},
        {"scope": ["a", "b"]},
        {"refresh_token": "r", "access_token": " tok-1\n"},
    ],
)
def test_what_stands_beside_the_token_may_be_odd(more: dict[str, Any]) -> None:
    """Text, missing, nothing, negative: then an hour is assumed."""
    assert fetched(json_reply({**TOKEN, **more})) == ("tok-1", 3600)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_told_as_a_wrong_token_url(status: int) -> None:
    """With where it leads to, and without its query, which may repeat what was sent."""
    where = "https://user:pw@login.lincoln.test:8443/oauth/token?client_secret=swordfish#x"
    error = refused(json_reply({}, status, Location=where))
    assert isinstance(error, ConfigurationError)
    assert "token_url is wrong" in error.message
    assert "https://login.lincoln.test:8443/oauth/token." in error.message
    assert "[providers.lincoln]" in error.message
    assert "pw" not in error.message


@pytest.mark.parametrize("where", ["/new/token?x=1", "", None, "https://[broken", "\x00"])
def test_a_redirect_to_anywhere_is_told(where: str | None) -> None:
    """Relative, missing or unreadable."""
    headers = {} if where is None else {"Location": where.replace("\x00", "%00")}
    error = refused((302, headers, b""))
    assert isinstance(error, ConfigurationError)
    assert where != "/new/token?x=1" or "/new/token." in error.message


def test_a_refused_scope_points_to_the_configuration() -> None:
    """The key is well: it is not blamed."""
    error = refused(json_reply({"error": "invalid_scope"}, 400), scope=["a", "b"])
    assert isinstance(error, ConfigurationError)
    assert "'a b'" in error.message
    assert "`scope` in [providers.lincoln]" in error.message


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "unsupported_grant_type"), (400, "invalid_request"), (404, None), (405, None)],
)
def test_a_wrong_address_or_way_to_ask_blames_no_key(status: int, word: str | None) -> None:
    """What to correct is named."""
    error = refused(json_reply({"error": word} if word else "Not Found", status))
    assert isinstance(error, ConfigurationError)
    assert "token_url" in error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_client"}),
        (400, {"error": "invalid_client"}),
        (400, {"error": "unauthorized_client"}),
        (200, {"error": "invalid_client"}),
        (403, {"message": "Forbidden"}),
        (400, {"error": {"nested": 1}}),
    ],
)
def test_a_refused_key_is_named_so_that_two_of_one_client_are_told_apart(
    status: int, body: dict[str, Any]
) -> None:
    """By the beginning of its id, as `keys list` shows it."""
    error = refused(json_reply(body, status))
    assert isinstance(error, TokenRefused)
    assert "key 3f8a12cd (client id 41)" in error.message
    assert error.detail["key"] == KEY.id


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (json_reply({}, 429, Retry_After="7"), 7),
        (json_reply({}, 429), 30),
        (json_reply({}, 503, Retry_After="9"), 9),
    ],
)
def test_a_token_endpoint_that_wants_us_to_wait_is_waited_for(reply: Reply, seconds: int) -> None:
    """Waiting is not failing: no try is spent."""
    error = refused(reply)
    assert isinstance(error, Throttled)
    assert error.seconds == seconds


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({}, 500),
        json_reply({}, 503),
        json_reply({"error": "temporarily_unavailable"}, 400),
        json_reply({}, 200),
        json_reply([], 200),
        json_reply({"access_token": ""}),
        json_reply({"access_token": 7}),
        json_reply({"access_token": "two words"}),
        json_reply({"access_token": "t\r\nX-Injected: 1"}),
        (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        (204, {}, b""),
        (200, {}, b"[" * 100_000),
    ],
)
def test_an_answer_that_tells_nothing_of_the_key_may_be_asked_for_again(reply: Reply) -> None:
    """Cut, empty, a web page, or something that could not be sent as a token."""
    assert isinstance(refused(reply), ProviderUnavailable)
