"""Every key of the fleet in Redis, in one list; its page is docs/reference/redis-keys.md.

All begin with `PREFIX`, whose number changes where the meaning of a key does. Braces around a
provider's name keep the keys of one script in one slot of a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "sisgate:1:"


@dataclass(frozen=True, slots=True)
class KeyFamily:
    """Keys whose names follow one template, such as `sisgate:1:hold:{{{provider}}}`."""

    template: str
    type: str
    holds: str
    expires: str
    writer: str

    def __call__(self, **names: str) -> str:
        """Return the key of one provider, endpoint or job."""
        return self.template.format(**names)

    @property
    def pattern(self) -> str:
        """The key as people read it, names in capitals: `sisgate:1:hold:{PROVIDER}`."""
        return self.template.format(**{name: name.upper() for name in self._names})

    def covers(self, key: str) -> bool:
        """Return whether a key is one of the family."""
        marks = {name: f"\0{name}\0" for name in self._names}
        text = re.escape(self.template.format(**marks))
        return re.fullmatch(re.sub("\\\\?\0\\w+\\\\?\0", "(.+)", text), key) is not None

    @property
    def _names(self) -> Sequence[str]:
        return re.findall(r"\{(\w+)\}", self.template)


def _ours(name: str, type_: str, holds: str, expires: str, writer: str) -> KeyFamily:
    return KeyFamily(PREFIX + name, type_, holds, expires, writer)


LIMIT_STATE = _ours(
    "limit:{{{provider}}}:state",
    "hash",
    "the limiter: epoch, tokens, adaptive factor, block, pause, limits set at run time",
    "never",
    "`admission/lua`",
)
LIMIT_CALLS = _ours(
    "limit:{{{provider}}}:calls",
    "sorted set",
    "permits that the windows count, by the last moment the provider may have seen their call",
    "never; trimmed as permits are granted",
    "`admission/lua`",
)
LIMIT_FLIGHT = _ours(
    "limit:{{{provider}}}:flight",
    "sorted set",
    "permits of running calls, by the end of their lease",
    "never; trimmed as permits are granted",
    "`admission/lua`",
)
UNKNOWN_LIMITS = _ours(
    "limits-unknown",
    "hash",
    "providers whose limiter has lost its state, with the time it was noticed",
    "never; removed by the rebuild",
    "`workers/admission/limiter_recovery.py`",
)
APPLIED_CONTROLS = _ours(
    "controls-applied",
    "string",
    "digest of the limits, pauses and pins that Redis has been given from the ledger",
    "never",
    "`workers/admission/limiter_recovery.py`",
)
BREAKERS = _ours(
    "breaker:{{{provider}}}",
    "hash",
    "state of each endpoint's circuit breaker, JSON by URL",
    "never",
    "`breakers/lua`",
)
BREAKER_COUNTS = _ours(
    "breaker-counts:{{{provider}}}",
    "hash",
    "calls by outcome and transitions by reason, for the metrics",
    "never",
    "`breakers/lua`",
)
BREAKER_LOG = _ours(
    "breaker-journal:{{{provider}}}",
    "stream",
    "transitions not yet copied into the audit log",
    "never; at most 10,000 entries",
    "`breakers/lua`",
)
PROBE_GATE = _ours(
    "hold:{{{provider}}}",
    "hash",
    "exists while no breaker of the provider is closed; `until` (ms) is when the next message may "
    "be taken, as a probe",
    "never; removed when a breaker closes",
    "`breakers/lua`, `admission/lua/admit.lua`",
)
ROUTES = _ours(
    "route:{{{provider}}}",
    "hash",
    "turn of the rotation; latency, failures and health of each endpoint, JSON by URL",
    "never",
    "`routing/lua`",
)
RUNNING_CALLS = _ours(
    "route:{{{provider}}}:running:{endpoint}",
    "sorted set",
    "running calls of an endpoint, by the end of their lease",
    "two leases after the last call began",
    "`routing/lua`",
)
HEALTH_CLAIM = _ours(
    "health:{{{provider}}}:{endpoint}",
    "string",
    "an endpoint was checked in this interval",
    "the interval",
    "`workers/maintenance/health.py`",
)
TOKEN = _ours(
    "token:{provider}:{key_id}:{digest}",
    "string",
    "sealed access token of a provider's key",
    "shortly before the token does",
    "`credentials/tokens.py`",
)
TOKEN_LOCK = _ours(
    "token:{provider}:{key_id}:{digest}:lock",
    "string",
    "a worker is fetching the token",
    "20 s",
    "`credentials/tokens.py`",
)
TOKEN_WAIT = _ours(
    "token:{provider}:{key_id}:{digest}:wait",
    "string",
    "the token endpoint asked to wait",
    "when it may be asked again",
    "`credentials/tokens.py`",
)
KEY_USAGE = _ours(
    "key-usage",
    "hash",
    "how often keys were used since the counts were last taken, by `KEY:WHAT`",
    "never; taken by beat",
    "`credentials/usage.py`",
)
KEY_USAGE_TAKEN = _ours(
    "key-usage:taken",
    "hash",
    "the counts that are being added to the ledger, and the number of their batch",
    "never; removed when they are added",
    "`credentials/usage.py`",
)
HEARTBEATS = _ours(
    "heartbeats",
    "hash",
    "last heartbeat of each worker and beat, JSON by process",
    "never; a process is removed after a day of silence",
    "`liveness/lua`",
)
HEARTBEAT_TIMES = _ours(
    "heartbeat-times",
    "sorted set",
    "processes by the time of their last heartbeat",
    "never; as `heartbeats`",
    "`liveness/lua`",
)
HEARTBEAT_WATCH = _ours(
    "heartbeat-watch",
    "string",
    "the process that watches the others",
    "15 s",
    "`liveness/lua`",
)
RECONCILES = _ours(
    "reconciles",
    "hash",
    "when a reconcile last ended well, and why it has failed since",
    "never",
    "`liveness/lua`",
)
WRITE_PROBE = _ours(
    "write-probe",
    "string",
    "nothing: written to check whether Redis accepts writes",
    "1 s",
    "`liveness/heartbeats.py`",
)
AUDIT_HEADS = _ours(
    "audit-heads",
    "hash",
    "whether each host can keep the heads of the audit log, JSON by host",
    "a day",
    "`audit/heads.py`",
)
QUARANTINE = _ours(
    "quarantine",
    "list",
    "messages that no worker could handle, at most 100",
    "never",
    "`quarantine.py`",
)
EARLY_CANCEL = _ours(
    "cancelled-early:{job}",
    "string",
    "an app cancelled a job that does not exist yet",
    "an hour",
    "`workers/jobs/app_tasks.py`",
)
WAITING_TASK = _ours(
    "waiting:{task}",
    "string",
    "a message of this task of beat waits to be taken",
    "5 s",
    "`workers/task_types.py`",
)

FAMILIES = tuple(value for value in globals().values() if isinstance(value, KeyFamily))
"""All keys of ours, in the order of the page."""

WORK_CHANNEL = f"{PREFIX}work"
"""Pub/sub: names of providers with new work."""


def job_channel(job_id: str) -> str:
    """Return the pub/sub channel on which the end of a job is announced."""
    return f"{PREFIX}ended:{job_id}"


def token_lock(token: str) -> str:
    """Return the key of the lock under which a token is fetched."""
    return f"{token}:lock"


def token_wait(token: str) -> str:
    """Return the key that exists while a token must not be asked for."""
    return f"{token}:wait"


def limiter_keys(provider: str) -> tuple[str, str, str]:
    """Return the keys of a provider's limiter, in the order of its scripts."""
    return (
        LIMIT_STATE(provider=provider),
        LIMIT_CALLS(provider=provider),
        LIMIT_FLIGHT(provider=provider),
    )
