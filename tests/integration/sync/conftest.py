"""A provider that a test writes, and a worker that syncs it in the test's own time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.clock import ManualClock
from testbed.installation import install
from testbed.provider import Answered, Provider
from testbed.worker import NAME, Worker, runtime_of

MakeWorker = Callable[..., Worker]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """The provider of this test."""
    server = Provider(lambda _: Answered({}, 404))
    yield server
    server.stop()


@pytest.fixture
def make_worker(
    tmp_path: Path, redis_url: str, sqlite_url: str, provider: Provider
) -> Iterator[MakeWorker]:
    """Make the worker of a provider without limits; `more` are lines of its configuration."""
    with ExitStack() as runtimes:

        def make(kind: str = "oneroster", more: str = "") -> Worker:
            text = f"""
                [providers.{NAME}]
                kind = "{kind}"
                auth = "none"
                limit = "off"
                allow_insecure = true
                endpoints = [{{ url = "{provider.url}" }}]
                {more}
            """
            settings = install(tmp_path, text, redis_url=redis_url, database_url=sqlite_url)
            clock = ManualClock()
            runtime = runtimes.enter_context(runtime_of(settings, clock, script_clock=clock))
            return Worker(runtime, clock)

        yield make
