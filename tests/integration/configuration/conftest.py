"""An installation with a configuration file, and a second process of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sisgate import Gateway
from testbed.installation import install

CONFIGURATION = """
[providers.lincoln]
kind = "oneroster"
auth = "none"
allow_insecure = true
limit = "1000/h"
[[providers.lincoln.endpoints]]
url = "http://127.0.0.1:9"

[providers.adams]
kind = "oneroster"
auth = "none"
allow_insecure = true
[[providers.adams.endpoints]]
url = "http://127.0.0.1:9"

[schedules.nightly]
provider = "adams"
cron = "0 2 * * *"
"""

MakeGateway = Callable[[], Gateway]


@pytest.fixture
def another(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[MakeGateway]:
    """Makes a gateway as another process has it: it shares only the servers and the file."""
    settings = install(tmp_path, CONFIGURATION, redis_url=redis_url, database_url=ledger_url)
    made: list[Gateway] = []

    def make() -> Gateway:
        made.append(Gateway(settings))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(another: MakeGateway) -> Gateway:
    """The gateway under test."""
    return another()


@pytest.fixture
def file(gateway: Gateway) -> Path:
    """The configuration file, to write."""
    path = gateway.settings.config_file
    assert path is not None
    return path
