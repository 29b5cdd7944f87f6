"""Writing to Redis what a person has set for a provider, so that the fleet has it."""

from collections.abc import Callable

from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger import controls
from sisgate.ledger.schema import Control


def apply_control(core: Core, provider: str, write: Callable[[Control], object]) -> bool:
    """Call `write` with what is set, and return whether it reached Redis.

    Otherwise the reconciler writes it later.
    """
    try:
        # First without the lock, which on SQLite is everybody's: a Redis that hangs would hold it.
        core.redis.ping()
        with controls.unchanging(core.database, provider, core.clock.now()) as control:
            write(control)
    except (BrokerUnavailable, DatabaseUnavailable):
        return False
    core.wakeups.signal_work(provider)
    return True
