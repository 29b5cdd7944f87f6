"""What `sisgate doctor` says of what stands still: providers that are held, bad messages."""

from __future__ import annotations

from collections.abc import Iterator

from sisgate.audit.heads import can_append, reports
from sisgate.cli.commands.findings import Finding
from sisgate.cli.commands.hold_words import hold_words
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


def audit_heads(invocation: Invocation) -> Iterator[Finding]:
    """Yield whether the heads of the audit log can be kept, on each host that did it lately."""
    try:
        found = reports(invocation.redis)
    except BrokerUnavailable:
        return
    remedy = (
        "On that host give the worker of the queue `sisgate` a place that it can write and that "
        "lasts (in a container a volume for SISGATE_DATA_DIR), or set audit_heads_file or "
        "audit_heads_command."
    )
    for one in found:
        if one.error is not None:
            yield Finding("audit heads", "fail", f"{one.host}: {one.error}", remedy)
    if found and all(one.error is None for one in found):
        places = ", ".join(f"{one.path} on {one.host}" for one in found)
        yield Finding("audit heads", "ok", f"kept in {places}")
    if not found and not can_append(invocation.settings.audit_heads_path):
        what = f"{invocation.settings.audit_heads_path} cannot be written on this host"
        yield Finding("audit heads", "warn", f"{what}, and no worker has kept one lately", remedy)


def quarantine(invocation: Invocation) -> Iterator[Finding]:
    """Yield a finding where messages were put aside."""
    try:
        count = len(Quarantine(invocation.redis).messages())
    except BrokerUnavailable:
        return
    if count:
        what = f"{count} messages that no worker could take"
        yield Finding("quarantine", "warn", what, "`sisgate quarantine list` shows them.")
