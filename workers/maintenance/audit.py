"""The fleet's duties for the audit log: sealing, heads, and the breakers' transitions."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from sisgate.audit import heads, sealer
from sisgate.audit import log as audit
from sisgate.audit.configuration import note_configuration
from sisgate.audit.heads import HeadReport, report
from sisgate.breakers.journal import Entry, forget_through, read_journals
from sisgate.context import fleet_clock, open_ledger
from sisgate.errors import AuditError, BrokerUnavailable, SisgateError
from sisgate.ledger import audit_verifications, breaker_changes, controls
from sisgate.ledger.audit_chain import newest_seal
from sisgate.ledger.schema import BreakerChange
from sisgate.logs import get_logger
from workers.runtime import Runtime

log = get_logger()

ROLE = "worker"

VERIFY_EVERY = timedelta(days=1)
"""How old the newest verification of the log may become."""

MOST_EVENTS = 1_000_000
"""How many events a task verifies, within a minute or so."""


def seal(runtime: Runtime) -> None:
    """Link new events into the chain."""
    sealer.seal(runtime.database, runtime.audit_keys, runtime.clock)


def seal_and_keep_head(runtime: Runtime) -> None:
    """Seal, checking more closely than usual, and store the head."""
    if sealer.seal(runtime.database, runtime.audit_keys, runtime.clock, closely=True) is None:
        return  # another worker was first, and stores the head
    path, error = str(runtime.settings.audit_heads_path), None
    try:
        keep_head(runtime)
    except AuditError as failure:
        error = failure.message
        raise
    finally:
        with suppress(BrokerUnavailable):
            report(runtime.redis, HeadReport(socket.gethostname(), path, error))


def keep_head(runtime: Runtime) -> None:
    """Append the newest head to the file and pass it to the command, unless it is already stored.

    A newest head older than the stored one is logged as an error.
    """
    settings, keys = runtime.settings, runtime.audit_keys
    # The file first: whatever another worker adds to it before the query is in the database.
    kept = heads.newest_in(settings.audit_heads_path, keys)
    with runtime.database.read() as session:
        newest = newest_seal(session)
    assert newest is not None
    if kept is not None and kept.number == newest.number and kept.head == newest.head.hex():
        return
    if kept is not None and kept.number >= newest.number:
        log.error("audit_truncated", kept=kept.number, found=newest.number)
    head = heads.head_of(newest, keys)
    heads.append(settings.audit_heads_path, head)
    if settings.audit_heads_command:
        heads.hand_over(settings.audit_heads_command, head)


def verify(runtime: Runtime) -> None:
    """Verify the whole log once a day, so that alerts tell of a change though nobody asks.

    A long log is left to `sisgate audit verify`, which may take its time, and so is one of which
    only somebody else's heads have shown that it was cut off.
    """
    with runtime.database.read() as session:
        last, seal = audit_verifications.newest(session), newest_seal(session)
    if seal is None or seal.total > MOST_EVENTS:
        return
    if last is not None and (last.by_heads or runtime.clock.now() - last.at < VERIFY_EVERY):
        return
    result = runtime.gateway.audit.verify()
    if not result.is_whole:
        counts = {kind.value: count for kind, count in result.counts.items()}
        log.error("audit_not_whole", events=result.events, issues=counts)


def note_start(runtime: Runtime) -> None:
    """Record the configuration that this worker starts with, if it differs from the fleet's."""
    settings, fleet = runtime.settings, runtime.configuration.current()
    clock = fleet_clock(settings)
    # Its own connection, closed again: processes that the pool forks later must not share one.
    database = open_ledger(settings, clock)
    try:
        with database.write() as session:
            note_configuration(session, settings, fleet, ROLE, clock.now())
    except SisgateError as error:
        log.warning("configuration_not_audited", reason=error.message)
    finally:
        database.dispose()


def audit_transitions(runtime: Runtime) -> None:
    """Write the journals' transitions into the audit log, each exactly once.

    Safe to run concurrently and to die at any point: the audit events and the id of the last entry
    are one transaction, under the lock of the provider's row. Raises `BrokerUnavailable`.
    """
    names = list(runtime.configuration.current().providers)
    for provider, entries in read_journals(runtime.redis, names).items():
        last = _write(runtime, provider, entries)
        forget_through(runtime.redis, provider, last)


def _write(runtime: Runtime, provider: str, entries: Sequence[Entry]) -> str:
    """Write the new entries; return the id of the last one written."""
    with runtime.database.write() as session:
        control = controls.lock(session, provider, runtime.clock.now())
        new = [entry for entry in entries if entry.is_after(control.journal_read)]
        for entry in new:
            audit.record(
                session,
                entry.at,
                actor="worker",
                action="breaker:endpoint:change",
                subject=provider,
                reason=entry.transition.reason,
                endpoint=entry.endpoint,
                before=entry.transition.before.value,
                after=entry.transition.after.value,
            )
        changes = (
            BreakerChange(
                provider=provider,
                entry=entry.id,
                at=entry.at,
                endpoint=entry.endpoint,
                state=entry.transition.after.value,
                reason=entry.transition.reason,
            )
            for entry in new
        )
        breaker_changes.note(session, changes)
        if new:
            control.journal_read = new[-1].id
        return control.journal_read or entries[-1].id
