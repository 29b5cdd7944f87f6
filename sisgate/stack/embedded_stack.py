"""The whole stack on one machine, from the first start to the last stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

from sisgate.clock import Clock
from sisgate.credentials.master import make_master_key
from sisgate.domain.network import why_unreachable
from sisgate.embedded.redis_conf import broker_url, uses_embedded_redis
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.missing_keys import missing_keys
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.liveness.heartbeats import Fleet, Heartbeats
from sisgate.redis.client import connect
from sisgate.redis.queues import PLANNER_QUEUE
from sisgate.settings import Settings
from sisgate.settings.load import process_environment
from sisgate.stack import data_folder
from sisgate.stack.programs import (
    Flower,
    LogLines,
    beat_program,
    child_environment,
    flower_for,
    flower_program,
    redis_program,
    worker_program,
)
from sisgate.stack.supervisor import Supervisor, last_words

REDIS_SECONDS = 60.0
TICK_SECONDS = 0.2
LOOK_SECONDS = 0.5
TOLD_AGAIN_SECONDS = 20.0
"""How often a start that takes long is told."""

START_CRASHES = 3
"""A program that ends so often in a row before the stack is up will not start: the stack ends."""

CRASHES = 10
"""The same once the stack was up, some three minutes after the first crash in the row."""


class EmbeddedStack:
    """Redis (unless one is configured), the ledger's tables, worker, beat and Flower.

    `start` returns when Redis answers and all programs are started, `await_up` when worker, planner
    and beat have answered, `run` when `wanted()` is no longer true, and `stop` leaves no process
    behind. `on_line` gets the name of a program, or `sisgate`, and a line to show. Raises
    `ConfigurationError` when another stack has the data folder, `CredentialError` when the ledger
    needs a master key that is not here, and `SisgateError` with the end of its log when a program
    ends over and over. A full disk ends nothing.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        on_line: Callable[[str, str], None],
        verbose: bool = False,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._verbose = verbose
        self._on_line = on_line
        self._held = ExitStack()
        self._supervisor = Supervisor(clock, on_line=self._pass_on, on_event=self._tell)
        self._disk = data_folder.Disk(settings.data_dir, clock, self._tell)
        self._started_at = clock.monotonic()
        self._pids: dict[str, int] = {}
        self._lines: dict[str, LogLines] = {}
        self.flower: Flower | None = None
        self.made_master_key = False
        self.silent_redis: str | None = None
        """Why the Redis that is named does not answer; None where it does."""

    def start(self, *, processes: int, with_flower: bool) -> None:
        """Start everything in order; what was started is stopped again when a step fails."""
        try:
            self._held.enter_context(data_folder.held(self._settings.data_dir))
            data_folder.remember_configuration(self._settings.data_dir, self._settings.config_file)
            self._prepare_ledger()
            self._url = self._start_redis()
            self._start_celery(self._url, processes, with_flower=with_flower)
        except BaseException:
            self.stop()
            raise

    def await_up(self, wanted: Callable[[], bool]) -> bool:
        """Return True when worker, planner and beat have answered, False when no longer `wanted()`.

        A start that takes long is told with what is missing and the end of that program's log.
        """
        heartbeats = Heartbeats(self._held.enter_context(connect(self._url)))
        told_at = self._clock.monotonic()
        while wanted():
            try:
                missing = self._missing(heartbeats.read())
            except BrokerUnavailable as error:
                missing = {"redis": error.message.rstrip(".")}
            if not missing:
                return True
            if self._clock.monotonic() - told_at > TOLD_AGAIN_SECONDS:
                told_at = self._clock.monotonic()
                for name, what in missing.items():
                    self._tell(f"not up yet: {what}.{last_words(self._supervisor.tail(name))}")
            self._tick(LOOK_SECONDS, START_CRASHES)
        return False

    def run(self, wanted: Callable[[], bool]) -> None:
        """Keep everything running while `wanted()`."""
        while wanted():
            self.keep_running(TICK_SECONDS)

    def keep_running(self, seconds: float) -> None:
        """Pass on what the programs write for at most so long, and start again what has crashed."""
        self._tick(seconds, CRASHES)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop everything, Redis last, and let go of the data folder."""
        self._supervisor.stop(hurry)
        self._held.close()

    def _tick(self, seconds: float, crashes: int) -> None:
        self._supervisor.tick(seconds)
        self._disk.look()
        self._leave_word()
        if not self._disk.is_full:  # programs may end of that, until there is space
            self._supervisor.raise_if_hopeless(crashes)

    def _missing(self, fleet: Fleet) -> dict[str, str]:
        """Return what has not answered since the start, by the program that should have."""
        pids, host = self._supervisor.pids, socket.gethostname()
        seen = {(one.host, one.pid): one for one in fleet.processes if one.is_alive}
        worker, beat = (seen.get((host, pids.get(name, -1))) for name in ("worker", "beat"))
        missing = {}
        if worker is None or not {PLANNER_QUEUE, *self._settings.providers} <= set(worker.queues):
            missing["worker"] = "the worker has not answered"
        if beat is None:
            missing["beat"] = "beat has not answered"
        since = fleet.reconciled_seconds
        if not missing and (since is None or since > self._clock.monotonic() - self._started_at):
            why = f" ({fleet.reconcile_failure})" if fleet.reconcile_failure else ""
            missing["worker"] = f"the planner has not done its first work{why}"
        return missing

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
                raise BrokerUnavailable(f"The embedded Redis does not answer.{log}")
        return redis.url

    def _prepare_ledger(self) -> None:
        """Upgrade it and make its master key, unless it is in use with one that is not here."""
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

    def _start_celery(self, url: str, processes: int, *, with_flower: bool) -> None:
        settings = self._settings
        level = "INFO" if self._verbose else "WARNING"
        environment = child_environment(settings, process_environment(), url)
        self._supervisor.start(worker_program(settings, environment, processes, level))
        self._supervisor.start(beat_program(settings, environment, level))
        if with_flower:
            self.flower = flower_for(settings)
            self._supervisor.start(flower_program(settings, environment, self.flower, level))
        self._leave_word()

    def _leave_word(self) -> None:
        pids = self._supervisor.pids
        if pids == self._pids:
            return
        flower = self.flower.url if self.flower else None
        with self._disk.writing():
            data_folder.write_status(self._settings.data_dir, {"programs": pids, "flower": flower})
            self._pids = pids

    def _pass_on(self, name: str, line: str) -> None:
        lines = self._lines.setdefault(name, LogLines(name))
        shown = line if self._verbose else lines.shown(line)
        if shown is not None:
            with suppress(OSError):  # a full disk that our own output goes to
                self._on_line(name, shown)

    def _tell(self, text: str) -> None:
        with suppress(OSError):
            self._on_line("sisgate", text)


def why_silent(url: str) -> str | None:
    """Return why a Redis does not answer, or None where it does."""
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
