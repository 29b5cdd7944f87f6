"""A call that waits for a probe which no key can make fails, and does not wait for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate.domain.response_class import Outcome
from testbed.recorder import Recorder
from tests.integration.jobs.test_frozen_before_sending import Bench

MORE = """
auth = "oauth2-basic"
token_url = "http://127.0.0.1:1/token"
breaker = { fail_max = 1, open_seconds = 0.001 }
"""


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Bench]:
    """A provider whose key is gone, behind a breaker whose probe is due."""
    recorder = Recorder()
    bench = Bench(tmp_path, redis_url, ledger_url, recorder, MORE)
    breakers = bench.runtime.endpoints(bench.config).breakers
    (url,) = (endpoint.url for endpoint in bench.config.endpoints)
    token = breakers.ask(url).token
    assert token is not None
    breakers.report(url, token, Outcome.FAILURE)
    yield bench
    bench.close()
    recorder.stop()


def test_a_call_whose_probe_has_no_key_fails(bench: Bench) -> None:
    """As it does where the breaker is closed; the error names the key."""
    job = bench.ask("POST")
    assert bench.make().state == "failed"
    status = bench.gateway.job(job).status()
    assert status.state == "failed"
    assert "has no key" in (status.error or {})["message"]
    assert bench.attempts == 0
