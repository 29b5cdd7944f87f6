"""The transitions of circuit breakers go from their journals in Redis into the audit log."""

from __future__ import annotations

from collections.abc import Sequence

from sisgate.audit import log as audit
from sisgate.breakers.journal import Entry, forget_through, read_journals
from sisgate.ledger import controls
from workers.runtime import Runtime


def audit_transitions(runtime: Runtime) -> None:
    """Write what the journals hold into the audit log, each transition exactly once.

    Many may do so at once and die at any point: the audit events and the id of the last entry are
    one transaction, under the lock of the provider's row. Raises `BrokerUnavailable`.
    """
    for provider, entries in read_journals(runtime.redis, list(runtime.settings.providers)).items():
        last = _write(runtime, provider, entries)
        forget_through(runtime.redis, provider, last)


def _write(runtime: Runtime, provider: str, entries: Sequence[Entry]) -> str:
    """Write the entries that are new; return the id of the last one that is written."""
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
        if new:
            control.journal_read = new[-1].id
        return control.journal_read or entries[-1].id
