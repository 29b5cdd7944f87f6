"""What the configuration lets an app ask for, by whatever way it asks."""

from datetime import timedelta

import pytest

from sisgate import Gateway, NewRequest, NewSync
from sisgate.errors import UsageError
from testbed.web_service import WebService

PROVIDER, PATH = "lincoln", "/x"


@pytest.fixture
def bounded(gateway: Gateway) -> Gateway:
    """The gateway of an app with bounds."""
    assert gateway.settings.config_file is not None
    document = gateway.configuration.check(gateway.settings.config_file).document
    own = {
        "highest_priority": "high", "longest_timeout": "30s", "longest_max_age": "1m",
        "on_unavailable": ["wait", "stale"], "needs_purpose": True,
    }  # fmt: skip
    gateway.configuration.apply({**document, "apps": {"default": own}}, actor="ana")
    return gateway


def test_priority_and_deadline_are_brought_down_to_the_bounds(bounded: Gateway) -> None:
    """Of single jobs and of many; a sync has no bound of time."""
    jobs = [
        bounded.enqueue_request(PROVIDER, "GET", PATH),
        *bounded.enqueue([NewRequest(PROVIDER, "GET", PATH, priority="urgent", timeout=600)]),
    ]
    for job in jobs:
        status = job.status()
        assert status.priority.word == "high"
        assert status.expires_at is not None
        assert status.expires_at - status.accepted_at <= timedelta(seconds=30)
    low = bounded.enqueue_request(PROVIDER, "GET", PATH, priority="low", timeout=2).status()
    assert low.priority.word == "low"
    assert low.expires_at is not None
    assert low.expires_at - low.accepted_at <= timedelta(seconds=2)
    (sync,) = bounded.enqueue([NewSync(PROVIDER, "students", priority="urgent")])
    assert (sync.status().priority.word, sync.status().expires_at) == ("high", None)


def test_what_cannot_be_brought_down_is_refused(bounded: Gateway) -> None:
    """Before anything is accepted."""
    with pytest.raises(UsageError, match="wait or stale only, not fail"):
        bounded.enqueue_request(PROVIDER, "GET", PATH, on_unavailable="fail")
    with pytest.raises(UsageError, match="wait or stale only, not fail"):
        bounded.sync(PROVIDER, "students", on_unavailable="fail")
    with pytest.raises(UsageError, match="has to state a purpose"):
        bounded.request(PROVIDER, "GET", PATH)
    for read in (bounded.records, bounded.changes):
        with pytest.raises(UsageError, match="has to state a purpose"):
            read(PROVIDER, "students")
        assert list(read(PROVIDER, "students", purpose="grades")) == []
    assert bounded.jobs.list() == []


def test_the_bounds_are_those_of_the_token_by_http(bounded: Gateway) -> None:
    """Another app has none."""
    closed = bounded.settings.model_copy(update={"access": "tokens"})
    with WebService(Gateway(closed, database=bounded.context.database)) as service:
        for app, priority in (("default", "high"), ("other", "urgent")):
            token = bounded.tokens.add(app, ["app"]).token
            assert token is not None
            body = {"provider": PROVIDER, "method": "GET", "path": PATH}
            answer = service.ask("POST", "/v1/requests", json=body, token=token.get_secret_value())
            assert answer.json()["priority"] == priority
