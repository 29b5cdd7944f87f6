"""Words for states, modes and the like are taken in one way and refused in one way."""

from collections.abc import Callable
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.errors import UnknownProvider, UnknownResource, UsageError


@pytest.mark.parametrize(
    "states",
    ["accepted", JobState.ACCEPTED, ["accepted"], {JobState.ACCEPTED, "done"}, (), "x"],
    ids=["word", "member", "list", "set", "none", "unknown"],
)
def test_states_are_one_or_several_as_words_or_members(gateway: Gateway, states: Any) -> None:
    """And what is none is refused with those there are."""
    job = gateway.sync("lincoln", "orgs")
    if states == "x":
        with pytest.raises(UsageError, match=r"state is one of accepted, .*, not 'x'"):
            gateway.jobs.list(states=states)
    else:
        assert [each.id for each in gateway.jobs.list(states=states)] == [job.id]


@pytest.mark.parametrize("timeout", [0.0, -1.0, 1e300, float("inf"), float("nan"), "10", [5]])
def test_a_timeout_that_is_no_time_is_refused(gateway: Gateway, timeout: Any) -> None:
    """A deadline has a date."""
    for ask in (
        lambda: gateway.sync("lincoln", "orgs", timeout=timeout),
        lambda: gateway.request("lincoln", "GET", "/orgs", timeout=timeout),
    ):
        with pytest.raises(UsageError, match="positive number of seconds"):
            ask()
    assert gateway.jobs.list() == []


@pytest.mark.parametrize(
    ("error", "hint", "wrong"),
    [
        (UnknownProvider, "lincoln", lambda g: g.sync("lincon", "orgs")),
        (UnknownProvider, "lincoln", lambda g: g.jobs.list(provider="lincon")),
        (UnknownResource, "students", lambda g: g.sync("lincoln", "studnts")),
        (UsageError, "high", lambda g: g.sync("lincoln", "orgs", priority="hgih")),
        (UsageError, "full", lambda g: g.sync("lincoln", "orgs", mode="ful")),
        (UsageError, "stale", lambda g: g.sync("lincoln", "orgs", on_unavailable="stael")),
        (UsageError, "PATCH", lambda g: g.enqueue_request("lincoln", "PACTH", "/x", json={})),
        (UsageError, "done", lambda g: g.jobs.list(states=["don"])),
        (UsageError, "hour", lambda g: g.providers.usage(by="our")),
        (UsageError, "open", lambda g: g.providers.breakers("lincoln").set("opne", actor="x")),
    ],
    ids=[
        "sync",
        "jobs",
        "resource",
        "priority",
        "mode",
        "on_unavailable",
        "method",
        "states",
        "by",
        "breaker",
    ],
)
def test_a_typing_error_is_answered_with_the_nearest_word(
    gateway: Gateway, error: type[Exception], hint: str, wrong: Callable[[Gateway], object]
) -> None:
    """Wherever one of some words is wanted."""
    with pytest.raises(error, match=f"Did you mean '{hint}'"):
        wrong(gateway)
