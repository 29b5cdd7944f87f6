"""The next key takes over from a refused one, in the same attempt, and no call fails."""

from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.states import KeyState
from sisgate.ledger.audit_log import AuditFilter
from testbed.stack import wait_until
from tests.acceptance.keys.conftest import SPARE, Keyed

NAME = "powerschool"


def ask(provider: Keyed) -> int:
    """Make one call and return its status."""
    request = provider.stack.settings.providers[provider.name].dialect.probe_request()
    answer = provider.stack.gateway.request(
        provider.name,
        request.method,
        request.path,
        query=dict(request.query),
        json=request.json_body,
        timeout=30,
    )
    return answer.status


def key_used(provider: Keyed) -> str:
    """The client id of the key that the audit log names for the app's newest call."""
    gateway = provider.stack.gateway
    newest = next(job for job in gateway.jobs.list(provider=provider.name) if job.app != "sisgate")
    (ended, *_) = gateway.audit.tail(AuditFilter(job=newest.id, action=CALL_OUTCOME))
    ids = {key.id: key.client_id for key in provider.keys.list(all_states=True)}
    return ids[str((ended.detail or {})["key"])]


def test_the_next_key_takes_over_in_the_same_attempt(provider: Keyed) -> None:
    """However the provider lets us in."""
    provider.add_spare()
    assert ask(provider) == 200
    assert key_used(provider) == provider.district.client_id
    before = provider.stack.sandbox.stats(provider.name)["arrivals"]
    provider.refuse(provider.district.client_id)
    assert ask(provider) == 200
    # The first request was refused, the second went through; no wait, no second attempt.
    assert provider.stack.sandbox.stats(provider.name)["arrivals"] - before <= 3
    assert provider.best() == SPARE.client_id
    assert key_used(provider) == SPARE.client_id


def test_a_refused_key_is_checked_and_revoked(powerschool: Keyed) -> None:
    """By real calls, while another key is good."""
    powerschool.add_spare()
    powerschool.refuse(powerschool.district.client_id)
    assert ask(powerschool) == 200
    wait_until(lambda: [k.slot for k in powerschool.keys.list()] == ["secondary"], "its end")
    gone = next(k for k in powerschool.keys.list(all_states=True) if k.slot == "primary")
    assert gone.state is KeyState.REVOKED
    assert "refused it 3 times" in str(gone.reason)


def test_a_sync_under_way_goes_on_with_the_next_key(powerschool: Keyed) -> None:
    """None of its calls fails."""
    powerschool.add_spare()
    powerschool.stack.sandbox.knobs(powerschool.name, page_cap=2, latency_ms=30)
    job = powerschool.stack.gateway.sync(powerschool.name, "students", mode="full")
    wait_until(lambda: job.status().calls_made >= 2, "its first calls")
    powerschool.refuse(powerschool.district.client_id)
    status = powerschool.stack.gateway.jobs.wait(job.id, 60)
    assert status.state == "done", status.error
    assert status.calls.get("failed", 0) == 0


def test_a_key_that_was_refused_for_a_moment_comes_back(powerschool: Keyed) -> None:
    """The check finds that it is good."""
    powerschool.add_spare()
    first = powerschool.one("primary")
    assert ask(powerschool) == 200
    powerschool.refuse(first.client_id)
    assert ask(powerschool) == 200
    pair = {"client_id": first.client_id, "client_secret": powerschool.district.client_secret}
    powerschool.district.control("POST", "/keys/accept", pair)
    wait_until(lambda: powerschool.one("primary").suspect_at is None, "its return")
    assert powerschool.best() == first.client_id


def test_a_request_that_every_key_is_refused_blames_no_key_for_long(powerschool: Keyed) -> None:
    """Permission for a resource is another thing than a key."""
    powerschool.add_spare()
    powerschool.stack.sandbox.knobs(powerschool.name, deny=["/ws/v1/school"])
    gateway = powerschool.stack.gateway
    assert gateway.request(NAME, "GET", "/ws/v1/school/1/course", timeout=30).status == 401
    wait_until(lambda: all(k.suspect_at is None for k in powerschool.keys.list()), "their return")
    assert {k.slot for k in powerschool.keys.list()} == {"primary", "secondary"}


def test_uses_are_counted(powerschool: Keyed) -> None:
    """By key; the first refusal and the last."""
    powerschool.add_spare()
    for _ in range(3):
        assert ask(powerschool) == 200
    powerschool.refuse(powerschool.district.client_id)
    assert ask(powerschool) == 200

    def used() -> dict[str, tuple[int, bool]]:
        newest: dict[str, tuple[int, bool]] = {}
        for use in reversed(powerschool.keys.usage()):
            newest[use.key.slot] = (use.calls, use.refused > 0 and use.first_refused_at is not None)
        return newest

    wait_until(lambda: used()["primary"][0] >= 4 and used()["secondary"][0] >= 1, "the counts")
    assert used()["primary"][1]
    assert not used()["secondary"][1]
