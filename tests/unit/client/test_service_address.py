"""Where the service is: from the environment, and never with a token in the clear."""

from pathlib import Path

import pytest

from sisgate.client import HttpGateway
from sisgate.errors import ConfigurationError
from sisgate.settings.service import service_address, service_url

TOKEN = "sisgate_planted-token-4711"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN", "TOKEN_FILE", "ALLOW_INSECURE"):
        monkeypatch.delenv(f"SISGATE_{name}", raising=False)


def test_url_and_token_are_all_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The token may be in a file."""
    monkeypatch.setenv("SISGATE_URL", "https://sisgate.test/below/")
    assert service_url()
    assert service_address().token is None
    monkeypatch.setenv("SISGATE_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        HttpGateway.from_env()
    (tmp_path / "token").write_text(f"{TOKEN}\r\n")
    address = service_address()
    assert address.url == "https://sisgate.test/below"
    assert address.token is not None
    assert address.token.get_secret_value() == TOKEN
    monkeypatch.setenv("SISGATE_TOKEN", "another")
    address = service_address()
    assert address.token is not None
    assert address.token.get_secret_value() == "another"


def test_without_an_address_the_variable_is_named() -> None:
    """So that the app's start ends with what to do."""
    assert service_url() is None
    with pytest.raises(ConfigurationError, match="SISGATE_URL"):
        HttpGateway.from_env()


@pytest.mark.parametrize(
    "url",
    [
        "sisgate.test", "ftp://sisgate.test", "https://", f"https://user:{TOKEN}@sisgate.test",
        f"https://sisgate.test/?token={TOKEN}", "https://sisgate.test/#x", "https://h:0",
        "https://h:99999", "https://[::1",
    ],
)  # fmt: skip
def test_an_address_with_more_or_less_is_refused_and_not_quoted(url: str) -> None:
    """What stands before an @ would be a password."""
    with pytest.raises(ConfigurationError) as refused:
        HttpGateway(url, TOKEN)
    assert TOKEN not in str(refused.value)


def test_a_token_goes_to_another_machine_by_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody says that nobody can listen."""
    for url in ("http://sisgate.test", "http://10.0.0.1:8000"):
        with pytest.raises(ConfigurationError, match="in the clear"):
            HttpGateway(url, TOKEN)
        HttpGateway(url, TOKEN, allow_insecure=True).close()
        HttpGateway(url).close()  # nothing to hide
    HttpGateway("http://localhost:8000", TOKEN).close()
    monkeypatch.setenv("SISGATE_ALLOW_INSECURE", "1")
    HttpGateway("http://sisgate.test", TOKEN).close()


def test_a_token_that_is_none_is_refused_and_not_quoted() -> None:
    """Line breaks in it would end the header."""
    with pytest.raises(ConfigurationError) as refused:
        HttpGateway("https://sisgate.test", f"{TOKEN}\r\nX-Planted: 1")
    assert TOKEN not in str(refused.value)


def test_the_token_is_in_no_repr() -> None:
    """Nor in that of anything inside."""
    gateway = HttpGateway("https://sisgate.test", TOKEN)
    inside = [gateway, *vars(gateway).values(), *vars(gateway._connection).values()]
    assert TOKEN not in repr(inside)
    assert repr(gateway) == "HttpGateway('https://sisgate.test')"
    gateway.close()
