"""What an error reporter writes down of a failed request: frames with their locals."""

from base64 import b64encode
from collections.abc import Iterator
from types import FrameType

import pytest

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.domain.secret import Secret
from sisgate.errors import ProviderUnavailable
from sisgate.providers.http import HttpRequest
from sisgate.settings import Endpoint, ProviderConfig
from sisgate.transport import Bearer, Transport, oauth1

PLAIN = "swordfish-4711"
NOWHERE = "http://127.0.0.1:9"
KEY = Credential("key-1", "lincoln", "41", Secret(PLAIN))


def frames(error: BaseException) -> Iterator[FrameType]:
    """All frames of an error, its causes and its contexts."""
    found, seen = [error], set()
    while found:
        one = found.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        found += [e for e in (one.__cause__, one.__context__) if e is not None]
        traceback = one.__traceback__
        while traceback is not None:
            yield traceback.tb_frame
            traceback = traceback.tb_next


def written(error: BaseException) -> str:
    """The locals of all its frames but this test's own module, one object deep."""
    texts = []
    for frame in frames(error):
        if frame.f_globals["__name__"] != __name__:
            for value in frame.f_locals.values():
                texts += [repr(value), repr(getattr(value, "__dict__", ""))]
    return "".join(texts)


@pytest.mark.parametrize("auth", ["oauth2-basic", "oauth2-body"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_token_that_cannot_be_fetched_shows_no_secret(auth: str, method: str) -> None:
    """In the header, in the form, in the query."""
    config = ProviderConfig.model_validate(
        {
            "name": "lincoln",
            "kind": "skyward",
            "allow_insecure": True,
            "auth": auth,
            "token_method": method,
            "token_url": f"{NOWHERE}/token",
            "endpoints": [Endpoint(url=NOWHERE)],
        }
    )
    with pytest.raises(ProviderUnavailable) as failed:
        fetch_token(config, KEY, SystemClock())
    text = written(failed.value)
    assert "config" in text or "lincoln" in text
    assert PLAIN not in text
    assert b64encode(f"41:{PLAIN}".encode()).decode() not in text


@pytest.mark.parametrize(
    "auth",
    [Bearer(KEY.secret), oauth1(KEY, "HMAC-SHA256", SystemClock().now())],
    ids=["bearer", "oauth1"],
)
def test_a_call_that_fails_shows_no_secret(auth: Bearer) -> None:
    """Neither a token nor what signs."""
    with pytest.raises(ProviderUnavailable) as failed:
        Transport(SystemClock()).send(
            NOWHERE, HttpRequest("/x"), auth, timeout_seconds=3, max_body_bytes=1000
        )
    assert PLAIN not in written(failed.value)
