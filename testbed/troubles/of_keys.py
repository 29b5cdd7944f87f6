"""Troubles of a key, and of the token that is had for it."""

from __future__ import annotations

from datetime import timedelta

from sisgate.ledger import schema as tables
from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.trouble import Expected, Trouble, answers, of


def tokens_fail(at: Trouble) -> Expected:
    """The token endpoint fails."""
    at.district = "clark"
    _forget_token(at)
    good = at.scene.districts["clark"].answer
    status = at.scene.random.choice((500, 503))

    def answer(asked: Asked) -> Reply:
        return json_reply({}, status) if asked.path == "/token" else good(asked)

    at.scene.districts["clark"].answer = answer
    return of("provider", "tokens_fail", name="clark")


def token_refused(at: Trouble) -> Expected:
    """The token endpoint does not know the client any more."""
    at.district = "clark"
    _forget_token(at)

    def answer(asked: Asked) -> Reply:
        return json_reply({"error": "invalid_client"}, 401)

    at.scene.districts["clark"].answer = answer
    return of("key", "key_refused")


def key_refused(at: Trouble) -> Expected:
    """Every call is refused with 401 or 403."""
    at.district = "clark"
    status = at.scene.random.choice((401, 403))
    at.scene.districts["clark"].answer = answers(status)
    at.load = max(at.load, 5)
    return of("key", "key_refused")


def key_expired(at: Trouble) -> Expected:
    """The key has expired, and is refused."""
    at.district = "clark"
    _expire(at, -at.scene.random.uniform(60, 3600))
    at.scene.districts["clark"].answer = answers(403)
    at.load = max(at.load, 5)
    return of("key", "key_expired")


def key_expires(at: Trouble) -> Expected:
    """The key expires within days."""
    at.district = "clark"
    _expire(at, at.scene.random.uniform(3600, 86_400))
    return of("key", "key_expires")


def key_missing(at: Trouble) -> Expected:
    """The provider has no key."""
    at.district = "clark"
    keys = at.scene.gateway.keys.of("clark")
    keys.revoke(keys.list()[0].id, actor="test", reason="leaked")
    return of("key", "key_missing")


def _forget_token(at: Trouble) -> None:
    for key in at.scene.runtime.redis.scan_iter("sisgate:*token*"):
        at.scene.runtime.redis.delete(key)


def _expire(at: Trouble, seconds: float) -> None:
    with at.scene.runtime.database.write() as session:
        key = session.query(tables.Key).one()
        key.expires_at = at.scene.clock.now() + timedelta(seconds=seconds)
