"""The verdict on a provider, a dataset, a job or the fleet, from the facts of one moment. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median
from typing import Any

from sisgate.domain.moments import local_time
from sisgate.liveness.obstacles import PERIODIC_CAUSES
from sisgate.verdict import neglect
from sisgate.verdict.congestion import congestion
from sisgate.verdict.doubts import doubt, of_hosts, together
from sisgate.verdict.expiries import certificates_ending, expired, keys_ending
from sisgate.verdict.facts import DatasetFacts, FleetFacts, JobFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble, Verdict
from sisgate.verdict.holds import holds, of_obstacle
from sisgate.verdict.jobs import held, of_job
from sisgate.verdict.outages import failures
from sisgate.verdict.parts import about
from sisgate.verdict.refusals import failing_datasets, refusals
from sisgate.verdict.slowness import slowness
from sisgate.verdict.staleness import MISSED_SECONDS, never_read, stale

OUTAGES = frozenset(
    {
        Trouble.PROVIDER_DOWN,
        Trouble.PROVIDER_UNREACHABLE,
        Trouble.NETWORK_DOWN,
        Trouble.PROVIDER_SLOW,
        Trouble.TOKENS_FAIL,
    }
)


def judge_provider(facts: ProviderFacts, fleet: FleetFacts) -> Verdict:
    """Return the verdict on a provider."""
    return Verdict(facts.name, fleet.at, findings_of(facts, fleet), _figures(facts))


def judge_job(job: JobFacts, facts: ProviderFacts, fleet: FleetFacts) -> Verdict:
    """Return the verdict on a job of a provider."""
    found = _ranked(of_job(job, facts, about(findings_of(facts, fleet), job.resource)))
    figures: dict[str, object] = {
        "state": job.state.value,
        "app": job.app,
        "age_seconds": round(job.age_seconds),
    }
    if job.answer is not None:
        figures["answer"] = job.answer
    if job.settled_by is not None:
        by, at = job.settled_by
        figures["settled"] = f"by a later sync (job {by[:8]}) at {local_time(at)}"
    return Verdict(f"job {job.id}", fleet.at, found, figures)


def judge_dataset(dataset: DatasetFacts, facts: ProviderFacts, fleet: FleetFacts) -> Verdict:
    """Return the verdict on a dataset of a provider."""
    known = about(findings_of(facts, fleet), dataset.resource)
    found = _ranked(_of_dataset(dataset, facts, known))
    age = dataset.age_seconds
    figures = {
        "age_seconds": None if age is None else round(age),
        "last_job": dataset.last.id if dataset.last else None,
        "last_state": dataset.last.state.value if dataset.last else None,
    }
    return Verdict(f"{dataset.provider}/{dataset.resource}", fleet.at, found, figures)


def judge_removed(name: str, removal: Mapping[str, Any], at: datetime) -> Verdict:
    """Return the verdict on a provider that was removed; `removal` is the error that says so."""
    message, version = str(removal["message"]).rstrip("."), int(removal["version"])
    finding = Finding(
        Trouble.PROVIDER_REMOVED,
        Party("person", removal.get("by")),
        Severity.STOPS,
        Certainty.CERTAIN,
        f"{message[:1].lower()}{message[1:]}",
        f"Nothing calls it any more. `sisgate config rollback {version - 1}` brings the "
        "configuration before that back.",
        {"version": version, "by": removal.get("by")},
        name,
    )
    return Verdict(name, at, [finding])


def judge_fleet(fleet: FleetFacts) -> Verdict:
    """Return the verdict on the whole fleet; a trouble that several providers share comes once."""
    found = [_of_fleet(of_obstacle(each)) for each in fleet.obstacles if each.provider is None]
    found += neglect.of_everybody(fleet)
    shared = {(each.cause, each.party) for each in found}
    hosts: set[str] = set()
    stopped = 0
    for facts in fleet.providers:
        own = [
            each
            for each in findings_of(facts, fleet)
            if (each.cause, each.party) not in shared
        ]  # fmt: skip
        stopped += any(each.severity is Severity.STOPS for each in own)
        for each in own:
            if each.cause == Trouble.NETWORK_DOWN and each.party == Party("fleet"):
                shared.add((each.cause, each.party))
            if each.cause == Trouble.CERTIFICATE_EXPIRES:
                if each.evidence["host"] in hosts:
                    continue
                hosts.add(each.evidence["host"])
            found.append(each)
    found = _in_order([*of_hosts(found, fleet), *together(found, fleet)])
    if stopped < len(fleet.providers):
        # In the order of what they are to their providers.
        found = [
            _harms_at_most(each) if each.provider or each.cause == Trouble.HOST_DOWN else each
            for each in found
        ]
    figures = {"providers": len(fleet.providers), "stopped": stopped}
    return Verdict("fleet", fleet.at, _in_order(found), figures)


def findings_of(facts: ProviderFacts, fleet: FleetFacts) -> list[Finding]:
    """Return what is wrong with a provider, the worst and surest first."""
    return _ranked(_of_provider(facts, fleet))


def _of_provider(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    held_back = list(holds(facts, fleet))
    yield from held_back
    if not any(each.cause in OUTAGES for each in held_back):
        yield from failures(facts, fleet)
    keys = list(keys_ending(facts))
    for finding in refusals(facts):
        if finding.cause == Trouble.KEY_REFUSED and expired(facts.keys):
            # The expiry is why it is refused.
            keys[0] = replace(keys[0], severity=finding.severity)
            continue
        yield finding
    yield from slowness(facts, fleet)
    yield from congestion(facts)
    yield from keys
    yield from certificates_ending(facts, fleet.at)
    for each in facts.held:
        yield replace(held(each, facts.name), severity=Severity.WARNS)
    yield from failing_datasets(facts.name, facts.failed_syncs)
    yield from neglect.of_provider(facts, fleet)


def _of_dataset(
    dataset: DatasetFacts, facts: ProviderFacts, found: Sequence[Finding]
) -> Iterator[Finding]:
    last = dataset.last
    if dataset.held is not None:
        yield held(dataset.held, dataset.provider)
    if dataset.absent is not None:
        yield Finding(
            Trouble.DATASET_ABSENT,
            Party("provider", dataset.provider),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"{dataset.provider} does not offer {dataset.resource}: it answered "
            f"{dataset.absent.status}",
            "Ask its operator for the permission, if it should be there.",
            {"status": dataset.absent.status, "job": dataset.absent.job},
            dataset.provider,
        )
        return
    if last is not None and dataset.held is None:
        yield from of_job(last, facts, found)
    yield from (each for each in found if "part" in each.evidence)
    if last is None and dataset.age_seconds is None and not dataset.schedules:
        yield never_read(dataset)
    yield from neglect.of_readers(dataset)
    is_live = last is not None and not last.state.is_final
    stops = [each for each in found if each.severity is Severity.STOPS]
    yield from () if is_live else stops
    if is_live:
        return
    if (dataset.missed_seconds or 0.0) >= MISSED_SECONDS:
        for each in found:
            if each.cause in PERIODIC_CAUSES:
                yield replace(each, severity=Severity.HARMS)
    yield from stale(dataset)


def _of_fleet(finding: Finding) -> Finding:
    """Return what keeps periodic tasks from being run as harm: nothing is scheduled any more."""
    if finding.cause in PERIODIC_CAUSES:
        return replace(finding, severity=Severity.HARMS)
    return finding


def _harms_at_most(finding: Finding) -> Finding:
    return replace(finding, severity=min(finding.severity, Severity.HARMS))


def _ranked(findings: Iterator[Finding] | Sequence[Finding]) -> list[Finding]:
    """Return findings in order, each once, with the other candidates of one that is in doubt."""
    found: list[Finding] = []
    for each in findings:
        if each not in found:
            found.append(each)
        other = doubt(each)
        if other is not None and other not in found:
            found.append(other)
    return _in_order(found)


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: (-each.severity, -each.certainty))


def _figures(facts: ProviderFacts) -> Mapping[str, Any]:
    limiter = facts.limiter
    recent = facts.timing.recent
    windows = limiter.windows if limiter is not None and limiter.known else ()
    return {
        "calls_lately": len(facts.recent),
        "failed_lately": sum(1 for each in facts.recent if each.failed),
        "median_seconds": round(median(e.seconds for e in recent), 3) if recent else None,
        "waiting": facts.waiting,
        "oldest_seconds": round(max((each.oldest_seconds for each in facts.backlog), default=0)),
        "windows": [each.as_dict() for each in windows],
        "factor": limiter.factor if limiter is not None else None,
        "workers": [each.name for each in facts.workers],
        "breakers": {each.endpoint: each.state.value for each in facts.breakers},
    }
