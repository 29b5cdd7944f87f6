"""Reads what the ledger knows of the providers of a verdict, for all of them at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.orm import Session

from sisgate.clock import Clock
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.ledger import controls, recent_jobs, recent_work, webhooks
from sisgate.ledger.keys import list_keys, rotation_failures
from sisgate.ledger.recent_work import Contact, ErrorRow, RunningAttempt, WaitingCalls
from sisgate.ledger.schema import Control, Job, Key, Webhook
from sisgate.verdict.facts import RECENT_SECONDS

RECENT = timedelta(seconds=RECENT_SECONDS)

Row = TypeVar("Row", WaitingCalls, ErrorRow, Job, RunningAttempt, Key)


@dataclass
class LedgerFacts:
    """What the ledger knows of all providers asked for; empty while it is away.

    `running` are the calls under way of all providers, since they share the workers' slots.
    `webhooks` are those that are not delivered, of all apps.
    """

    controls: Mapping[str, Control] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    waiting: Mapping[str, Sequence[WaitingCalls]] = field(default_factory=dict)
    failed: Mapping[str, Sequence[ErrorRow]] = field(default_factory=dict)
    held: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    failed_syncs: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    unsettled: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    webhooks: Sequence[Webhook] = ()
    running: Mapping[str, Sequence[RunningAttempt]] = field(default_factory=dict)
    keys: Mapping[str, Sequence[Key]] = field(default_factory=dict)
    rotation_failures: Mapping[tuple[str, str], str] = field(default_factory=dict)
    error: str | None = None
    seconds: float | None = None


def read_ledger_facts(core: Core, names: Sequence[str]) -> LedgerFacts:
    """Return what the ledger knows of some providers. Its outage is a fact."""
    begun = core.clock.monotonic()
    try:
        with core.database.read() as session:
            asked = names if len(names) == 1 else None
            ledger = _of_session(session, core.clock.now(), asked)
            ledger.seconds = _trip(core.clock, session)
    except DatabaseUnavailable as error:
        return LedgerFacts(error=error.message, seconds=core.clock.monotonic() - begun)
    return ledger


def _trip(clock: Clock, session: Session) -> float:
    begun = clock.monotonic()
    recent_work.ping(session)
    return clock.monotonic() - begun


def _of_session(session: Session, now: datetime, asked: Sequence[str] | None) -> LedgerFacts:
    since = now - RECENT
    return LedgerFacts(
        controls={each.provider: each for each in controls.all_set(session)},
        contacts=recent_work.contacts(session, since),
        waiting=_by_provider(recent_work.waiting(session, asked)),
        failed=_by_provider(recent_jobs.failed_jobs(session, since, asked)),
        held=_by_provider(recent_jobs.held_syncs(session, asked)),
        failed_syncs=_by_provider(recent_jobs.failed_syncs(session, now, asked)),
        unsettled=_by_provider(recent_jobs.unsettled(session, asked)),
        webhooks=webhooks.failing(session),
        running=_by_provider(recent_work.running(session)),
        keys=_by_provider(list_keys(session, asked[0] if asked else None)),
        rotation_failures=rotation_failures(session, asked[0] if asked else None),
    )


def _by_provider(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.provider].append(row)
    return found
