"""Recovering the limiter after Redis was wiped: from the ledger's calls and controls."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sisgate.admission.limiter import PERMIT_USE_SECONDS
from sisgate.admission.state import LedgerCall, checks_since
from sisgate.breakers.spec import State
from sisgate.ledger import attempts, controls
from sisgate.ledger.schema import Control
from sisgate.logs import get_logger
from sisgate.redis.keys import APPLIED_CONTROLS, UNKNOWN_LIMITS
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = get_logger()


def note_unknown(runtime: Runtime, provider: str) -> None:
    """Have the limiter's state rebuilt; `BrokerUnavailable` without Redis."""
    runtime.redis.hsetnx(UNKNOWN_LIMITS(), provider, _redis_time(runtime))


def rebuild_unknown(runtime: Runtime) -> None:
    """Rebuild lost limiters from the ledger.

    Earlier permits are used within `PERMIT_USE_SECONDS`, so the ledger is read only that long after
    the loss was noticed: by then each of them is an attempt there. A provider that this process
    does not know is left to one that does.
    """
    providers = runtime.configuration.current().providers
    unknown = runtime.redis.hgetall(UNKNOWN_LIMITS())
    now = _redis_time(runtime) if unknown else 0.0
    for name, noticed in unknown.items():
        config = providers.get(name.decode())
        if config is not None and now - float(noticed) >= PERMIT_USE_SECONDS:
            _rebuild(runtime, config, runtime.clock.now(), noticed.decode())
            runtime.wakeups.signal_work(config.name)


def _rebuild(runtime: Runtime, config: ProviderConfig, now: datetime, noticed: str) -> None:
    # After Redis was emptied, nothing is granted before it knows the newest configuration again:
    # else a process that lags would get permits by an older limit.
    runtime.configuration.refresh()
    spec = runtime.limits(config)
    with runtime.database.read() as session:
        control = controls.get(session, config.name)
        windows = controls.windows_of(control) or ()
        # A limit set at run time may have a longer period than the configured one.
        periods = [spec.longest_period_seconds, *(rate.period_seconds for rate in windows)]
        since = now - timedelta(seconds=max(periods) + spec.lease_seconds)
        sent = attempts.sent_since(session, config.name, since)
    # Controls first: from the rebuild on, permits are granted by them.
    if control is not None:
        _apply(runtime, config.name, now)
    known = [LedgerCall(a.started_at, a.ended_at, a.lease_until, a.permit) for a in sent]
    known += checks_since(config, since, now)
    if runtime.limiter.rebuild(config.name, spec, known, noticed):
        log.info("limiter_rebuilt", provider=config.name, calls=len(known))


def apply_controls(runtime: Runtime) -> None:
    """Restore controls set at run time in a Redis that was wiped or missed them."""
    while True:
        with runtime.database.read() as session:
            overrides = controls.all_set(session)
        version = _version(overrides)
        if (runtime.redis.get(APPLIED_CONTROLS()) or b"").decode() == version:
            return
        for control in overrides:
            _apply(runtime, control.provider, runtime.clock.now())
            runtime.wakeups.signal_work(control.provider)
        runtime.redis.set(APPLIED_CONTROLS(), version)
        # Read again: a process that was frozen before it applied them has applied old ones.


def _version(overrides: Sequence[Control]) -> str:
    """Return what changes with any control; '' for none."""
    # Of all, not just the newest: the clocks of the hosts that set them may disagree.
    stamps = ",".join(
        f"{control.provider}={control.changed_at.isoformat()}" for control in overrides
    )
    return hashlib.sha256(stamps.encode()).hexdigest() if overrides else ""


def _apply(runtime: Runtime, name: str, now: datetime) -> None:
    limiter, config = runtime.limiter, runtime.configuration.current().providers.get(name)
    with controls.unchanging(runtime.database, name, now) as control:
        limiter.set_limits(name, controls.windows_of(control))
        if control.paused:
            limiter.pause(name, control.paused_until)
        else:
            limiter.resume(name)
        if control.blocked_until is not None and control.blocked_until > now:
            limiter.block(name, (control.blocked_until - now).total_seconds(), "asked before")
        if config is not None:
            pins = controls.pins_of(control, now)
            runtime.endpoints(config).breakers.set_pins(
                {endpoint: (State(pin.state), pin.until) for endpoint, pin in pins.items()}
            )


def _redis_time(runtime: Runtime) -> float:
    # Workers on several hosts compare these times, so no host's own clock is used.
    seconds, micros = runtime.redis.time()
    return float(seconds) + float(micros) / 1e6
