"""The HTTP service on the gateway of the integration tests: open, and with tokens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sisgate import Gateway
from testbed.ledgers import Ledgers
from testbed.web_service import WebService

MakeToken = Callable[..., str]


@pytest.fixture
def ledger_url(ledgers: Ledgers, tmp_path: Path) -> str:
    """SQLite only: what the gateway does on each database has tests of its own."""
    return ledgers.sqlite(tmp_path / "ledger.sqlite3")


@pytest.fixture
def make_token(gateway: Gateway) -> MakeToken:
    """Return a function that makes a token for a name and roles."""

    def made(name: str, *roles: str, scopes: tuple[str, ...] = ("*",)) -> str:
        token = gateway.tokens.add(name, roles, scopes=scopes).token
        assert token is not None
        return token.get_secret_value()

    return made


@pytest.fixture
def open_service(gateway: Gateway) -> Iterator[WebService]:
    """The service of an installation without tokens."""
    with WebService(gateway) as service:
        yield service


@pytest.fixture
def service(gateway: Gateway) -> Iterator[WebService]:
    """The service of an installation that requires tokens."""
    web = gateway.settings.web.model_copy(update={"failed_logins": "100000/m"})
    closed = gateway.settings.model_copy(update={"access": "tokens", "web": web})
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        yield service
