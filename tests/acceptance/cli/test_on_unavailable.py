"""A paused provider, asked by people who don't want to wait for it."""

import json

from testbed.stack import Stack
from tests.acceptance.cli.operator import Operator

NAME = "slow_powerschool"
ASKED = ("request", NAME, "GET", "/ws/v1/district")


def test_old_data_is_given_with_its_age_or_it_fails_at_once(
    sqlite_stack: Stack, operator: Operator
) -> None:
    """What the worker has stored is found again by the same question, and only by that."""
    sqlite_stack.fresh(NAME)
    fresh = operator.json(*ASKED, "--on-unavailable", "stale")
    assert not fresh["is_stale"]
    assert sqlite_stack.sync(NAME, "orgs").state == "done"
    operator("pause", NAME)
    try:
        stale = operator.json(*ASKED, "--on-unavailable", "stale")
        assert (stale["job"], stale["body"]) == (fresh["job"], fresh["body"])
        assert stale["is_stale"]
        assert stale["age_seconds"] > 0
        assert "old" in operator(*ASKED, "--on-unavailable", "stale")
        refused = operator(*ASKED, "--on-unavailable", "fail", "--json", code=75)
        error = json.loads(refused.splitlines()[0])["error"]
        assert (error["code"], error["reason"]) == ("provider_held", "paused")
        synced = operator.json("sync", NAME, "orgs", "--on-unavailable", "stale")
        assert synced[0]["age_seconds"] > 0
        assert "nothing was enqueued" in operator("sync", NAME, "orgs", "--on-unavailable", "stale")
        operator("sync", NAME, "orgs", "--on-unavailable", "fail", code=75)
    finally:
        operator("resume", NAME)
