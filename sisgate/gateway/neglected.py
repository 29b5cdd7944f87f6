"""Reads what waits for a person or an app, while calls go on."""

import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from sisgate.access.policy import Action, Principal, decide
from sisgate.embedded.redis_conf import uses_embedded_redis
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger.schema import Webhook
from sisgate.quarantine import Quarantine
from sisgate.redis.refusals import refused_lately
from sisgate.settings import Settings
from sisgate.verdict.facts import FleetFacts
from sisgate.verdict.unattended import FailingReceiver, RefusedCaller


def with_neglected(
    core: Core,
    fleet: FleetFacts,
    webhooks: Sequence[Webhook],
    names: Collection[str],
    principal: Principal,
) -> FleetFacts:
    """Return the facts of a fleet with its messages, webhooks and callers that were refused.

    Who may not see the whole installation is told of no other app, and of the messages of the
    providers with these `names` only.
    """
    fleet = replace(
        fleet,
        receivers=[_receiver(row, fleet) for row in webhooks if principal.is_told_of(row.app)],
        free_bytes=_free_bytes(core.settings),
    )
    sees_all, asked = decide(principal, Action.LOOK).allowed, frozenset(names)
    with suppress(BrokerUnavailable):  # an obstacle
        refused = refused_lately(core.redis, fleet.at)
        quarantined = Counter(
            each.queue
            for each in Quarantine(core.redis).messages()
            if sees_all or each.queue in asked
        )
        return replace(
            fleet,
            quarantined=quarantined,
            refused_callers=[
                RefusedCaller(name, times, limit)
                for (name, limit), times in refused.most_common()
                if principal.is_told_of(name)
            ],
        )
    return fleet


def _free_bytes(settings: Settings) -> int | None:
    if not uses_embedded_redis(settings):
        return None
    with suppress(OSError):
        return shutil.disk_usage(settings.data_dir).free
    return None


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
