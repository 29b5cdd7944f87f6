"""Checks of this machine, the ledger, Redis and the master key."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

from sisgate.clock import SystemClock
from sisgate.configuration.diff import differences
from sisgate.configuration.document import read_file
from sisgate.credentials.vault import Vault
from sisgate.domain.network import cure, tls_fault, why_unreachable
from sisgate.domain.validation import some_of
from sisgate.embedded.redis_binary import version_of
from sisgate.embedded.redis_conf import uses_embedded_redis
from sisgate.errors import BrokerUnavailable, ConfigurationError, SisgateError
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.result import DiagnosticResult, Grade
from sisgate.gateway.missing_keys import missing_keys
from sisgate.ledger.database import ping, try_writing
from sisgate.ledger.engine import read_clock
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import is_wrong_password
from sisgate.settings.files import FileState, sample_file, state_of
from sisgate.verdict.neglect import FREE_BYTES

MOST_NAMES = 5
FILE_SECONDS = 600.0
"""For how long a file that stays the same is not compared again."""

CLOCK_WARN_SECONDS = 2.0


def configuration(core: Core) -> DiagnosticResult:
    """Return which providers are configured, where, and whether this host's file says the same."""
    fleet = core.configuration.current()
    place = str(core.settings.config_file or "no sisgate.toml")
    if fleet.version:
        place = core.place_of(fleet)
    if fleet.problems:
        lacks = f"{place}: this process cannot use a part of it: {'; '.join(fleet.problems)}"
        remedy = "It serves the rest. Run the same version of sisgate everywhere."
        return DiagnosticResult("configuration", "warn", lacks, remedy)
    if not fleet.providers:
        remedy = f"Add one to sisgate.toml, as in {sample_file()}."
        return DiagnosticResult("configuration", "warn", f"{place}: no provider", remedy)
    known = f"{place}: {some_of(list(fleet.providers), MOST_NAMES)}"
    if not fleet.version:
        known += " (this process's own file, until `sisgate config apply`)"
    if fleet.version and (what := _difference(core)):
        host, file = gethostname(), core.settings.config_file
        remedy = (
            f"The file is ignored. On {host}, `sisgate config diff` shows the difference; apply it "
            "there with `sisgate config apply`, or write what is in force with `sisgate config "
            "show`."
        )
        differs = f"{known}; {file} on {host} {what}"
        return DiagnosticResult("configuration", "warn", differs, remedy)
    return DiagnosticResult("configuration", "ok", known)


def _difference(core: Core) -> str | None:
    """Return how this process's file differs from the version in force; None if it does not."""
    file = core.settings.config_file
    if file is None:
        return None
    state, version = state_of(file), core.configuration.current().version
    return core.context.kept_for(
        FILE_SECONDS, "difference", lambda: _compared(core, file, state), of=(state, version)
    )


def _compared(core: Core, file: Path, state: FileState | None) -> str | None:
    tables, known = core.settings.tables_of(state), core.configuration.known
    try:
        own = read_file(file, known, tables=tables).document
    except ConfigurationError as error:
        return f"cannot be applied: {'; '.join(error.problems)}"
    changes = differences(core.configuration.document, own)
    names = some_of([each.subject for each in changes], MOST_NAMES)
    return f"differs in {names}" if changes else None


def data_folder(core: Core) -> DiagnosticResult:
    """Return whether the data folder is writable, has free space and is private."""
    folder = core.settings.data_dir
    if not folder.is_dir():
        return DiagnosticResult(
            "data folder", "warn", f"{folder} does not exist", "`sisgate up` creates it."
        )
    if not os.access(folder, os.W_OK):
        return DiagnosticResult(
            "data folder", "fail", f"{folder} cannot be written", f"chown or chmod u+w {folder}"
        )
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        what = f"{folder}: only {free >> 20} MB free"
        return DiagnosticResult(
            "data folder", "warn", what, "Free some space: a full disk stops all work."
        )
    if folder.stat().st_mode & stat.S_IRWXO:
        what = f"{folder} can be entered by every user of this machine, and holds student data"
        return DiagnosticResult("data folder", "warn", what, f"chmod 700 {folder}")
    return DiagnosticResult("data folder", "ok", f"{folder}, {free >> 30} GB free")


def ledger(core: Core) -> Iterator[DiagnosticResult]:
    """Yield whether the ledger responds, has the newest tables and accepts writes."""
    from sisgate.ledger import migrate  # alembic is slow to import and rarely needed

    database = core.database
    try:
        ping(database)
        version, newest = migrate.current(database), migrate.newest()
        if version == newest:
            try_writing(database, core.clock.now())
    except SisgateError as error:
        remedy = (
            "Check SISGATE_DATABASE_URL, and that PostgreSQL runs and can be reached from here."
        )
        if core.settings.is_embedded_database:
            remedy = "Start `sisgate up`, which creates it."
        yield DiagnosticResult("database", "fail", error.message, remedy)
        return
    if version != newest:
        what = f"{database.address} is at version {version}, the code needs {newest}"
        yield DiagnosticResult("database", "fail", what, "sisgate db upgrade")
        return
    yield DiagnosticResult("database", "ok", f"{database.address}, version {version}")
    if not database.is_sqlite and (theirs := read_clock(core.settings.sqlalchemy_url)):
        yield _clock(core, "clock of PostgreSQL", theirs)


def redis_server(core: Core, *, accepts: bool) -> Iterator[DiagnosticResult]:
    """Yield whether Redis responds and is fit for use; `accepts`: the ledger is."""
    try:
        seconds, micros = core.redis.time()
        info, policy = _facts_of_server(core.redis)
    except BrokerUnavailable as error:
        if is_wrong_password(error):
            yield DiagnosticResult(
                "redis", "fail", "Redis refuses the password", "Check SISGATE_BROKER_URL."
            )
            return
        why = why_unreachable(error.__cause__ or error)
        remedy = (
            "Check SISGATE_BROKER_URL (rediss:// for TLS), and that Redis runs and can be reached "
            "from here."
        )
        if uses_embedded_redis(core.settings):
            remedy = "Start `sisgate up`, or restart it if it runs."
            if accepts:
                remedy += " Until then work is accepted and waits in the ledger."
        elif (fault := tls_fault(error)) is not None:
            remedy = cure(
                fault,
                ca_file="broker_ca_file (SISGATE_BROKER_CA_FILE)",
                client_cert="broker_client_cert and broker_client_key",
            )
        yield DiagnosticResult("redis", "fail", f"cannot be reached ({why})", remedy)
        return
    moment = datetime.fromtimestamp(seconds + micros / 1e6, tz=UTC)
    yield _clock(core, "clock of Redis", moment)
    if info is None or "redis_version" not in info:
        yield DiagnosticResult("redis", "ok", "responds, but hides its version from this user")
        return
    version = version_of(info)
    if policy not in {None, "noeviction"}:
        what = f"{version}, but a full Redis would drop messages ({policy})"
        yield DiagnosticResult("redis", "warn", what, "Set maxmemory-policy to noeviction.")
    elif version.fault is not None:
        what = f"{version}, in which {version.fault}"
        yield DiagnosticResult(
            "redis", "warn", what, "Update it within its series, or to a newer one."
        )
    else:
        yield DiagnosticResult("redis", "ok", str(version))


def _facts_of_server(client: RedisClient) -> tuple[dict[str, Any] | None, str | None]:
    """Return Redis's INFO and maxmemory-policy; None for what it does not reveal.

    An ACL may hide both from this user, and managed Redis services may lack CONFIG.
    """
    info, policy = None, None
    with suppress(BrokerUnavailable):
        info = client.info("server")
    with suppress(BrokerUnavailable):
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    return info, policy


def _clock(core: Core, subject: str, theirs: datetime) -> DiagnosticResult:
    # Not the fleet's clock, which follows the server's.
    off = abs((SystemClock().now() - theirs).total_seconds())
    if off < CLOCK_WARN_SECONDS:
        return DiagnosticResult(subject, "ok", f"{off * 1000:.0f} ms from this machine's")
    remedy = "Synchronise the machines' clocks (chrony, systemd-timesyncd)."
    grade: Grade = "warn"
    if off > core.configuration.current().max_clock_difference.total_seconds():
        grade = "fail"
        remedy += " Workers and beat refuse to run here until then (max_clock_difference)."
    return DiagnosticResult(subject, grade, f"{off:.1f} s from this machine's", remedy)


def master_key(core: Core, *, has_ledger: bool) -> tuple[Vault | None, DiagnosticResult]:
    """Return the vault, if its keys are present, and whether the ledger needs others."""
    missing: SisgateError | None = None
    vault = None
    try:
        missing = missing_keys(core.settings, core.database).error if has_ledger else None
        vault = core.context.vault
    except SisgateError as error:
        # Keys that the ledger needs are more specific than no key at all.
        missing = missing or error
    if missing is not None or vault is None:
        return vault, DiagnosticResult("master key", "fail", missing.message if missing else "")
    what = f"{vault.newest.id.hex()}, {vault.newest.origin}"
    return vault, DiagnosticResult("master key", "ok", what)
