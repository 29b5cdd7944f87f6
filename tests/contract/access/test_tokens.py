"""Tokens from their making to their end, and what the audit log knows of it."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from sisgate.access.authorizer import Authorizer, authenticate
from sisgate.access.policy import Action, Principal, Role
from sisgate.access.token_service import TokenInfo, TokenService
from sisgate.access.tokens import new_token
from sisgate.errors import AccessDenied, InvalidState, NotAuthenticated, UnknownToken, UsageError
from sisgate.ledger import audit_log
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AccessToken
from testbed.clock import ManualClock


@pytest.fixture
def service(database: Database, clock: ManualClock) -> TokenService:
    """The service of an install that asks nobody for a token."""
    return TokenService(database, clock, Authorizer(database, clock))


def secret(made: TokenInfo) -> str:
    """The token as its owner has it."""
    assert made.token is not None
    return made.token.get_secret_value()


def events(database: Database, action: str) -> list[tuple[str, str, str | None]]:
    """Actor, subject and reason of what the audit log has of an action, newest first."""
    with database.read() as session:
        found = [e for e in audit_log.tail(session, limit=100) if e.action == action]
    return [(e.actor, e.subject, e.reason) for e in found]


def authorizer_of(database: Database, clock: ManualClock, made: TokenInfo) -> Authorizer:
    """What asks who has the token."""
    return Authorizer(database, clock, required=True, token=made.token)


def test_a_token_says_who_asks(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """Name, roles and scopes are those it was made with."""
    made = service.add("gradebook", ["app"], scopes=["lincoln/students", "skyward"])
    who = authenticate(database, clock, secret(made))
    assert (who.name, sorted(who.roles), who.token_id) == ("gradebook", [Role.APP], made.id)
    assert [str(scope) for scope in who.scopes] == ["lincoln/students", "skyward"]


def test_only_a_digest_is_stored(database: Database, service: TokenService) -> None:
    """Nobody who reads the table can use what stands there."""
    made = service.add("gradebook", ["app"])
    text = secret(made)
    with database.read() as session:
        row = session.get_one(AccessToken, made.id)
        stored = repr([getattr(row, column.key) for column in AccessToken.__table__.columns])
    assert text not in stored
    assert text.rsplit("_", 1)[1][:20] not in stored


def test_unknown_revoked_expired_and_forged_are_told_alike_and_audited_exactly(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """Who asks learns nothing about which tokens exist."""
    expired = service.add("old", ["app"], life=timedelta(minutes=1))
    revoked = service.add("gone", ["app"])
    service.revoke(revoked.id)
    forged = new_token()
    with database.write() as session:
        session.get_one(AccessToken, revoked.id).id = forged.id
    clock.advance(120)
    texts = [secret(expired), new_token().value.get_secret_value(), forged.value.get_secret_value()]
    said = set()
    for text in texts:
        with pytest.raises(NotAuthenticated) as refused:
            authenticate(database, clock, text)
        said.add(str(refused.value))
        assert text not in str(refused.value)
    assert len(said) == 1
    reasons = [reason for _, _, reason in events(database, "access:token:refuse")]
    assert reasons == ["wrong secret", "unknown", "expired"]


@pytest.mark.parametrize(("text", "reason"), [(None, "none given"), ("letmein", "not a token")])
def test_who_brings_no_token_is_audited_too(
    database: Database, clock: ManualClock, text: str | None, reason: str
) -> None:
    """What was given instead is in neither the log nor the error."""
    with pytest.raises(NotAuthenticated) as refused:
        authenticate(database, clock, text)
    assert "letmein" not in str(refused.value)
    assert events(database, "access:token:refuse") == [("unknown", "token none", reason)]


def test_a_revocation_holds_within_a_second(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """Also for a gateway that has known the token for long."""
    made = service.add("gradebook", ["app"])
    authorizer = authorizer_of(database, clock, made)
    authorizer.require(Action.READ, "lincoln", "students")
    service.revoke(made.id, reason="laptop lost")
    clock.advance(1.0)
    with pytest.raises(NotAuthenticated):
        authorizer.require(Action.READ, "lincoln", "students")
    assert events(database, "access:token:revoke") == [("local", f"token {made.id}", "laptop lost")]


def test_a_refusal_is_audited_and_says_what_would_be_needed(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """With who asked, for what, and where."""
    made = service.add("gradebook", ["app"], scopes=["lincoln/students"])
    authorizer = authorizer_of(database, clock, made)
    with pytest.raises(AccessDenied, match="do not cover lincoln/teachers"):
        authorizer.require(Action.READ, "lincoln", "teachers")
    with pytest.raises(AccessDenied, match="needs the role operator or admin"):
        authorizer.require(Action.CONTROL, "lincoln")
    actor = f"gradebook (token {made.id})"
    assert [(a, s) for a, s, _ in events(database, "access:read:refuse")] == [
        (actor, "lincoln/teachers")
    ]
    assert len(events(database, "access:control:refuse")) == 1
    assert events(database, "access:token:login") == [(actor, f"token {made.id}", None)]


def test_the_last_use_is_noted_once_a_minute(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """A token that is used all the time does not cost a write each time."""
    made = service.add("gradebook", ["app"])
    seen = []
    for seconds in (0, 30, 29, 1):
        clock.advance(seconds)
        authenticate(database, clock, secret(made))
        (info,) = service.list()
        assert info.last_used_at is not None
        seen.append(info.last_used_at)
    assert seen[0] == seen[1] == seen[2]
    assert seen[3] == seen[0] + timedelta(minutes=1)


def test_a_token_that_is_replaced_is_good_for_the_overlap(
    database: Database, clock: ManualClock, service: TokenService
) -> None:
    """Both work, then only the new one, which has the same roles and scopes."""
    old = service.add("gradebook", ["app"], scopes=["lincoln"])
    new = service.rotate(old.id, overlap=timedelta(hours=1))
    assert (new.name, new.roles, new.scopes) == (old.name, old.roles, old.scopes)
    assert authenticate(database, clock, secret(old)).token_id == old.id
    clock.advance(3600)
    assert authenticate(database, clock, secret(new)).token_id == new.id
    with pytest.raises(NotAuthenticated):
        authenticate(database, clock, secret(old))
    with pytest.raises(InvalidState, match="revoked"):
        service.rotate(old.id)


def test_the_first_admin_needs_no_token_and_the_second_does(
    database: Database, clock: ManualClock
) -> None:
    """Where tokens are required; anything else would lock everybody out."""
    shut = TokenService(database, clock, Authorizer(database, clock, required=True))
    with pytest.raises(NotAuthenticated, match="none was given"):
        shut.add("gradebook", ["app"])
    admin = shut.add("ana", ["admin"], actor="root")
    with pytest.raises(NotAuthenticated, match="none was given"):
        shut.add("eve", ["admin"])
    with pytest.raises(NotAuthenticated):
        shut.list()
    own = TokenService(database, clock, authorizer_of(database, clock, admin))
    assert own.add("gradebook", ["app"]).created_by == f"ana (token {admin.id})"
    assert [token.name for token in own.list()] == ["ana", "gradebook"]


def test_who_is_known_already_makes_no_first_admin(database: Database, clock: ManualClock) -> None:
    """A web API that stands for a viewer, after the last admin's token has expired."""
    viewer = Principal("eve", frozenset({Role.VIEWER}))
    service = TokenService(
        database, clock, Authorizer(database, clock, required=True, principal=viewer)
    )
    with pytest.raises(AccessDenied):
        service.add("eve", ["admin"])


def test_an_operator_makes_no_tokens(database: Database, clock: ManualClock) -> None:
    """Nor looks at them, nor ends them."""
    admin = TokenService(database, clock, Authorizer(database, clock)).add("ana", ["admin"])
    made = TokenService(database, clock, Authorizer(database, clock)).add("bo", ["operator"])
    service = TokenService(database, clock, authorizer_of(database, clock, made))
    for work in (
        service.list,
        lambda: service.revoke(admin.id),
        lambda: service.add("x", ["admin"]),
    ):
        with pytest.raises(AccessDenied):
            work()


@pytest.mark.parametrize(
    "words",
    [
        {"name": "", "roles": ["app"]},
        {"name": "a b", "roles": ["app"]},
        {"name": "a", "roles": []},
        {"name": "a", "roles": ["king"]},
        {"name": "a", "roles": ["app"], "scopes": []},
        {"name": "a", "roles": ["app"], "scopes": ["/students"]},
        {"name": "a", "roles": ["app"], "life": timedelta(0)},
    ],
)
def test_a_token_that_makes_no_sense_is_refused(service: TokenService, words: dict) -> None:
    """And nothing is stored."""
    with pytest.raises(UsageError):
        service.add(**words)
    assert service.list(every=True) == []


def test_a_token_given_for_its_id_is_not_repeated(service: TokenService) -> None:
    """People paste what they have."""
    made = service.add("gradebook", ["app"])
    assert service.revoke(secret(made)).state == "revoked"
    stranger = new_token().value.get_secret_value()
    with pytest.raises(UnknownToken) as unknown:
        service.revoke(stranger)
    assert stranger not in str(unknown.value)


def test_a_token_is_not_in_what_is_listed(service: TokenService) -> None:
    """It is shown once."""
    made = service.add("gradebook", ["app"])
    assert "token" in made.as_dict()
    (listed,) = service.list()
    assert "token" not in listed.as_dict()
    assert listed.token is None
    assert SecretStr(secret(made)) == made.token
