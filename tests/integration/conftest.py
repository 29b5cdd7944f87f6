"""A gateway with a few providers, on a real Redis and both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate import Gateway
from testbed.heartbeats import be_heard
from testbed.installation import install
from testbed.sis import Sis
from workers.runtime import Runtime

CONFIG = """
[apps.heavy]
weight = 2

[schedules.nightly]
provider = "open"
cron = "0 2 * * *"

[providers.lincoln]
kind = "oneroster"
limit = "100/h"
burst = 100
auth = "none"
max_waiting_jobs = 3
[[providers.lincoln.endpoints]]
url = "https://lincoln.test"

[providers.open]
kind = "oneroster"
limit = "off"
auth = "none"
[[providers.open.endpoints]]
url = "https://open.test"

[providers.twin]
kind = "oneroster"
auth = "none"
breaker = { fail_max = 3, open_seconds = 10 }
[[providers.twin.endpoints]]
url = "https://sis-a.twin.test"
[[providers.twin.endpoints]]
url = "https://sis-b.twin.test/api"
"""


@pytest.fixture
def gateway(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Gateway]:
    """A gateway whose fleet is heard of, but has no worker: what is accepted waits."""
    settings = install(tmp_path, CONFIG, redis_url=redis_url, database_url=ledger_url)
    gateway = Gateway(settings)
    control = gateway.providers.control("lincoln")
    assert gateway.context.limiter.rebuild("lincoln", control.limits, [])
    be_heard(gateway)
    yield gateway
    gateway.close()


@pytest.fixture
def sis() -> Iterator[Sis]:
    """A provider on a real port, for installations that name it."""
    with Sis() as server:
        yield server


@pytest.fixture
def runtime(gateway: Gateway, redis_url: str) -> Iterator[Runtime]:
    """What a worker of the fleet works with."""
    runtime = Runtime(gateway.settings)
    yield runtime
    runtime.database.dispose()
    runtime.redis.close()
