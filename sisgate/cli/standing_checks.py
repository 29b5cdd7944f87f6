"""What `sisgate doctor` says of what stands still: providers that are held, bad messages."""

from __future__ import annotations

from collections.abc import Iterator

from sisgate.admission.limiter import Limiter
from sisgate.cli.findings import Finding
from sisgate.cli.invocation import Invocation
from sisgate.cli.screens import moment
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.quarantine import Quarantine
from sisgate.settings import ProviderConfig

_MENDS = {
    "breaker": "`sisgate breaker {name}` shows why; `sisgate breaker {name} auto` lets go a pin.",
    "paused": "`sisgate resume {name}` ends the pause.",
    "blocked": "It ends by itself.",
}
_WHY = {
    "breaker": "every endpoint is held by its circuit breaker",
    "paused": "it is paused",
    "blocked": "it asked not to be called",
}


def hold(invocation: Invocation, config: ProviderConfig) -> Iterator[Finding]:
    """Yield a finding where a provider takes no calls now."""
    try:
        found = hold_of(invocation.redis, Limiter(invocation.redis), config, invocation.clock)
    except BrokerUnavailable:
        return  # told already
    if found is not None:
        end = f"until {moment(found.next_probe_at)}" if found.next_probe_at else "without an end"
        what = f"no call is made, {end}: {_WHY[found.reason]}"
        yield Finding(config.name, "warn", what, _MENDS[found.reason].format(name=config.name))


def quarantine(invocation: Invocation) -> Iterator[Finding]:
    """Yield a finding where messages were put aside."""
    try:
        count = len(Quarantine(invocation.redis).messages())
    except BrokerUnavailable:
        return
    if count:
        what = f"{count} messages that no worker could take"
        yield Finding("quarantine", "warn", what, "`sisgate quarantine list` shows them.")
