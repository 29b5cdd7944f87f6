"""A fleet of three districts in one process and its own time, under the load of some apps.

Ledger, Redis, limiter, breakers, keys and HTTP are real; workers and beat are heartbeats, and their
calls are made here. Time moves only when the scene moves it, so minutes take milliseconds.
"""

import random
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from sisgate import Gateway
from sisgate.access.policy import Principal, Role
from sisgate.domain.priorities import PRIORITIES, PRIORITY_STEPS
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.ledger import calls
from sisgate.ledger import schema as tables
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.queues import list_key
from sisgate.settings import ProviderConfig
from testbed.clock import ManualClock
from testbed.heartbeats import BEAT, HOUR_MS, TIMES, WORKER, be_heard, date_reconcile
from testbed.http_server import Asked, HttpServer, Reply, json_reply
from testbed.installation import install
from testbed.proxy import ConnectProxy
from testbed.tls import Authority, server_context
from testbed.worker import runtime_of
from workers.calls import execute
from workers.maintenance import reconciler
from workers.runtime import Runtime

DISTRICTS = ("lincoln", "adams", "clark")
"""The last one wants a token; each is on a host of its own."""

APPS = ("portal", "reports", "lms", "attendance", "library", "transport")
INTERVAL_SECONDS = 15.0
"""The time between two evaluations."""

CALM_SECONDS = 900.0
"""How long before the trouble the calls were made that tell what is usual."""

Answer = Callable[[Asked], Reply]


class Silence(Exception):
    """Raised by an answer: the connection ends without one."""


@dataclass(frozen=True)
class Stage:
    """What a scene is set up with: the providers' limits, endpoints, and how they are reached.

    `settings` are more lines of each provider, `more` fleet-wide configuration. Over TLS all but
    the last provider speak https; `by_proxy` they are reached by a proxy, which needs TLS.
    """

    limit: str = "2000/h"
    burst: int = 2000
    endpoints: int = 1
    over_tls: bool = False
    by_proxy: bool = False
    settings: str = ""
    more: str = ""


@dataclass
class District:
    """One provider: how it answers, and how long that takes; `twin` is its second endpoint."""

    name: str
    server: HttpServer
    answer: Answer
    latency_seconds: float
    is_up: bool = True
    tls: ssl.SSLContext | None = None
    twin: HttpServer | None = None
    twin_answer: Answer | None = None
    twin_latency_seconds: float | None = None

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self.is_up:
            self.is_up = False
            self.server.__exit__()
            self.stop_twin()

    def stop_twin(self) -> None:
        """Refuse connections to the second endpoint from now on."""
        if self.twin is not None:
            self.twin.__exit__()
            self.twin = None


class Scene:
    """One fleet, its apps and its time, on a stage."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        database_url: str,
        seed: int,
        stage: Stage = Stage(),  # frozen
    ) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock()
        self.stage = stage
        self.authority = Authority(folder) if stage.over_tls else None
        self.proxy = ConnectProxy() if stage.by_proxy else None
        self.at_end = ExitStack()
        self._folder = folder
        self._urls = redis_url, database_url
        self.districts = {
            name: self._district(name, f"127.0.0.{number}")
            for number, name in enumerate(DISTRICTS, start=1)
        }
        self.apps = self.random.sample(APPS, self.random.randint(2, 4))
        self.runtime: Runtime
        self.heartbeats: Heartbeats

    @contextmanager
    def running(self) -> Iterator["Scene"]:
        """Open the scene: tables, limiters and heartbeats."""
        redis_url, database_url = self._urls
        text = "\n".join([*map(self._lines, self.districts.values()), self.stage.more])
        settings = install(self._folder, text, redis_url=redis_url, database_url=database_url)
        try:
            with runtime_of(settings, self.clock, script_clock=self.clock) as self.runtime:
                # The time of a round trip is the machine's.
                self.gateway.keys.of("clark").add("clark-client", "s3cret", actor="test")
                self.heartbeats = be_heard(self.gateway)
                self.be_alive()
                yield self
        finally:
            self.at_end.close()
            for district in self.districts.values():
                district.stop()
            if self.proxy is not None:
                self.proxy.__exit__()

    @property
    def gateway(self) -> Gateway:
        """The gateway of an operator."""
        return self.runtime.gateway

    def as_app(self, app: str) -> Gateway:
        return self.gateway.acting_as(Principal(app, frozenset({Role.APP})))

    def config(self, name: str) -> ProviderConfig:
        """Return the configuration of a district."""
        return self.runtime.configuration.current().providers[name]

    def follow_configuration(self) -> None:
        """Let workers follow the newest version of the configuration, and say so."""
        number = self.runtime.configuration.refresh().version
        self.heartbeats.send(replace(BEAT, configuration=number))
        self.be_alive(configuration=number)

    def be_alive(self, **worker: object) -> None:
        """Let a worker of everything be heard, with the master key and the calls it has."""
        masters = tuple(each.id.hex() for each in self.runtime.master_keys)
        fields = {"queues": ("sisgate", *DISTRICTS), "master_keys": masters, "calls": ()}
        self.heartbeats.send(replace(WORKER, **{**fields, **worker}))  # type: ignore[arg-type]  # as named
        self.runtime.redis.zincrby(TIMES, HOUR_MS, WORKER.id)

    def be_silent(self, process: str, seconds: float) -> None:
        """Let a process be heard of last so many seconds ago."""
        now, _ = self.runtime.redis.time()
        self.runtime.redis.zadd(TIMES, {process: (now - seconds) * 1000})

    @property
    def worker_id(self) -> str:
        """The id of the worker that is heard."""
        return WORKER.id

    @property
    def beat_id(self) -> str:
        """The id of the beat that is heard."""
        return BEAT.id

    def ask(self, district: str, app: str, count: int = 1, priority: str = "normal") -> list[str]:
        """Let an app ask for calls; return their jobs."""
        gateway = self.as_app(app)
        return [
            gateway.enqueue_request(
                district, "GET", f"/{app}/{number}", priority=priority, timeout=86_400
            ).id
            for number in range(count)
        ]

    def load(self, district: str, count: int) -> list[str]:
        """Let the apps ask for calls, of any priority."""
        jobs = []
        for _ in range(count):
            app, priority = self.random.choice(self.apps), self.random.choice(list(PRIORITIES))
            jobs += self.ask(district, app, priority=priority)
        return jobs

    def work(self, *districts: str, most: int = 1000) -> int:
        """Make the calls that are due, as admission would hand them out; return how many."""
        try:
            reconciler.reconcile(self.runtime)
        except DatabaseUnavailable:
            return 0
        with suppress(BrokerUnavailable):  # then it is not known either
            date_reconcile(self.gateway)
        made = 0
        for name in districts or DISTRICTS:
            config = self.config(name)
            for call in self._queued(name):
                if made >= most or not self._is_let_through(config):
                    break
                execute.make_call(self.runtime, config, call)
                self.clock.advance(0.01)
                made += 1
            self._note_taken(name)
        return made

    def _note_taken(self, name: str) -> None:
        """Take the messages of calls that wait no more off their lists, as admission does."""
        with self.runtime.database.read() as session:
            query = select(tables.Call.priority, func.count()).where(
                tables.Call.state == "queued", tables.Call.provider == name
            )
            rows = session.execute(query.group_by(tables.Call.priority))
            left = {priority: count for priority, count in rows}  # noqa: C416  # rows, for mypy
        with suppress(BrokerUnavailable):
            for priority in PRIORITY_STEPS:
                count = left.get(priority, 0)
                self.runtime.redis.ltrim(
                    list_key(name, priority), *(0, count - 1) if count else (1, 0)
                )

    def claim(self, district: str) -> list[int]:
        """Claim the calls that wait, which then nobody makes; return their ids."""
        lease = timedelta(seconds=self.config(district).lease)
        claimed = []
        for call in self._queued(district):
            with self.runtime.database.write() as session:
                if calls.claim(session, call, self.clock.now(), lease) is not None:
                    claimed.append(call)
        return claimed

    def calm(self, district: str, usual: int, lately: int) -> None:
        """Make calls as they usually are, some of them a while ago."""
        self.load(district, usual)
        self.work(district)
        self.clock.advance(CALM_SECONDS)
        self.load(district, lately)
        self.work(district)

    def _is_let_through(self, config: ProviderConfig) -> bool:
        """Return whether a message of the provider would be taken off its queue."""
        try:
            held = self.runtime.endpoints(config).breakers.open_seconds()
            state = self.runtime.limiter.state(config.name, self.runtime.limits(config))
        except BrokerUnavailable:
            return False
        is_paused = state.paused_until is not None and state.paused_until > self.clock.now()
        waits = min(state.next_permit_in_seconds.values(), default=0.0)
        return not (held or is_paused or waits > 0)

    def _queued(self, name: str) -> Sequence[int]:
        with self.runtime.database.read() as session:
            queued = select(tables.Call.id).where(
                tables.Call.state == "queued", tables.Call.provider == name
            )
            order = (tables.Call.priority, tables.Call.published_at, tables.Call.id)
            return list(session.scalars(queued.order_by(*order)))

    def _district(self, name: str, host: str) -> District:
        seconds = self.random.uniform(0.05, 0.4)

        def answer(asked: Asked) -> Reply:
            if asked.path == "/token":
                return json_reply({"access_token": "t", "expires_in": 3600})
            return json_reply({"orgs": []})

        def reply(asked: Asked) -> Reply:
            if not district.is_up:
                raise Silence  # connections that are kept alive end, too
            if asked.path != "/token":
                self._take(district.latency_seconds)
            return district.answer(asked)

        def twin(asked: Asked) -> Reply:
            if district.twin is None:
                raise Silence
            self._take(district.twin_latency_seconds or district.latency_seconds)
            return (district.twin_answer or district.answer)(asked)

        tls = None
        if self.authority is not None and name != DISTRICTS[-1]:
            tls = server_context(self.authority.issue(host))
        server = HttpServer(reply, host=host, tls=tls)
        district = District(name, server, answer, seconds, tls=tls)
        if self.stage.endpoints > 1:
            district.twin = HttpServer(twin, host=f"{host.rpartition('.')[0]}.1{host[-1]}")
        return district

    def _take(self, seconds: float) -> None:
        self.clock.advance(seconds * self.random.uniform(0.7, 1.3))

    def _lines(self, district: District) -> str:
        url, stage = district.server.url, self.stage
        urls = [url] if district.twin is None else [url, district.twin.url]
        endpoints = [f'{{ url = "{each}" }}' for each in urls]
        lines = [
            f"[providers.{district.name}]",
            'kind = "oneroster"',
            f'limit = "{stage.limit}"',
            f"burst = {stage.burst}",
            "allow_insecure = true",
            f"endpoints = [{', '.join(endpoints)}]",
            *stage.settings.splitlines(),
        ]
        if self.authority is not None:
            lines.append(f'ca_file = "{self.authority.file}"')
        if self.proxy is not None:
            lines.append(f'proxy = "http://{self.proxy.place}"')
        if district.name == DISTRICTS[-1]:
            lines += ['auth = "oauth2-basic"', f'token_url = "{url}/token"']
        else:
            lines.append('auth = "none"')
        return "\n".join(lines)
