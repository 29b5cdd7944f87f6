"""A worker without the master key that the ledger needs does not start, and the fleet is told."""

import os
import socket
import sys
from contextlib import suppress
from dataclasses import replace

from sisgate import __version__
from sisgate.context import open_ledger
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable, MasterKeyMissing
from sisgate.gateway.missing_keys import missing_keys
from sisgate.liveness.heartbeats import Heartbeat
from sisgate.logs import get_logger
from workers.runtime import Runtime

log = get_logger()


def refuse_missing_keys(runtime: Runtime, name: str) -> None:
    """Exit if a key of a provider, or the audit log, needs a key that this process lacks.

    It could neither make the calls nor store their responses so that others can read them. `name`
    is the worker's.
    """
    refusal = Heartbeat(
        f"refused/{socket.gethostname()}/{name}", "worker", socket.gethostname(), os.getpid(),
        name, __version__,
    )  # fmt: skip
    reason = _reason(runtime)
    with suppress(BrokerUnavailable):
        if reason is None:
            runtime.heartbeats.withdraw(refusal.id)
        else:
            runtime.heartbeats.send(replace(refusal, refusal=reason))
    if reason is not None:
        log.error("master_key_refused", reason=reason)
        sys.exit(f"sisgate: {reason}")


def _reason(runtime: Runtime) -> str | None:
    # Its own connection, closed again: processes that the pool forks later must not share one.
    database = open_ledger(runtime.settings, runtime.clock)
    try:
        error = missing_keys(runtime.settings, database, of_providers_only=True).error
    except MasterKeyMissing as unreadable:
        error = unreadable
    except DatabaseUnavailable:
        return None  # tried again by each call, which waits while a key is missing
    finally:
        database.dispose()
    return error.message if error is not None else None
