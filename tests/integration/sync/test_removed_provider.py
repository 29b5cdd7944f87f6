"""A provider is taken out of the configuration while it has work."""

from testbed.provider import Answered, Provider, users
from tests.integration.sync.conftest import MakeWorker


def test_work_of_a_removed_provider_keeps_nobody_elses_back(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """Its calls are not published, and those beside them are."""
    worker = make_worker()
    provider.answer = lambda _: Answered({"users": users(3)}, headers={"X-Total-Count": "3"})
    worker.runtime.publisher.calls([(4711, "removed", 5), (4712, "lincoln", 5)])
    assert worker.runtime.redis.llen("removed") == 0
    assert worker.sync().state == "done"
