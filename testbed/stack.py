"""The real processes of sisgate around a sandbox: Redis, a ledger, workers and beat."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import delete

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.credentials.keys import NewKey, add_key
from sisgate.credentials.vault import vault_of
from sisgate.gateway import JobStatus
from sisgate.ledger import migrate
from sisgate.ledger import schema as tables
from sisgate.sandbox.process import RunningDistrict, SandboxProcess
from sisgate.settings import Settings, load_settings
from testbed.installation import install, variables_of
from testbed.warm import Program, start

PATIENCE_SECONDS = 60.0
"""How long a test waits for what should take a moment; the machine may be busy."""

ALERTS_EVERY_SECONDS = 4.0

CLOCK = SystemClock()


class Stack:
    """One data folder, one ledger, one Redis; workers and beat as subprocesses."""

    def __init__(
        self,
        folder: Path,
        sandbox: SandboxProcess,
        *,
        redis_url: str,
        database_url: str,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.redis_url = redis_url
        self.database_url = database_url
        self.config = folder / "sisgate.toml"
        text = configuration(sandbox.districts, options or {}) + alerting(self.chat_url_file)
        install(folder, text, redis_url=redis_url, database_url=database_url)
        self._processes: list[Program] = []
        self.gateway = self.new_gateway()
        migrate.upgrade(self.gateway.context.database)
        self._add_keys()

    @property
    def chat_url_file(self) -> Path:
        """Where the URL of the alerts' channel `ops` belongs."""
        return self.folder / "chat-url"

    @property
    def settings(self) -> Settings:
        """The settings, as the subprocesses read them."""
        urls = {
            "broker_url": SecretStr(self.redis_url),
            "database_url": SecretStr(self.database_url),
        }
        return load_settings(self.config, data_dir=self.folder).model_copy(update=urls)

    def new_gateway(self) -> Gateway:
        """Return another gateway, as another app would have."""
        return Gateway(self.settings)

    def environment(self) -> dict[str, str]:
        return os.environ | variables_of(self.settings)

    def start(self, *, concurrency: int = 2) -> None:
        """Start a worker of all queues, and beat."""
        self.start_worker(concurrency=concurrency)
        self.spawn("beat", "-s", str(self.folder / "beat"), "-l", "WARNING")

    def start_worker(self, *, concurrency: int = 2, level: str = "INFO") -> Program:
        """Start one more worker and return its process."""
        queues = ",".join(["sisgate", *self.sandbox.districts])
        number = len(self._processes)
        name = f"w{number}@%h"
        alone = ("--without-mingle", "--without-gossip")  # as `sisgate up` starts it
        return self.spawn(
            "worker", "-Q", queues, "-c", str(concurrency), "-n", name, "-l", level, *alone
        )

    def spawn(self, *arguments: str, **environment: str) -> Program:
        """Start a `celery` command; `environment` are more variables."""
        return self.spawn_app("workers", *arguments, **environment)

    def spawn_app(self, app: str, *arguments: str, **environment: str) -> Program:
        """Start a `celery` command with another app module."""
        words = ["celery", "-A", app, *arguments]
        process = start(words, self.environment() | environment, self.log_path)
        self._processes.append(process)
        return process

    @property
    def log_path(self) -> Path:
        """What workers and beat said."""
        return self.folder / "celery.log"

    def processes_of(self, command: str) -> list[Program]:
        return [process for process in self._processes if command in process.args]

    def stop(self) -> None:
        """Stop workers and beat, and close the gateway."""
        for process in self._processes:
            end(process, signal.SIGTERM)
        self._processes.clear()
        self.gateway.close()

    def sync(self, provider: str, resource: str, **words: Any) -> JobStatus:
        """Run a sync to its end and return its status, however it ended."""
        job = self.gateway.sync(provider, resource, **words)
        return self.gateway.jobs.wait(job.id, PATIENCE_SECONDS)

    def ids(self, provider: str, resource: str) -> set[str]:
        """Return the ids of the live records."""
        return {record.sourced_id for record in self.gateway.records(provider, resource)}

    def changes(self, provider: str, resource: str, since: int = 0) -> list[tuple[str, str]]:
        """Return the operations and ids of the changes above `since`."""
        found = self.gateway.changes(provider, resource, since=since)
        return [(change.operation, change.sourced_id) for change in found]

    def cursor(self, provider: str, resource: str) -> int:
        """Return the newest number of a feed."""
        return max((c.sequence for c in self.gateway.changes(provider, resource)), default=0)

    def fresh(self, name: str, **knobs: Any) -> RunningDistrict:
        """Bring a district, and what is stored of it, back to the start."""
        self.sandbox.reset(name)
        if knobs:
            self.sandbox.knobs(name, **knobs)
        with self.gateway.context.database.write() as session:
            of_datasets = (tables.Change, tables.Record, tables.Sighting, tables.KnownPage)
            for table in (*of_datasets, tables.Dataset):
                session.execute(delete(table).where(table.provider == name))
        return self.sandbox.districts[name]

    def _add_keys(self) -> None:
        vault = vault_of(self.settings)
        with self.gateway.context.database.write() as session:
            for name, district in self.sandbox.districts.items():
                secret = SecretStr(district.client_secret)
                add_key(session, vault, name, NewKey(district.client_id, secret), CLOCK.now())


def configuration(
    districts: Mapping[str, RunningDistrict], options: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the text of a sisgate.toml for districts; `options` are more lines by provider."""
    parts = ["[webhooks]", 'allow = ["127.0.0.1"]', "allow_http = true", ""]
    for name, district in districts.items():
        words: dict[str, Any] = {
            "kind": district.kind,
            "allow_insecure": True,
            "token_url": district.token_url,
            "limit": "off",
            **options.get(name, {}),
        }
        if district.oneroster_base:
            words.setdefault("base_path", urlsplit(district.oneroster_base).path)
        lines = [f"[providers.{name}]", *(f"{key} = {toml(words[key])}" for key in words)]
        parts += [*lines, f"[[providers.{name}.endpoints]]", f'url = "{district.url}"', ""]
    return "\n".join(parts)


def alerting(url_file: Path) -> str:
    """Return the text that lets a stack evaluate alerts often, with a channel whose URL to come."""
    return (
        f'[alerts]\nevery = "{ALERTS_EVERY_SECONDS:g}s"\n'
        f"[alerts.channels.ops]\nurl_file = {toml(str(url_file))}\n"
    )


def toml(value: Any) -> str:
    """Return a plain value, or a table of them, as TOML."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {toml(part)}' for name, part in value.items())} }}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(toml(each) for each in value)}]"
    return repr(value) if isinstance(value, int | float) else f'"{value}"'


def end(process: Program, number: int) -> None:
    """Send a signal and wait for the end; kill the whole session where it does not come."""
    if process.poll() is None:
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    kill_session(process)


def kill_session(process: Program) -> None:
    """SIGKILL a process of ours and its children at once, as a lost machine would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def wait_until(ready: Any, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when `ready()` is true; fail with `what` when that never comes."""
    done = poll_until(ready, clock=CLOCK, timeout_seconds=seconds)
    assert done, f"never came: {what}"


@contextlib.contextmanager
def running(stack: Stack, *, concurrency: int = 2) -> Iterator[Stack]:
    """Run a stack's processes for the length of a `with` block."""
    stack.start(concurrency=concurrency)
    try:
        yield stack
    finally:
        stack.stop()
