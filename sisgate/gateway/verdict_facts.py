"""Collects the facts that a verdict is judged by, from the ledger and Redis."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sisgate.gateway.core import Core
from sisgate.gateway.ledger_facts import LedgerFacts, read_ledger_facts
from sisgate.gateway.liveness import read_liveness
from sisgate.gateway.neglected import with_neglected
from sisgate.gateway.provider_facts import ProviderReader, host_of
from sisgate.gateway.row_facts import NameOf
from sisgate.liveness.obstacles import Cause, ledger_unreachable
from sisgate.verdict.facts import FleetFacts, Host


def read_facts(core: Core, names: Sequence[str], name_of: NameOf) -> FleetFacts:
    """Return the facts of some providers and of the fleet.

    What is away is a fact, not an error; that a provider is not configured, too.
    """
    principal = core.access.principal()  # before the ledger fails that knows it
    liveness = read_liveness(core.context, names)
    ledger = read_ledger_facts(core, names)
    if ledger.error is not None and not any(_is_of_ledger(e.cause) for e in liveness.obstacles):
        unreachable = ledger_unreachable(ledger.error)
        liveness = replace(liveness, obstacles=[*liveness.obstacles, unreachable])
    now = core.clock.now()
    fleet = FleetFacts(
        now,
        liveness.obstacles,
        hosts=_hosts(core, ledger, now),
        ledger_seconds=ledger.seconds,
        running_seconds={
            name: [(now - each.started_at).total_seconds() for each in running]
            for name, running in ledger.running.items()
        },
    )
    fleet = with_neglected(core, fleet, ledger.webhooks, names, principal)
    reader = ProviderReader(core, liveness, ledger, fleet.at, name_of, is_alone=len(names) == 1)
    return replace(fleet, providers=reader.providers(names))


def _is_of_ledger(cause: Cause) -> bool:
    return cause in {Cause.LEDGER_UNREACHABLE, Cause.LEDGER_UNUSABLE, Cause.SCHEMA_BEHIND}


def _hosts(core: Core, ledger: LedgerFacts, now: datetime) -> list[Host]:
    """Return the hosts that were called lately; one with several providers answers for all."""
    configs = core.configuration.current().providers
    found: dict[str, Host] = {}
    for name, contact in ledger.contacts.items():
        host = host_of(configs[name]) if name in configs else name
        answered = _ago(contact.answered_at, now)
        before = found.get(host)
        if before is not None and before.answered_seconds_ago is not None:
            answered = min(answered or before.answered_seconds_ago, before.answered_seconds_ago)
        failed = _ago(contact.failed_at, now)
        if before is not None and before.failed_seconds_ago is not None:
            failed = max(failed or 0.0, before.failed_seconds_ago)
        if failed is not None and answered is not None and answered < failed:
            # Another provider of the same host has answered since.
            failed = None
        found[host] = Host(host, answered, failed)
    return list(found.values())


def _ago(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else (now - at).total_seconds()
