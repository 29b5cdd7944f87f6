"""`GatewayDouble`: a whole installation in the memory of a test."""

from __future__ import annotations

import json as json_module
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sisgate import __version__
from sisgate.errors import UsageError
from sisgate.gateway import Gateway, Job, JobStatus
from sisgate.start_up import require_extras
from sisgate.testing.clock import SteppedClock

if TYPE_CHECKING:
    from sisgate.settings import ProviderConfig, Settings
    from sisgate.testing.provider import ProviderReply, SentRequest


class GatewayDouble:
    """The real gateway and the workers' real code, over SQLite and a Redis in memory.

    No process, port or provider: whoever waits for a job works it off, in the time of the test.
    `gateway` is that of the app `app`; others are made by `gateway_of`. Providers answer as a small
    simulated district of their kind, unless the test says something else (`answer`).

    `configuration` is a document or file, as for `gateway.configuration.apply`. No provider needs a
    key: requests are not authorised.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any] | Path | None = None,
        *,
        app: str = "default",
        start: datetime | None = None,
    ) -> None:
        require_extras("sisgate.testing", "testing", "worker")
        from sisgate.redis.in_memory import connect_in_memory
        from sisgate.testing.inline_fleet import InlineFleet, InlineWakeups
        from sisgate.testing.installation import origin_of, place_of, runtime_of, settings_of
        from sisgate.testing.provider import ScriptedProviders

        self.clock = SteppedClock(start)
        self._folder = tempfile.TemporaryDirectory(prefix="sisgate-double-")
        settings = settings_of(configuration, Path(self._folder.name), app)
        places = {
            origin_of(endpoint.url): place_of(config, endpoint.url)
            for config in settings.providers.values()
            for endpoint in config.endpoints
        }
        self.providers = ScriptedProviders(places)
        self._answers: list[_Scripted] = []
        self.providers.reply = self._scripted
        self._redis = connect_in_memory()
        self._runtime = runtime_of(settings, self.clock, self._redis, self.providers)
        self._runtime.wakeups = InlineWakeups(lambda: self.admin, lambda: self._fleet)
        self.admin: Gateway = Gateway.on(self._runtime)
        """A gateway that may do everything, as the user of the machine."""
        for config in settings.providers.values():
            self._runtime.limiter.rebuild(config.name, self._runtime.limits(config), [])
        self._fleet = InlineFleet(self._runtime, self.clock)
        self._be_heard(settings)
        self.gateway: Gateway = self.gateway_of(app)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self.admin.close()
        self._runtime.transport.close()
        self._folder.cleanup()

    def gateway_of(
        self, app: str, roles: Sequence[str] = ("app",), scopes: Sequence[str] = ("*",)
    ) -> Gateway:
        """Return the gateway of another caller, as a token with these roles and scopes gives it."""
        token = self.admin.tokens.add(app, roles, scopes=scopes).token
        assert token is not None
        return self.admin.for_token(token.get_secret_value())

    # What providers answer

    def answer(
        self,
        provider: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        error: Exception | None = None,
        times: int | None = None,
    ) -> None:
        """Let a provider answer requests for a path from now on, or only some `times`.

        `path` may end with `*`. The answer is `json`, or else `body`, with `status` and `headers`;
        or `error` is raised where it would be sent, such as `requests.ConnectionError()`. What was
        said last is asked first. What nothing was said about is answered by the simulated district.
        """
        self._provider(provider)
        from sisgate.testing.provider import ProviderReply

        named = dict(headers or {})
        if body is None:
            named = {"content-type": "application/json", **named}
            has_none = json is None and status in {204, 304}
            body = b"" if has_none else json_module.dumps(json).encode()
        reply = error if error is not None else ProviderReply(status, body, named)
        self._answers.insert(0, _Scripted(provider, method, path, reply, times))

    @property
    def sent(self) -> list[SentRequest]:
        """The requests that reached a provider."""
        return self.providers.sent

    # Time, and who works

    def work(self) -> int:
        """Do all that is due now; return how many calls were made."""
        return self._fleet.work()

    def finish(self, job: Job | str) -> JobStatus:
        """Work until a job has ended, moving the time as far as that takes; return its status."""
        job_id = job if isinstance(job, str) else job.id
        return self.admin.jobs.wait(job_id)

    def move(self, by: timedelta | float) -> None:
        """Move the time, in seconds if it is a number, doing what is due on the way."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        self._fleet.drive(lambda: False, seconds)

    @contextmanager
    def stopped_workers(self) -> Iterator[None]:
        """Within the block, no call is made: jobs wait, and time that is waited for passes."""
        with self._workers(is_working=False):
            yield

    @contextmanager
    def started_workers(self) -> Iterator[None]:
        """Within the block, whoever waits for a job works it off, as from the start."""
        with self._workers(is_working=True):
            yield

    @contextmanager
    def _workers(self, *, is_working: bool) -> Iterator[None]:
        was, self._fleet.is_working = self._fleet.is_working, is_working
        try:
            yield
        finally:
            self._fleet.is_working = was

    # The state of providers

    def set_quota(self, provider: str, left: int) -> None:
        """Leave so many calls of the quota of a provider, which can be made at once.

        The others were made as long ago as the limiter needs to let a burst of calls pass again.
        """
        config = self._provider(provider)
        spec, limiter = self._runtime.limits(config), self._runtime.limiter
        if spec.off:
            raise UsageError(f"{provider} has no limit in the configuration of this test.")
        from sisgate.admission.state import LedgerCall
        from sisgate.redis.keys import limiter_keys

        slowest = min(spec.windows, key=lambda rate: rate.per_second)
        tightest = min(spec.windows, key=lambda rate: rate.calls)
        burst = limiter.state(provider, spec).burst
        ago = timedelta(seconds=min(burst / slowest.per_second, tightest.period_seconds / 2))
        then = self.clock.now() - ago
        used = max(0, tightest.calls - left)
        self._redis.delete(*limiter_keys(provider))
        limiter.rebuild(provider, spec, [LedgerCall(then, then, then)] * used)

    def open_breaker(self, provider: str, until: datetime | None = None) -> None:
        """Open the circuit breakers of a provider by hand, until a time or `close_breaker`."""
        self.admin.providers.breakers(provider).set("open", until=until, actor="test")

    def close_breaker(self, provider: str) -> None:
        """Leave the circuit breakers of a provider to themselves."""
        self.admin.providers.breakers(provider).set("auto", actor="test")

    def pause(self, provider: str, until: datetime | None = None) -> None:
        """Pause a provider until a time, or until `resume`."""
        self.admin.providers.control(provider).pause(until, actor="test")

    def resume(self, provider: str) -> None:
        """End a pause."""
        self.admin.providers.control(provider).resume(actor="test")

    def _provider(self, name: str) -> ProviderConfig:
        return self.admin.providers.get(name)

    def _scripted(self, sent: SentRequest) -> ProviderReply | Exception | None:
        for each in self._answers:
            if each.fits(sent):
                return each.reply
        return None

    def _be_heard(self, settings: Settings) -> None:
        """Report a worker and beat as alive, so that forecasts and waits see a fleet that works."""
        from sisgate.liveness.heartbeats import Heartbeat, Heartbeats

        heartbeats = Heartbeats(self._redis)
        queues = ("sisgate", *settings.providers)
        common = {"host": "test", "version": __version__, "configuration": 0}
        worker = Heartbeat("worker", "worker", pid=1, name="w@test", slots=1, **common)  # type: ignore[arg-type]  # by name
        heartbeats.send(replace(worker, queues=queues))
        heartbeats.send(Heartbeat("beat", "beat", pid=2, name="beat", **common))  # type: ignore[arg-type]  # by name
        heartbeats.note_reconcile()


class _Scripted:
    """One answer that the test has given."""

    def __init__(
        self,
        provider: str,
        method: str | None,
        path: str,
        reply: ProviderReply | Exception,
        times: int | None,
    ) -> None:
        self._provider = provider
        self._method = method and method.upper()
        self._path = path
        self._left = times
        self.reply = reply

    def fits(self, sent: SentRequest) -> bool:
        """Whether it answers a request; one that is given only some times is counted."""
        if self._left == 0 or sent.provider != self._provider:
            return False
        if self._method not in {None, sent.method}:
            return False
        start, star, _ = self._path.partition("*")
        if not (sent.path.startswith(start) if star else sent.path == start):
            return False
        if self._left is not None:
            self._left -= 1
        return True
