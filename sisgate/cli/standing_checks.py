"""What `sisgate doctor` says of what stands still: providers that are held, bad messages."""

from __future__ import annotations

from collections.abc import Iterator

from sisgate.cli.findings import Finding
from sisgate.cli.hold_words import hold_words
from sisgate.cli.invocation import Invocation
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.quarantine import Quarantine
from sisgate.settings import ProviderConfig


def hold(invocation: Invocation, config: ProviderConfig) -> Iterator[Finding]:
    """Yield a finding where a provider takes no calls now."""
    try:
        found = hold_of(invocation.gateway.context, config)
    except BrokerUnavailable:
        return  # told already
    if found is not None:
        what = f"takes no calls: {hold_words(found, config.name)}"
        yield Finding(config.name, "warn", what)


def quarantine(invocation: Invocation) -> Iterator[Finding]:
    """Yield a finding where messages were put aside."""
    try:
        count = len(Quarantine(invocation.redis).messages())
    except BrokerUnavailable:
        return
    if count:
        what = f"{count} messages that no worker could take"
        yield Finding("quarantine", "warn", what, "`sisgate quarantine list` shows them.")
