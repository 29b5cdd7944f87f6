"""What somebody should look at first: what stands still, what fails, what waits for a person.

It counts all that `sisgate doctor` warns about without asking a provider anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sisgate.access.policy import Action, providers_of
from sisgate.alerts.names import renamed
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.domain.figures import counted
from sisgate.domain.moments import local_time
from sisgate.domain.sentences import capitalised
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.alert_evaluation import status_of
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis import fleet, servers
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.hold import Hold
from sisgate.gateway.job import own_app, places_of
from sisgate.gateway.liveness import Liveness
from sisgate.ledger import alerts, attention
from sisgate.ledger.schema import Key
from sisgate.quarantine import Quarantine
from sisgate.settings import ProviderConfig
from sisgate.verdict.finding import Trouble
from sisgate.verdict.neglect import quarantined

MOST_HELD = 100
MOST_ALERTS = 100

LIKE = 3
"""The same trouble of more providers than so many is told once for all."""

CHECK_SECONDS = 30.0
"""How often machine and servers are checked, at most."""

Level = Literal["critical", "warning"]
Subject = Literal[
    "fleet", "provider", "keys", "held", "dead", "unknown", "quarantine", "webhooks", "alerts",
    "configuration",
]  # fmt: skip


@dataclass(frozen=True)
class Attention:
    """One thing that somebody should look at: what is wrong, and what to do.

    `subject` says where to look, `provider` at which. `count` is of jobs, keys, messages, alerts,
    or of providers with the same trouble.
    """

    level: Level
    subject: Subject
    message: str
    remedy: str
    provider: str | None = None
    count: int | None = None


def of_fleet(liveness: Liveness) -> Iterator[Attention]:
    """Yield what keeps jobs from being run."""
    like: defaultdict[str, list[Attention]] = defaultdict(list)
    for each in liveness.obstacles:
        level: Level = "critical" if each.stops or each.harms else "warning"
        subject: Subject = "fleet" if each.provider is None else "provider"
        needed = Attention(level, subject, each.message, each.remedy, each.provider)
        like[each.cause.value if each.provider else each.message].append(needed)
    yield from _told_once(like.values())


def of_holds(holds: Mapping[str, Hold]) -> Iterator[Attention]:
    """Yield which providers take no calls."""
    like: defaultdict[str, list[Attention]] = defaultdict(list)
    for name, hold in holds.items():
        level: Level = "critical" if hold.reason == "breaker" else "warning"
        remedy = capitalised(hold.explanation(name), name)
        needed = Attention(level, "provider", hold.reason_text(name), remedy, name)
        like[hold.reason].append(needed)
    yield from _told_once(like.values())


def of_keys(
    keys: Iterable[Key], configs: Mapping[str, ProviderConfig], now: datetime
) -> Iterator[Attention]:
    """Yield which active keys end soon, have ended, or are refused."""
    like: defaultdict[str, list[Attention]] = defaultdict(list)
    for key in keys:
        config = configs.get(key.provider)
        if config is None or key.state != KeyState.ACTIVE:
            continue
        what, level = None, "warning"  # type: str | None, Level
        if key.suspect_at is not None:
            what, level = f"{key.provider} refuses its {key.slot} key", "critical"
        elif key.expires_at is not None and key.expires_at <= now:
            what, level = f"the {key.slot} key of {key.provider} has expired", "critical"
        elif key.expires_at is not None and key.expires_at - now < config.rotation.warn_before:
            at = local_time(key.expires_at)
            what = f"the {key.slot} key of {key.provider} expires at {at}"
        if what is not None:
            remedy = "Stage a new key, or rotate it now."
            like[level].append(Attention(level, "keys", what, remedy, key.provider))
    yield from _told_once(like.values())


def of_ledger(core: Core) -> Iterator[Attention]:
    """Yield what jobs, webhooks and alerts wait for a person; raises `DatabaseUnavailable`."""
    principal = core.access.require_role(Action.LOOK)
    app, places = own_app(principal), places_of(principal)
    with core.database.read() as session:
        held = len(attention.still_held(session, app, places, MOST_HELD))
        unknown, dead = attention.unsettled(session, app, places)
        rows = alerts.find(
            session, states=[AlertState.FIRING], provider=None, among=providers_of(principal),
            app=principal.only_app, limit=MOST_ALERTS,
        )  # fmt: skip
        found = [renamed(status_of(row), principal.name_of) for row in rows]
    notes = sum(1 for each in found if each.severity == AlertSeverity.INFO)
    beside = f", besides {notes:,} for information" if notes else ""
    # Held syncs are told of by themselves.
    firing = [
        each
        for each in found
        if each.severity != AlertSeverity.INFO and each.cause != Trouble.SYNC_HELD
    ]
    if firing:
        count = len(firing)
        words = "an alert fires" if count == 1 else f"{count:,} alerts fire"
        is_critical = any(each.severity == AlertSeverity.CRITICAL for each in firing)
        yield Attention(
            "critical" if is_critical else "warning",
            "alerts", f"{words}{beside}, and nobody looks after {'it' if count == 1 else 'them'}",
            f"The first: {firing[0].message}.", count=count,
        )  # fmt: skip
    if held:
        yield Attention(
            "warning", "held", f"{counted(held, 'sync')} held: deletions wait for approval",
            "Check at the provider whether the records are gone, then approve.", count=held,
        )  # fmt: skip
    if unknown:
        yield Attention(
            "warning", "unknown", f"{counted(unknown, 'job')} of unknown outcome",
            "Find out whether the provider carried it out, then settle it.", count=unknown,
        )  # fmt: skip
    if dead:
        yield Attention(
            "warning", "dead", f"{counted(dead, 'job')} given up",
            "Read the error, mend its cause, and retry.", count=dead,
        )  # fmt: skip
    if app is not None or core.access.allows(Action.LOOK):
        yield from _told_once([[_of_result(e) for e in fleet.failing_webhooks(core, app)]])
    if app is None and core.access.allows(Action.LOOK):
        yield from map(_of_result, fleet.failing_channels(core))


def of_installation(core: Core) -> Iterator[Attention]:
    """Yield what is wrong with this machine, Redis and the configuration, for who may see it."""
    if not core.access.allows(Action.LOOK):
        return
    checked = core.context.kept_for(CHECK_SECONDS, "installation", lambda: list(_checks(core)))
    yield from map(_of_result, checked)
    with suppress(BrokerUnavailable):
        if count := len(Quarantine(core.redis).messages()):
            found = quarantined(count)
            yield Attention("warning", "quarantine", found.message, found.remedy, count=count)


def _checks(core: Core) -> Iterator[DiagnosticResult]:
    results = [servers.configuration(core), servers.data_folder(core)]
    with suppress(BrokerUnavailable):
        core.redis.ping()  # else it is among the obstacles
        results += servers.redis_server(core, accepts=True)
        results += fleet.audit_heads(core)
    yield from (each for each in results if each.grade != "ok")


def _of_result(result: DiagnosticResult) -> Attention:
    subject: Subject = "fleet"
    if result.subject.startswith("webhook"):
        subject = "webhooks"
    elif result.subject.startswith("alert channel"):
        subject = "alerts"
    elif result.subject == "configuration":
        subject = "configuration"
    level: Level = "critical" if result.grade == "fail" else "warning"
    message = result.what if subject == "configuration" else f"{result.subject} {result.what}"
    return Attention(level, subject, message.rstrip("."), result.remedy or "")


def _told_once(like: Iterable[Sequence[Attention]]) -> Iterator[Attention]:
    for several in like:
        if len(several) <= LIKE:
            yield from several
            continue
        first = several[0]
        message = f"{len(several):,} alike, such as: {first.message}"
        yield replace(first, message=message, provider=None, count=len(several))
