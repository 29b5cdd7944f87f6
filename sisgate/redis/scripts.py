"""Lua scripts: read with their includes, run by their hash, many in one round trip.

A script is named after its package: `breakers/ask` is `sisgate/breakers/lua/ask.lua`. A line
`--- @include "rules"` inserts `rules.lua` of the same folder, or of `sisgate/redis/lua`, once per
script.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from sisgate.clock import Clock
from sisgate.redis.errors import translated, unavailable

_INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """The full text of a script, and the hash under which Redis caches it."""

    text: str
    sha: str


Argument = str | bytes | float


class ScriptCall(NamedTuple):
    """One run of a script."""

    name: str
    keys: Sequence[str]
    args: Sequence[Argument] = ()


@cache
def script(name: str) -> Script:
    """Return the script with a name such as `breakers/ask`."""
    room, _, file = name.partition("/")
    text = _read(room, file, set())
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def run_script(client: Redis, name: str, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
    """Run a script in one round trip, two if Redis does not have it yet.

    Raises `BrokerUnavailable` for every error of Redis; the script may have run nevertheless.
    """
    code = script(name)
    with translated():
        try:
            return client.evalsha(code.sha, len(keys), *keys, *args)
        except NoScriptError:
            return client.eval(code.text, len(keys), *keys, *args)


def run_scripts(client: Redis, calls: Sequence[ScriptCall]) -> list[Any]:
    """Run several scripts in one round trip, each atomic by itself; else as `run_script`."""
    if len(calls) <= 1:
        return [run_script(client, *call) for call in calls]
    with translated():
        answers = _pipelined(client, calls, by_hash=True)
        missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        again = _pipelined(client, [calls[i] for i in missing], by_hash=False)
        for i, answer in zip(missing, again, strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, RedisError):
            raise unavailable(answer) from answer
    return answers


class ProviderScripts:
    """One package's scripts on one provider's keys. Each takes the time and `head` first.

    `clock` replaces the `TIME` of Redis in tests.
    """

    def __init__(
        self,
        client: Redis,
        room: str,
        keys: Sequence[str],
        head: Sequence[Argument],
        clock: Clock | None,
    ) -> None:
        self.client = client
        self._room = room
        self._keys = keys
        self._head = head
        self._clock = clock

    def call(self, name: str, *args: Argument) -> ScriptCall:
        """Return one run of a script, for `run_scripts`."""
        args = (script_time(self._clock), *self._head, *args)
        return ScriptCall(f"{self._room}/{name}", self._keys, args)

    def run(self, name: str, *args: Argument) -> Any:
        """Run a script; raises as `run_script`."""
        return run_script(self.client, *self.call(name, *args))


def script_time(clock: Clock | None) -> str:
    """Return a script's time argument: that of a clock, or '' for the `TIME` of Redis.

    Milliseconds since 1970, with three decimals. Only tests pass a clock.
    """
    return "" if clock is None else f"{clock.now().timestamp() * 1000:.3f}"


def _read(room: str, file: str, included: set[str]) -> str:
    """Return a file's text with its includes; '' if it was already included."""
    if file in included:
        return ""
    included.add(file)
    own = files(f"sisgate.{room}") / "lua" / f"{file}.lua"
    shared = files("sisgate.redis") / "lua" / f"{file}.lua"
    text = (own if own.is_file() else shared).read_text("utf-8")
    return _INCLUDE.sub(lambda line: _read(room, line[1], included), text)


def _pipelined(client: Redis, calls: Sequence[ScriptCall], *, by_hash: bool) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for name, keys, args in calls:
            code = script(name)
            if by_hash:
                pipe.evalsha(code.sha, len(keys), *keys, *args)
            else:
                pipe.eval(code.text, len(keys), *keys, *args)
        return pipe.execute(raise_on_error=False)
