"""What waits for a person or an app, while calls go on. Pure."""

from collections.abc import Iterator

from sisgate.domain.figures import counted, duration
from sisgate.verdict.facts import DatasetFacts, FleetFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble

UNREAD_SECONDS = 86_400.0
"""An app that follows a feed, and has not asked for so long, is behind."""

FREE_BYTES = 1 << 30
"""With less than that a disk is about to be full."""

OFTEN = 10
"""From so many refusals within minutes on, an app does not heed its limit."""

QUARANTINE_REMEDY = (
    "`sisgate quarantine list` shows them and why. After an upgrade, `sisgate quarantine requeue "
    "MESSAGE` returns one to its queue; otherwise drop it, and look for what else publishes there."
)


def of_everybody(fleet: FleetFacts) -> Iterator[Finding]:
    """Yield what waits in the fleet as a whole."""
    if fleet.free_bytes is not None and fleet.free_bytes < FREE_BYTES:
        yield Finding(
            Trouble.DISK_LOW,
            Party("fleet"),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"only {fleet.free_bytes >> 20:,} MB are free on the disk of the data folder",
            "Free some space: a full disk stops all work. `sisgate doctor` names the folder.",
            {"free_bytes": fleet.free_bytes},
        )
    if count := sum(fleet.quarantined.values()):
        yield quarantined(count)
    for each in fleet.receivers:
        since = f" for {duration(each.seconds)}" if each.seconds is not None else ""
        is_active = each.state == "active"
        yield Finding(
            Trouble.WEBHOOK_FAILS,
            Party("app", each.app),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"{each.place} has taken no webhook of {each.app}{since}: {each.why}"
            if is_active
            else f"the webhook of {each.app} to {each.place} is {each.state}: {each.why}",
            f"Ask whoever runs {each.place}; `sisgate webhooks deliveries {each.id}` shows the "
            "attempts."
            if is_active
            else f"Once the receiver answers, `sisgate webhooks resume {each.id}` makes it active.",
            {"webhook": each.id, "app": each.app},
        )
    for caller in fleet.refused_callers:
        if caller.times >= OFTEN:
            yield Finding(
                Trouble.INBOUND_REFUSED,
                Party("app", caller.name),
                Severity.WARNS,
                Certainty.CERTAIN,
                f"the HTTP service refused {caller.times:,} requests of {caller.name} within the "
                f"last minutes: it asks more often than its limit, {caller.limit}, allows",
                "Let it wait as Retry-After says, use bulk requests or a webhook in place of "
                f"polling, or raise its limit: [web.limits] {caller.name}.",
                {"app": caller.name, "refused": caller.times, "limit": caller.limit},
            )


def of_provider(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield what waits at a provider."""
    if facts.unsettled is not None:
        one, jobs = facts.unsettled, counted(facts.unsettled.jobs, "job")
        yield Finding(
            Trouble.OUTCOME_UNKNOWN,
            Party("provider", facts.name),
            Severity.WARNS,
            Certainty.LIKELY,
            f"of {jobs} it is unknown whether {facts.name} carried out the change, the oldest for "
            f"{duration(one.seconds)}",
            f"Look there, then say so: `sisgate jobs resolve {one.job[:8]} --as done` (or failed, "
            "retry).",
            {"jobs": one.jobs, "job": one.job, "oldest_seconds": round(one.seconds)},
            facts.name,
        )
    if count := fleet.quarantined.get(facts.name):
        yield quarantined(count, facts.name)


def quarantined(count: int, provider: str | None = None) -> Finding:
    """Return that messages are in quarantine, of all queues or of that of a provider."""
    of_queue = f" of the queue {provider}" if provider else ""
    them = "it" if count == 1 else "them"
    return Finding(
        Trouble.MESSAGES_QUARANTINED,
        Party("nobody"),
        Severity.WARNS,
        Certainty.CERTAIN,
        f"{counted(count, 'message')}{of_queue} in quarantine: no worker can handle {them}",
        QUARANTINE_REMEDY,
        {"messages": count},
        provider,
    )


def of_readers(dataset: DatasetFacts) -> Iterator[Finding]:
    """Yield the apps that no longer read a feed."""
    for each in dataset.readers:
        if not each.behind or (each.seconds < UNREAD_SECONDS and not each.is_lost):
            continue
        lost = ", some of which are gone" if each.is_lost else ""
        yield Finding(
            Trouble.FEED_UNREAD,
            Party("app", each.app),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"{each.app} last asked for changes of {dataset.resource} {duration(each.seconds)} "
            f"ago, and is {counted(each.behind, 'change')} behind{lost}",
            f"Look at {each.app}. "
            + (
                "It has to read all records again."
                if each.is_lost
                else "Changes are kept as [retention] says: then it has to read all records again."
            ),
            {"app": each.app, "behind": each.behind, "asked_seconds_ago": round(each.seconds)},
            dataset.provider,
        )
