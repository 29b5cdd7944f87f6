"""The limiter's Lua scripts and how they are run: by hash, many in one round trip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from sisgate.errors import BrokerUnavailable

_BEFORE = {
    "take": ("rules", "grant"),
    "admit": ("rules", "grant"),
    "state": ("rules",),
    "rebuild": ("rules",),
    "finish": ("rules",),
    "block": ("rules",),
}
"""What stands in front of a script, because it uses it."""


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script and the hash under which Redis keeps it."""

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return the script `lua/{name}.lua`, behind the shared parts that it uses."""
    folder = files("sisgate.admission") / "lua"
    parts = (*_BEFORE.get(name, ()), name)
    text = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in parts)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class ScriptCall(NamedTuple):
    """One run of a script on the keys of one provider."""

    name: str
    keys: tuple[str, ...]
    args: tuple[str | float, ...]

    def by_hash(self, client: Redis) -> Any:
        """Run the script if Redis has it; in a pipeline, queue that."""
        return client.evalsha(script(self.name).sha, len(self.keys), *self.keys, *self.args)

    def by_text(self, client: Redis) -> Any:
        """Run the script in any case, and leave it with Redis; in a pipeline, queue that."""
        return client.eval(script(self.name).text, len(self.keys), *self.keys, *self.args)


def run_script(redis: Redis, call: ScriptCall) -> Any:
    """Run one script in one round trip (two when Redis does not have it yet).

    Raises `BrokerUnavailable` for every error of Redis. The script may have run all the same.
    """
    try:
        try:
            return call.by_hash(redis)
        except NoScriptError:
            return call.by_text(redis)
    except RedisError as error:
        raise _unavailable(error) from error


def run_scripts(redis: Redis, calls: Sequence[ScriptCall]) -> list[Any]:
    """Run several scripts in one round trip, each atomic by itself; like `run_script`."""
    try:
        answers = _pipeline(redis, [call.by_hash for call in calls])
        missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        again = _pipeline(redis, [calls[i].by_text for i in missing]) if missing else []
        for i, answer in zip(missing, again, strict=True):
            answers[i] = answer
    except RedisError as error:
        raise _unavailable(error) from error
    for answer in answers:
        if isinstance(answer, RedisError):
            raise _unavailable(answer) from answer
    return answers


def _pipeline(redis: Redis, queue: Sequence[Callable[[Redis], Any]]) -> list[Any]:
    with redis.pipeline(transaction=False) as pipe:
        for command in queue:
            command(pipe)
        return pipe.execute(raise_on_error=False)


def _unavailable(error: RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(
        "Redis did not answer the limiter, so no permit can be given; calls wait until it does.",
        cause=type(error).__name__,
    )
