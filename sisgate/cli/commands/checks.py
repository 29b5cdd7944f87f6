"""The examinations of `sisgate doctor`. Each tells what is, what is wrong, and what helps."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import func, select

from sisgate.broker import uses_embedded_redis
from sisgate.cli.commands.endpoint_checks import endpoints_of
from sisgate.cli.commands.findings import Finding, Grade
from sisgate.cli.commands.key_checks import expiring, keys_of_provider
from sisgate.cli.commands.liveness_checks import liveness
from sisgate.cli.commands.standing_checks import audit_heads, hold, quarantine
from sisgate.cli.invocation import Invocation
from sisgate.clock import SystemClock
from sisgate.credentials.vault import Vault, vault_of
from sisgate.domain.network import cure, tls_fault, why_unreachable
from sisgate.embedded.server_version import version_of
from sisgate.errors import SisgateError
from sisgate.gateway.missing_keys import missing_keys
from sisgate.ledger import migrate
from sisgate.ledger.database import Database, ping, try_writing
from sisgate.settings import ProviderConfig, Settings

FREE_BYTES = 1 << 30
CLOCK_WARN_SECONDS = 2.0
PROBE_SECONDS = 15.0


def examine(invocation: Invocation, *, probe: bool) -> Iterator[Finding]:
    """Yield the findings one by one, so that a slow provider does not hold up the others' words."""
    settings = invocation.settings
    place = str(settings.config_file or "no sisgate.toml")
    if settings.providers:
        names = ", ".join(settings.providers)
        yield Finding("configuration", "ok", f"{place}: {names}")
    else:
        remedy = "Describe one in sisgate.toml; sisgate.example.toml explains how."
        yield Finding("configuration", "warn", f"{place}: no provider", remedy)
    yield _data_folder(invocation)
    database = None
    for finding in _database(invocation):
        yield finding
        database = None if finding.grade == "fail" else invocation.database
    answers = False
    for finding in _broker(invocation, accepts=database is not None):
        yield finding
        answers = answers or (finding.subject == "redis" and finding.grade != "fail")
    if answers:
        if database is not None:
            yield from liveness(invocation)
        yield from quarantine(invocation)
        yield from audit_heads(invocation)
    vault, finding = _master_key(settings, database)
    yield finding
    if vault is not None and database is not None:
        for config in settings.providers.values():
            yield from _provider(invocation, database, vault, config, probe=probe and answers)


def _data_folder(invocation: Invocation) -> Finding:
    folder = invocation.settings.data_dir
    if not folder.is_dir():
        return Finding("data folder", "warn", f"{folder} does not exist", "`sisgate up` makes it.")
    if not os.access(folder, os.W_OK):
        return Finding(
            "data folder", "fail", f"{folder} cannot be written", f"chown or chmod u+w {folder}"
        )
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        what = f"{folder}: only {free >> 20} MB free"
        return Finding("data folder", "warn", what, "Make room: nothing is accepted without disk.")
    if folder.stat().st_mode & stat.S_IRWXO:
        what = f"{folder} can be entered by every user of this machine, and holds student data"
        return Finding("data folder", "warn", what, f"chmod 700 {folder}")
    return Finding("data folder", "ok", f"{folder}, {free >> 30} GB free")


def _database(invocation: Invocation) -> Iterator[Finding]:
    try:
        database = invocation.database
        ping(database)
        version, newest = migrate.current(database), migrate.newest()
        if version == newest:
            try_writing(database, invocation.clock.now())
    except SisgateError as error:
        remedy = (
            "Check SISGATE_DATABASE_URL, and that PostgreSQL runs and can be reached from here."
        )
        if invocation.settings.is_embedded_database:
            remedy = "Start `sisgate up`, which makes it."
        yield Finding("database", "fail", error.message, remedy)
        return
    if version != newest:
        what = f"{database.address} is at version {version}, the code needs {newest}"
        yield Finding("database", "fail", what, "sisgate db upgrade")
        return
    yield Finding("database", "ok", f"{database.address}, version {version}")
    if not database.is_sqlite:
        with database.read() as session:
            theirs = session.scalar(select(func.clock_timestamp()))
        if isinstance(theirs, datetime):
            yield _clock(invocation, "clock of PostgreSQL", theirs)


def _broker(invocation: Invocation, *, accepts: bool) -> Iterator[Finding]:
    client = invocation.redis
    try:
        seconds, micros = client.time()
        info, policy = _told_of_server(client)
    except redis.AuthenticationError:
        yield Finding("redis", "fail", "Redis refuses the password", "Check SISGATE_BROKER_URL.")
        return
    except redis.RedisError as error:
        remedy = (
            "Check SISGATE_BROKER_URL (rediss:// where it wants TLS), and that Redis runs and can "
            "be reached from here."
        )
        if uses_embedded_redis(invocation.settings):
            remedy = "Start `sisgate up`."
            if accepts:
                remedy += " Until then work is accepted and waits in the ledger."
        elif (fault := tls_fault(error)) is not None:
            remedy = cure(
                fault,
                ca_file="broker_ca_file (SISGATE_BROKER_CA_FILE)",
                client_cert="broker_client_cert and broker_client_key",
            )
        yield Finding("redis", "fail", f"cannot be reached ({why_unreachable(error)})", remedy)
        return
    moment = datetime.fromtimestamp(seconds + micros / 1e6, tz=UTC)
    yield _clock(invocation, "clock of Redis", moment)
    if info is None or "redis_version" not in info:
        yield Finding("redis", "ok", "answers; this user is not shown its version")
        return
    version = version_of(info)
    if policy not in {None, "noeviction"}:
        what = f"{version}, but a full Redis would drop messages ({policy})"
        yield Finding("redis", "warn", what, "Set maxmemory-policy to noeviction.")
    elif version.fault is not None:
        what = f"{version}, in which {version.fault}"
        yield Finding("redis", "warn", what, "Update it within its series, or to a newer one.")
    else:
        yield Finding("redis", "ok", str(version))


def _told_of_server(client: redis.Redis) -> tuple[dict[str, Any] | None, str | None]:
    """Return what Redis says of itself, and its maxmemory-policy; None for what it refuses to say.

    Neither is needed for work. An ACL may keep both from this user, and a managed Redis does not
    know CONFIG at all.
    """
    info, policy = None, None
    with suppress(redis.ResponseError):
        info = client.info("server")
    with suppress(redis.ResponseError):
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    return info, policy


def _clock(invocation: Invocation, subject: str, theirs: datetime) -> Finding:
    # Not the invocation's clock, which goes by that of the server.
    off = abs((SystemClock().now() - theirs).total_seconds())
    if off < CLOCK_WARN_SECONDS:
        return Finding(subject, "ok", f"{off * 1000:.0f} ms from this machine's")
    remedy = "Synchronise the machines' clocks (chrony, systemd-timesyncd)."
    grade: Grade = "warn"
    if off > invocation.settings.max_clock_difference.total_seconds():
        grade = "fail"
        remedy += " Workers and beat refuse to run here until then (max_clock_difference)."
    return Finding(subject, grade, f"{off:.1f} s from this machine's", remedy)


def _master_key(settings: Settings, database: Database | None) -> tuple[Vault | None, Finding]:
    missing: SisgateError | None = None
    vault = None
    try:
        missing = missing_keys(settings, database).error if database is not None else None
        vault = vault_of(settings)
    except SisgateError as error:
        # That the ledger is in use with another key says more than that there is none.
        missing = missing or error
    if missing is not None or vault is None:
        return vault, Finding("master key", "fail", missing.message if missing else "")
    return vault, Finding("master key", "ok", f"{vault.newest.id.hex()}, {vault.newest.origin}")


def _provider(
    invocation: Invocation,
    database: Database,
    vault: Vault,
    config: ProviderConfig,
    *,
    probe: bool,
) -> Iterator[Finding]:
    if config.auth_method != "none":
        works = False
        for finding in keys_of_provider(database, vault, config, invocation.clock):
            yield finding
            works = works or finding.grade == "ok"
        yield from expiring(database, config, invocation.clock.now())
        if not works:
            return
    yield from endpoints_of(config, invocation.clock)
    yield from hold(invocation, config)
    if probe:
        yield _probe(invocation, config)


def _probe(invocation: Invocation, config: ProviderConfig) -> Finding:
    subject, request = f"{config.name} call", config.dialect.probe_request()
    try:
        answer = invocation.gateway.request(
            config.name,
            request.method,
            request.path,
            query=dict(request.query),
            json=request.json_body,
            timeout=PROBE_SECONDS,
        )
    except SisgateError as error:
        remedy = "See `sisgate providers` for what holds it up."
        return Finding(subject, "fail", error.message, remedy)
    what = f"{request.method} {request.path} answered {answer.status}"
    if answer.ok:
        return Finding(subject, "ok", what)
    remedy = "Ask the provider which resources this key may read, and check url and base_path."
    if config.auth_method == "oauth1":
        remedy += f" Or does it want another oauth1_signature than {config.oauth1_signature}?"
    return Finding(subject, "fail", what, remedy)
