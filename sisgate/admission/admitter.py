"""Taking messages off provider queues, each with a permit, atomically in Redis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sisgate.admission.limiter import MOST_PERMITS, Limiter
from sisgate.admission.slot_sharing import Want
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import PRIORITY_STEPS
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CONFIGURATION, PROBE_GATE, limiter_keys
from sisgate.redis.queues import UNACKED, UNACKED_INDEX, queue_keys
from sisgate.redis.scripts import Argument, ScriptCall, run_scripts

MOST_QUEUES = 1000
"""Queues checked by one script: Lua passes at most 8,000 values, and each queue has four lists."""

MOST_TAGS = 1000
"""Messages acknowledged by one script, for the same reason."""


class Taken(NamedTuple):
    """A message off its queue, with its permit.

    `tag` is its name in `unacked`, '' if none can be read from the text: such a message is no
    longer stored anywhere and cannot be delivered.
    """

    permit: str
    tag: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was taken for one provider.

    `messages` are in order, most urgent first; if there are fewer than requested, `reason` says
    why. `left` messages still wait; the next may get a permit after `wait_seconds`, unless a signal
    comes earlier.
    """

    provider: str
    messages: tuple[Taken, ...]
    reason: str
    wait_seconds: float
    factor: float
    left: int


class Admitter:
    """Finds and takes waiting messages, in one round trip each whatever the number of queues."""

    def __init__(self, redis: RedisClient, limiter: Limiter) -> None:
        self._redis = redis
        self._limiter = limiter

    def waiting(self, providers: Sequence[str]) -> list[str]:
        """Return the providers whose queues have messages."""
        starts = range(0, len(providers), MOST_QUEUES)
        parts = [providers[start : start + MOST_QUEUES] for start in starts]
        calls = [
            ScriptCall("admission/backlog", [key for name in part for key in queue_keys(name)])
            for part in parts
        ]
        answers = run_scripts(self._redis, calls)
        return [
            part[place]
            for part, lists in zip(parts, answers, strict=True)
            for place in sorted({int(each) // len(PRIORITY_STEPS) for each in lists})
        ]

    def admit(
        self,
        wants: Iterable[Want],
        specs: Mapping[str, LimitSpec],
        version: int = 0,
        ended: Sequence[str] = (),
    ) -> list[Admitted]:
        """Take up to the wanted messages of each provider; those without a permit stay queued.

        `version` is the configuration that the specs are from. If Redis knows a newer one, nothing
        is taken and the reason is `stale`. `ended` are the tags of messages to acknowledge first.
        """
        wants = list(wants)
        calls = [self._call(want, specs[want.provider], version) for want in wants]
        answers = run_scripts(self._redis, [*_acknowledging(ended), *calls])[-len(calls) :]
        return [_read(want.provider, answer) for want, answer in zip(wants, answers, strict=True)]

    def acknowledge(self, ended: Sequence[str]) -> None:
        """Forget delivered messages whose tasks have ended."""
        run_scripts(self._redis, _acknowledging(ended))

    def _call(self, want: Want, spec: LimitSpec, version: int) -> ScriptCall:
        lists = queue_keys(want.provider)
        keys = (
            *limiter_keys(want.provider),
            UNACKED,
            UNACKED_INDEX,
            PROBE_GATE(provider=want.provider),
            CONFIGURATION(),
            *lists,
        )
        now, encoded = self._limiter.script_args(spec)
        most, rest = min(want.messages, MOST_PERMITS), min(want.background, MOST_PERMITS)
        args: list[Argument] = [now, encoded, most, rest, version, *PRIORITY_STEPS]
        return ScriptCall("admission/admit", keys, args)


def _acknowledging(tags: Sequence[str]) -> list[ScriptCall]:
    starts = range(0, len(tags), MOST_TAGS)
    parts = [tags[start : start + MOST_TAGS] for start in starts]
    return [ScriptCall("admission/acknowledge", (UNACKED, UNACKED_INDEX), part) for part in parts]


def _read(provider: str, answer: Sequence[bytes]) -> Admitted:
    reason, wait_ms, factor, left, *parts = answer
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    messages = tuple(
        Taken(permit.decode(), tag.decode(errors="replace"), text) for permit, tag, text in triples
    )
    return Admitted(
        provider, messages, reason.decode(), float(wait_ms) / 1000, float(factor), int(left)
    )
