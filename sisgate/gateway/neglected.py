"""Reads what waits for a person or an app, while calls go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from sisgate.errors import BrokerUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.provider_facts import NameOf
from sisgate.ledger.schema import Webhook
from sisgate.quarantine import Quarantine
from sisgate.redis.refusals import refused_lately
from sisgate.verdict.facts import FailingReceiver, FleetFacts, RefusedCaller


def with_neglected(
    core: Core, fleet: FleetFacts, webhooks: Sequence[Webhook], name_of: NameOf
) -> FleetFacts:
    """Return the facts of a fleet with its messages, webhooks and callers that were refused.

    A caller who may see one app is told of no other.
    """
    fleet = replace(
        fleet,
        receivers=[_receiver(row, fleet) for row in webhooks if name_of(row.app) == row.app],
    )
    with suppress(BrokerUnavailable):  # an obstacle
        refused = refused_lately(core.redis, fleet.at)
        quarantined = Counter(each.queue for each in Quarantine(core.redis).messages())
        return replace(
            fleet,
            quarantined=quarantined,
            refused_callers=[
                RefusedCaller(name, times, limit)
                for (name, limit), times in refused.most_common()
                if name_of(name) == name
            ],
        )
    return fleet


def _receiver(row: Webhook, fleet: FleetFacts) -> FailingReceiver:
    since = row.failing_since
    return FailingReceiver(
        row.id,
        row.app,
        urlsplit(row.url or "").hostname or "its receiver",
        row.state,
        (row.reason or row.last_error or "it fails").rstrip("."),
        (fleet.at - since).total_seconds() if since is not None else None,
    )
