"""Roles give actions, scopes say where; more of either never takes anything away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.access.policy import (
    ALLOWED,
    EVERYWHERE,
    INTERNAL,
    LOCAL,
    Action,
    Principal,
    Role,
    Scope,
    broker_principal,
    covers_some,
    decide,
    decide_role,
)

NAMES = st.sampled_from(["powerschool", "skyward", "lincoln"])
RESOURCES = st.sampled_from(["students", "classes"])
SCOPES = st.builds(Scope, st.one_of(st.just("*"), NAMES), st.one_of(st.just("*"), RESOURCES))
PRINCIPALS = st.builds(
    Principal,
    st.just("somebody"),
    st.frozensets(st.sampled_from(Role)),
    st.lists(SCOPES, max_size=3).map(tuple),
)
PLACES = st.one_of(st.just((None, None)), st.tuples(NAMES, st.none()), st.tuples(NAMES, RESOURCES))


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        (Role.APP, {"look", "enqueue", "read", "request"}),
        (Role.VIEWER, {"look"}),
        (Role.OPERATOR, {"look", "enqueue", "control", "keys"}),
        (Role.ADMIN, {action.value for action in Action} - {"sight"}),
        (Role.SIGHT, {"read", "sight"}),
    ],
)
def test_a_role_allows_what_it_is_for(role: Role, actions: set[str]) -> None:
    """The whole table; who sees student data on pages may read it, too."""
    assert {action.value for action in ALLOWED[role]} == actions


@given(PRINCIPALS, st.sampled_from(Action), PLACES, st.sampled_from(Role), SCOPES)
def test_a_further_role_or_scope_takes_nothing_away(
    who: Principal, action: Action, place: tuple[str | None, str | None], role: Role, scope: Scope
) -> None:
    """Allowed stays allowed."""
    if decide(who, action, *place).allowed:
        more = Principal(who.name, who.roles | {role}, (*who.scopes, scope))
        assert decide(more, action, *place).allowed


@given(PRINCIPALS, st.sampled_from(Action), NAMES, RESOURCES)
def test_what_holds_for_more_holds_for_each_part(
    who: Principal, action: Action, provider: str, resource: str
) -> None:
    """Everything includes each provider, a provider each of its resources."""
    everything = decide(who, action).allowed
    whole = decide(who, action, provider).allowed
    part = decide(who, action, provider, resource).allowed
    assert everything <= whole <= part <= decide_role(who, action).allowed
    assert part <= covers_some(who, provider)


@given(PRINCIPALS, st.sampled_from(Action), PLACES)
def test_nothing_is_allowed_without_a_role_and_a_scope_and_a_refusal_says_why(
    who: Principal, action: Action, place: tuple[str | None, str | None]
) -> None:
    """Deny is the default."""
    decision = decide(who, action, *place)
    assert decision.allowed is not bool(decision.reason)
    if not who.roles or not who.scopes:
        assert not decision.allowed


@given(st.sampled_from(Action), PLACES)
def test_the_fleet_and_the_local_user_may_do_everything(
    action: Action, place: tuple[str | None, str | None]
) -> None:
    """An embedded install works without any token."""
    assert decide(LOCAL, action, *place).allowed
    assert decide(INTERNAL, action, *place).allowed


def test_the_broker_may_do_nothing_where_tokens_are_required_unless_it_is_said() -> None:
    """It carries no token; what it may ask for is a setting."""
    assert decide(broker_principal("open", None), Action.CONTROL, "lincoln").allowed
    assert not decide(broker_principal("tokens", None), Action.ENQUEUE, "lincoln", "x").allowed
    some = broker_principal("tokens", ["lincoln/students"])
    assert decide(some, Action.ENQUEUE, "lincoln", "students").allowed
    assert not decide(some, Action.CONTROL, "lincoln", "students").allowed


@pytest.mark.parametrize("text", ["", "/students", "a/", "a/b/c", " "])
def test_a_scope_that_is_none_is_refused(text: str) -> None:
    """With the forms there are."""
    with pytest.raises(ValueError, match="PROVIDER"):
        Scope.parse(text)


@given(SCOPES)
def test_a_scope_reads_as_it_is_written(scope: Scope) -> None:
    """Stored as text and read back."""
    assert Scope.parse(str(scope)) == scope
    assert EVERYWHERE[0].covers(scope.provider, scope.resource)
