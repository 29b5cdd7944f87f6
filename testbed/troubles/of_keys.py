"""Troubles of a key, and of the token that is had for it."""

import base64
from datetime import timedelta

from sisgate.ledger import schema as tables
from testbed.http_server import Asked, Reply, json_reply
from testbed.scene import Silence
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of


@kind(wants_key=True)
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


@kind(wants_key=True)
def token_refused(at: Trouble) -> Expected:
    """The token endpoint does not know the client any more."""
    at.district = "clark"
    _forget_token(at)

    def answer(asked: Asked) -> Reply:
        return json_reply({"error": "invalid_client"}, 401)

    at.scene.districts["clark"].answer = answer
    return of("key", "key_refused")


@kind(wants_key=True)
def key_refused(at: Trouble) -> Expected:
    """Every call is refused with 401 or 403."""
    at.district = "clark"
    status = at.scene.random.choice((401, 403))
    at.scene.districts["clark"].answer = answers(status)
    at.load = max(at.load, 5)
    return of("key", "key_refused")


@kind(wants_key=True)
def key_expired(at: Trouble) -> Expected:
    """The key has expired, and is refused."""
    at.district = "clark"
    _expire(at, -at.scene.random.uniform(60, 3600))
    at.scene.districts["clark"].answer = answers(403)
    at.load = max(at.load, 5)
    return of("key", "key_expired")


@kind(wants_key=True)
def key_expires(at: Trouble) -> Expected:
    """The key expires within days."""
    at.district = "clark"
    _expire(at, at.scene.random.uniform(3600, 86_400))
    return of("key", "key_expires")


@kind(wants_key=True)
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


@kind(wants_key=True)
def one_key_refused(at: Trouble) -> Expected:
    """The provider refuses one of two keys; calls use the other one."""
    at.district = "clark"
    keys = at.scene.gateway.keys.of("clark")
    keys.add("clark-second", "s3cret-too", slot="secondary", actor="test")
    refused = at.scene.random.choice(("clark-client", "clark-second"))

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            client = base64.b64decode(asked.headers["authorization"].split()[1]).decode()
            token = client.partition(":")[0]
            return json_reply({"access_token": token, "expires_in": 3600})
        is_refused = asked.headers["authorization"] == f"Bearer {refused}"
        return json_reply({"message": "no"}, 403) if is_refused else json_reply({"orgs": []})

    at.scene.districts["clark"].answer = answer
    _forget_token(at)
    at.load = max(at.load, 4)
    slot = "primary" if refused == "clark-client" else "secondary"
    # The second one is not used before the first one is refused.
    return of("key", "key_refused", name=slot, or_well=slot == "secondary")


@kind(wants_key=True)
def tokens_throttled(at: Trouble) -> Expected:
    """The token endpoint answers 429."""
    at.district = "clark"
    _forget_token(at)
    _token_answer(at, json_reply({}, 429, Retry_After="120"))
    return of("provider", "tokens_fail", "provider_throttles", name="clark")


@kind(wants_key=True)
def token_url_wrong(at: Trouble) -> Expected:
    """There is nothing at the URL of the token endpoint: it was configured wrongly, or moved."""
    at.district = "clark"
    _forget_token(at)
    _token_answer(at, json_reply({}, 404))
    return of("fleet", "provider_misconfigured", says="token_url")


@kind(wants_key=True)
def tokens_hang_up(at: Trouble) -> Expected:
    """The token endpoint gives no answer, while the provider would."""
    at.district = "clark"
    _forget_token(at)
    good = at.scene.districts["clark"].answer

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            raise Silence
        return good(asked)

    at.scene.districts["clark"].answer = answer
    at.others_work = True
    return of("provider", "tokens_fail", name="clark")


@kind(wants_key=True)
def rotation_failed(at: Trouble) -> Expected:
    """The key expires soon, and the last rotation brought no other."""
    at.district = "clark"
    _expire(at, at.scene.random.uniform(3600, 20_000))
    with at.scene.runtime.database.write() as session:
        slot = session.query(tables.KeySlot).one()
        slot.failure = "the source gave no key: the vendor's portal answered 503"
        slot.not_before = at.scene.clock.now() + timedelta(hours=1)
    return of("key", "key_expires", says="portal answered 503")


def _token_answer(at: Trouble, reply: Reply) -> None:
    good = at.scene.districts["clark"].answer
    at.scene.districts["clark"].answer = lambda asked: (
        reply if asked.path == "/token" else good(asked)
    )


@kind(wants_key=True, bench_only=True)
def key_revoked_by_the_vendor(at: Trouble) -> Expected:
    """The client was deleted at the vendor: token requests are 400, as the standard says."""
    at.district = "clark"

    def answer(_: Asked) -> Reply:
        return 400, {"Content-Type": "application/json"}, b'{"error": "invalid_client"}'

    at.scene.districts["clark"].answer = answer
    _forget_token(at)
    return of("key", "key_refused")
