"""The whole stack on one machine: starting, supervising and stopping it."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from sisgate.access.policy import INTERNAL
from sisgate.clock import Clock
from sisgate.context import Context
from sisgate.credentials.master import make_master_key
from sisgate.domain.network import why_unreachable
from sisgate.embedded.redis_conf import HOST, broker_url, uses_embedded_redis
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import Gateway
from sisgate.gateway.missing_keys import missing_keys
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.ledger.keys import live_keys
from sisgate.liveness.heartbeats import Fleet, Heartbeats
from sisgate.logs.lines import written
from sisgate.redis.client import connect
from sisgate.redis.queues import PLANNER_QUEUE
from sisgate.settings import ProviderConfig, Settings
from sisgate.settings.load import process_environment
from sisgate.stack import data_folder
from sisgate.stack.configuration_file import ConfigurationFile
from sisgate.stack.programs import (
    Flower,
    beat_program,
    child_environment,
    flower_for,
    flower_program,
    redis_program,
    shown,
    web_port,
    web_program,
    worker_program,
)
from sisgate.stack.supervisor import Supervisor, last_words

REDIS_SECONDS = 60.0
TICK_SECONDS = 0.2
POLL_SECONDS = 0.5
CONNECT_SECONDS = 1.0
REPORT_SECONDS = 20.0
"""How often to report a slow start."""

START_CRASHES = 3
"""Crashes in a row before the stack is up after which it gives up."""

CRASHES = 10
"""The same once the stack is up: some three minutes after the first crash."""


class EmbeddedStack:
    """Redis (unless one is configured), the ledger's tables, worker, beat, Flower, HTTP service.

    `start` returns when Redis responds and all programs are started, `await_up` when worker,
    planner, beat and HTTP service respond, `run` when `wanted()` is false, and `stop` leaves no
    process behind. `on_event` gets the name of a program, or `sisgate`, and what it logs. Raises
    `ConfigurationError` if another stack holds the data folder, `CredentialError` if the ledger
    needs a missing master key, and `SisgateError` with the end of its log if a program keeps
    crashing. A full disk ends nothing.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        on_event: Callable[[str, Mapping[str, Any]], None],
        verbose: bool = False,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._verbose = verbose
        self._on_event = on_event
        self._held = ExitStack()
        self._supervisor = Supervisor(clock, on_line=self._pass_on, on_event=self.tell)
        self._disk = data_folder.Disk(settings.data_dir, clock, self.tell)
        self._started_at = clock.monotonic()
        self._pids: dict[str, int] = {}
        self._file: ConfigurationFile | None = None
        self.flower: Flower | None = None
        self.web_port: int | None = None
        """The port of the HTTP service, None without one."""
        self.made_master_key = False
        self.silent_redis: str | None = None
        """Why the configured Redis does not respond; None if it does."""

    def start(self, *, processes: int, with_flower: bool, with_web: bool = False) -> None:
        """Start everything in order; stop it again if a step fails."""
        try:
            self._held.enter_context(data_folder.held(self._settings.data_dir))
            data_folder.remember_configuration(self._settings.data_dir, self._settings.config_file)
            self._prepare_ledger()
            self._url = self._start_redis()
            self._apply_configuration()
            self._start_programs(self._url, processes, with_flower=with_flower, with_web=with_web)
        except BaseException:
            self.stop()
            raise

    def await_up(self, wanted: Callable[[], bool]) -> bool:
        """Return True once worker, planner, beat and HTTP service respond, False if not `wanted()`.

        Reports what a slow start waits for, with the end of that program's log.
        """
        heartbeats = Heartbeats(self._held.enter_context(connect(self._url)))
        reported_at = self._clock.monotonic()
        while wanted():
            try:
                missing = self._missing(heartbeats.read())
            except BrokerUnavailable as error:
                missing = {"redis": error.message.rstrip(".")}
            if not missing:
                return True
            if self._clock.monotonic() - reported_at > REPORT_SECONDS:
                reported_at = self._clock.monotonic()
                for name, what in missing.items():
                    self.tell(f"not up yet: {what}.{last_words(self._supervisor.tail(name))}")
            self._tick(POLL_SECONDS, START_CRASHES)
        return False

    def run(self, wanted: Callable[[], bool]) -> None:
        """Keep everything running while `wanted()`."""
        while wanted():
            self.keep_running(TICK_SECONDS)

    def keep_running(self, seconds: float) -> None:
        """For `seconds`, pass on the programs' output and restart those that crash."""
        self._tick(seconds, CRASHES)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop everything, Redis last, and release the data folder."""
        self._supervisor.stop(hurry)
        self._held.close()

    def _tick(self, seconds: float, crashes: int) -> None:
        self._supervisor.tick(seconds)
        self._disk.check()
        if self._file is not None and not self._disk.is_full:
            self._file.check()
        self._leave_word()
        if not self._disk.is_full:  # programs may crash until there is space
            self._supervisor.raise_if_hopeless(crashes)

    def _missing(self, fleet: Fleet) -> dict[str, str]:
        """Return what has not responded since the start, by program."""
        pids, host = self._supervisor.pids, socket.gethostname()
        alive = {(each.host, each.pid): each for each in fleet.processes if each.is_alive}
        worker, beat = (alive.get((host, pids.get(name, -1))) for name in ("worker", "beat"))
        missing = {}
        if worker is None or not {PLANNER_QUEUE, *self.providers} <= set(worker.queues):
            missing["worker"] = "the worker has not answered"
        if beat is None:
            missing["beat"] = "beat has not answered"
        if self.web_port is not None and not _listens(self.web_port):
            missing["web"] = "the HTTP service does not listen"
        since = fleet.reconciled_seconds
        if not missing and (since is None or since > self._clock.monotonic() - self._started_at):
            why = f" ({fleet.reconcile_failure})" if fleet.reconcile_failure else ""
            missing["worker"] = f"the worker has not reconciled yet{why}"
        return missing

    @property
    def providers(self) -> Mapping[str, ProviderConfig]:
        """The providers that are in force, by name."""
        return self._gateway.configuration.current().providers

    def has_key(self, provider: str) -> bool:
        """Whether a key of a provider is stored."""
        with self._gateway.context.database.read() as session:
            return bool(live_keys(session, [provider]))

    def _apply_configuration(self) -> None:
        """Make the configuration file that of the fleet, if nobody else has changed it since."""
        settings = self._settings
        self._gateway = Gateway.on(Context(settings, clock=self._clock), principal=INTERNAL)
        self._held.callback(self._gateway.close)
        if settings.config_file is not None:
            self._file = ConfigurationFile(
                settings.config_file, settings.data_dir, self._gateway, self._clock, self.tell
            )
            self._file.apply()

    def _start_redis(self) -> str:
        settings = self._settings
        if not uses_embedded_redis(settings):
            url = broker_url(settings)
            self.silent_redis = why_silent(url)
            return url
        redis = EmbeddedRedis(settings.data_dir, clock=self._clock)
        self._held.callback(redis.stop)
        program = redis_program(redis, process_environment(), settings.data_dir)
        self._supervisor.start(program)
        begun = self._clock.monotonic()
        while not _answers(redis):
            self._supervisor.tick(0.05)
            self._supervisor.raise_if_hopeless(START_CRASHES)
            if self._clock.monotonic() - begun > REDIS_SECONDS:
                log = last_words(self._supervisor.tail("redis"))
                raise BrokerUnavailable(f"The embedded Redis does not respond.{log}")
        return redis.url

    def _prepare_ledger(self) -> None:
        """Upgrade the ledger and create its master key, unless it needs a missing one."""
        settings = self._settings
        database = Database(settings.sqlalchemy_url)
        try:
            migrate.upgrade(database)
            if error := missing_keys(settings, database).error:
                raise error
        finally:
            database.dispose()
        if settings.makes_master_key:
            self.made_master_key = make_master_key(settings.master_key_path)

    def _start_programs(
        self, url: str, processes: int, *, with_flower: bool, with_web: bool
    ) -> None:
        settings, start = self._settings, self._supervisor.start
        level = "INFO" if self._verbose else "WARNING"
        # Before anything starts: Flower and the console link to each other.
        self.flower = flower_for(settings) if with_flower else None
        self.web_port = web_port() if with_web else None
        environment = {
            **child_environment(settings, process_environment(), url, verbose=self._verbose),
            **self._faces(),
        }
        start(worker_program(settings, environment, processes, level))
        start(beat_program(settings, environment, level))
        if self.flower is not None:
            start(flower_program(settings, environment, self.flower, level))
        if self.web_port is not None:
            start(web_program(settings, environment, self.web_port))
        self._leave_word()

    def _faces(self) -> dict[str, str]:
        """Return the variables that say where Flower and the console are, for links."""
        settings = self._settings
        urls = {
            "SISGATE_FLOWER_URL": settings.flower_url or (self.flower and self.flower.url),
            "SISGATE_CONSOLE_URL": settings.console_url
            or (self.web_port and f"http://{HOST}:{self.web_port}"),
        }
        return {name: str(value) for name, value in urls.items() if value}

    def _leave_word(self) -> None:
        pids = self._supervisor.pids
        if pids == self._pids:
            return
        flower = self.flower.url if self.flower else None
        with self._disk.writing():
            data_folder.write_status(self._settings.data_dir, {"programs": pids, "flower": flower})
            self._pids = pids

    def _pass_on(self, name: str, line: str) -> None:
        event = shown(name, line, verbose=self._verbose)
        if event is not None:
            pid = event.get("pid") or self._supervisor.pids.get(name)
            self._show(name, {**event, "pid": pid} if pid else event)

    def tell(self, text: str, level: str = "info") -> None:
        """Pass on a line of our own."""
        event = {"level": level, "process": "sisgate", "event": text, "pid": os.getpid()}
        self._show("sisgate", event)

    def _show(self, name: str, event: Mapping[str, Any]) -> None:
        with suppress(OSError):  # our output may go to a full disk
            self._on_event(name, {"timestamp": written(self._clock.now()), **event})


def why_silent(url: str) -> str | None:
    """Return why a Redis does not respond; None if it does."""
    try:
        with connect(url) as client:
            client.ping()
    except BrokerUnavailable as error:
        return why_unreachable(error.__cause__ or error)
    return None


def _answers(redis: EmbeddedRedis) -> bool:
    try:
        redis.wait_ready(0)
    except BrokerUnavailable:
        return False
    return True


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
