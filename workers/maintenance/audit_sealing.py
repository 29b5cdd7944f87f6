"""The fleet's part in the audit log: sealing it, and keeping its heads outside the database."""

from __future__ import annotations

import socket
from contextlib import suppress

import redis
import structlog

from sisgate.audit import heads, sealer
from sisgate.audit.configuration import note_configuration
from sisgate.audit.heads import HeadReport, report
from sisgate.context import open_ledger
from sisgate.errors import AuditError, SisgateError
from sisgate.fleet_clock import fleet_clock
from sisgate.settings import Settings
from workers.runtime import Runtime

log = structlog.get_logger()

ROLE = "worker"


def seal(runtime: Runtime) -> None:
    """Link what is new into the chain."""
    sealer.seal(runtime.database, runtime.audit_keys, runtime.clock)


def seal_and_keep_head(runtime: Runtime) -> None:
    """Seal, look more closely than usual, and keep the head."""
    if sealer.seal(runtime.database, runtime.audit_keys, runtime.clock, closely=True) is None:
        return  # another worker was first, and keeps the head
    path, error = str(runtime.settings.audit_heads_path), None
    try:
        keep_head(runtime)
    except AuditError as failure:
        error = failure.message
        raise
    finally:
        with suppress(redis.RedisError):
            report(runtime.redis, HeadReport(socket.gethostname(), path, error))


def keep_head(runtime: Runtime) -> None:
    """Add the newest head to the file, and hand it to the command, unless it is there already.

    An end that is behind the head that was kept last is told as an error in the worker's log.
    """
    settings, keys = runtime.settings, runtime.audit_keys
    # The file first: what another worker adds between the two looks is then in the database.
    kept = heads.newest_in(settings.audit_heads_path, keys)
    with runtime.database.read() as session:
        newest = sealer.newest_seal(session)
    assert newest is not None
    if kept is not None and kept.number == newest.number and kept.head == newest.head.hex():
        return
    if kept is not None and kept.number >= newest.number:
        log.error("audit_truncated", kept=kept.number, found=newest.number)
    head = heads.head_of(newest, keys)
    heads.append(settings.audit_heads_path, head)
    if settings.audit_heads_command:
        heads.hand_over(settings.audit_heads_command, head)


def note_start(settings: Settings) -> None:
    """Record the configuration that this worker starts with, if the fleet had another one."""
    clock = fleet_clock(lambda: settings)
    # A connection of its own, closed again: what the pool forks later must not share one.
    database = open_ledger(settings, clock)
    try:
        with database.write() as session:
            note_configuration(session, settings, ROLE, clock.now())
    except SisgateError as error:
        log.warning("configuration_not_audited", reason=error.message)
    finally:
        database.dispose()
