"""Every key of the fleet in Redis. docs/reference/redis-keys.md says what each holds.

All begin with `PREFIX`, whose number changes when the meaning of a key does. Braces around a
provider's name keep the keys of one script in one cluster slot.
"""

from dataclasses import dataclass

PREFIX = "sisgate:1:"


@dataclass(frozen=True, slots=True)
class KeyFamily:
    """Keys whose names follow one template, such as `sisgate:1:hold:{{{provider}}}`."""

    template: str
    type: str
    """Redis's name of the type: hash, list, set, stream, string, zset."""

    def __call__(self, **names: str) -> str:
        """Return the key of one provider, endpoint or job."""
        return self.template.format(**names)


def _ours(name: str, redis_type: str) -> KeyFamily:
    return KeyFamily(PREFIX + name, redis_type)


LIMIT_STATE = _ours("limit:{{{provider}}}:state", "hash")
LIMIT_CALLS = _ours("limit:{{{provider}}}:calls", "zset")
LIMIT_FLIGHT = _ours("limit:{{{provider}}}:flight", "zset")
UNKNOWN_LIMITS = _ours("limits-unknown", "hash")
APPLIED_CONTROLS = _ours("controls-applied", "string")
CONFIGURATION = _ours("configuration", "string")
BREAKERS = _ours("breaker:{{{provider}}}", "hash")
BREAKER_COUNTS = _ours("breaker-counts:{{{provider}}}", "hash")
BREAKER_JOURNAL = _ours("breaker-journal:{{{provider}}}", "stream")
PROBE_GATE = _ours("hold:{{{provider}}}", "hash")
ROUTES = _ours("route:{{{provider}}}", "hash")
RUNNING_CALLS = _ours("route:{{{provider}}}:running:{endpoint}", "zset")
HEALTH_CLAIM = _ours("health:{{{provider}}}:{endpoint}", "string")
TOKEN = _ours("token:{provider}:{key_id}:{digest}", "string")
TOKEN_LOCK = _ours("token:{provider}:{key_id}:{digest}:lock", "string")
TOKEN_WAIT = _ours("token:{provider}:{key_id}:{digest}:wait", "string")
KEY_USAGE = _ours("key-usage", "hash")
KEY_USAGE_TAKEN = _ours("key-usage:taken", "hash")
HEARTBEATS = _ours("heartbeats", "hash")
HEARTBEAT_TIMES = _ours("heartbeat-times", "zset")
HEARTBEAT_WATCH = _ours("heartbeat-watch", "string")
RECONCILES = _ours("reconciles", "hash")
DUTIES_LEASE = _ours("duties-lease", "string")
WRITE_PROBE = _ours("write-probe", "string")
AUDIT_HEADS = _ours("audit-heads", "hash")
CERTIFICATES_ENDING = _ours("certificates-ending", "hash")
QUARANTINE = _ours("quarantine", "list")
EARLY_CANCEL = _ours("cancelled-early:{job}", "string")
INBOUND = _ours("inbound:{window}", "string")
INBOUND_REFUSED = _ours("inbound-refused", "list")
WAITING_TASK = _ours("waiting:{task}", "string")

FAMILIES = tuple(value for value in globals().values() if isinstance(value, KeyFamily))
"""All our keys, in the order of that page."""

WORK_CHANNEL = f"{PREFIX}work"
"""Pub/sub: names of providers with new work."""

ENDED_CHANNEL = f"{PREFIX}ended"
"""Pub/sub: ids of jobs that have ended."""


def token_lock(token: str) -> str:
    """Return the key of the lock under which a token is fetched."""
    return f"{token}:lock"


def token_wait(token: str) -> str:
    """Return the key that exists while a token must not be requested."""
    return f"{token}:wait"


def limiter_keys(provider: str) -> tuple[str, str, str]:
    """Return the keys of a provider's limiter, in the order of its scripts."""
    return (
        LIMIT_STATE(provider=provider),
        LIMIT_CALLS(provider=provider),
        LIMIT_FLIGHT(provider=provider),
    )
