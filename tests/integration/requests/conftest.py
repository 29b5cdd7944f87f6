"""A provider that tells what it was asked, and a worker of its calls in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate import Gateway
from sisgate.settings import Settings
from testbed.caller import Caller
from testbed.installation import install
from testbed.sis import Sis


@pytest.fixture
def installation(tmp_path: Path, redis_url: str, ledger_url: str, sis: Sis) -> Settings:
    """An installation that knows it."""
    text = f"""
    [providers.lincoln]
    kind = "oneroster"
    limit = "off"
    auth = "none"
    allow_insecure = true
    [[providers.lincoln.endpoints]]
    url = "{sis.url}/base"
    [[providers.lincoln.transforms]]
    name = "names"
    path = "/orgs"
    asked = true
    request.query = {{ limit = "2" }}
    response.jmespath = "orgs[].name"
    [[providers.lincoln.transforms]]
    name = "count"
    path = "/users"
    response.jmespath = "length(orgs)"
    """
    return install(tmp_path, text, redis_url=redis_url, database_url=ledger_url)


@pytest.fixture
def gateway(installation: Settings) -> Iterator[Gateway]:
    """A gateway whose calls are made."""
    gateway = Gateway(installation)
    with Caller(installation):
        yield gateway
    gateway.close()
