"""Why a dataset is older than it should be, though nothing keeps it from being read. Pure."""

from collections.abc import Iterator

from sisgate.domain.figures import duration
from sisgate.domain.sentences import inside
from sisgate.liveness.obstacles import listed
from sisgate.verdict.facts import DatasetFacts, JobFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble

MISSED_SECONDS = 600.0
"""How long after its time a scheduled sync is missed."""


def stale(dataset: DatasetFacts) -> Iterator[Finding]:
    """Yield that it was not read when it was due, seldom enough, or by any schedule any more."""
    if dataset.last is not None and dataset.last.incomplete:
        yield _incomplete(dataset, dataset.last)
    missed, age = dataset.missed_seconds or 0.0, dataset.age_seconds
    names = listed(dataset.schedules) if dataset.schedules else ""
    if missed >= MISSED_SECONDS:
        yield _stale(
            dataset,
            Trouble.DATA_STALE,
            Severity.HARMS,
            Certainty.POSSIBLE,
            f"{dataset.resource} was due {duration(missed)} ago by schedule {names}, and has not "
            "been read since: perhaps beat was away then",
            "`sisgate schedules list` shows the last run",
            missed_seconds=round(missed),
        )
        return
    if age is None:
        return
    if dataset.fresh_seconds is not None and age > dataset.fresh_seconds:
        following = dataset.next_read_seconds
        how = (
            f"schedule {names} reads it next in {duration(following)}"
            if following is not None
            else "no schedule reads it"
        )
        yield _stale(
            dataset,
            Trouble.DATA_STALE,
            Severity.HARMS,
            Certainty.LIKELY,
            f"{dataset.resource} is {duration(age)} old, and its objective allows "
            f"{duration(dataset.fresh_seconds)}: {how}",
            "Let a schedule read it more often than the objective says",
            objective_seconds=round(dataset.fresh_seconds),
        )
    elif dataset.former_schedule is not None:
        yield _stale(
            dataset,
            Trouble.DATASET_UNSCHEDULED,
            Severity.WARNS,
            Certainty.CERTAIN,
            f"{dataset.resource} was last read {duration(age)} ago by schedule "
            f"{dataset.former_schedule}, which reads it no more, and no other schedule does",
            "`sisgate config history` shows who changed that",
            schedule=dataset.former_schedule,
        )


def _incomplete(dataset: DatasetFacts, last: JobFacts) -> Finding:
    note = inside((last.note or "its last sync did not read all of it").rstrip("."))
    return Finding(
        Trouble.LIST_INCOMPLETE,
        Party("provider", dataset.provider),
        Severity.WARNS,
        Certainty.LIKELY,
        note,
        f"If `sisgate sync {dataset.provider} {dataset.resource} --mode full` says the same, ask "
        f"the operator of {dataset.provider}: until then records that are gone there stay here.",
        {"job": last.id},
        dataset.provider,
    )


def never_read(dataset: DatasetFacts) -> Finding:
    """Return that a dataset was never read, and will not be by itself."""
    return Finding(
        Trouble.NEVER_READ,
        Party("nobody"),
        Severity.WARNS,
        Certainty.CERTAIN,
        f"{dataset.resource} of {dataset.provider} was never read: no schedule does, and nobody "
        "has asked for it",
        f"`sisgate sync {dataset.provider} {dataset.resource}` reads it once; `sisgate schedules "
        "list` shows what is read regularly.",
        provider=dataset.provider,
    )


def _stale(
    dataset: DatasetFacts,
    cause: Trouble,
    severity: Severity,
    certainty: Certainty,
    message: str,
    remedy: str,
    **evidence: object,
) -> Finding:
    age = dataset.age_seconds
    return Finding(
        cause,
        Party("nobody"),
        severity,
        certainty,
        message,
        f"{remedy}; `sisgate sync {dataset.provider} {dataset.resource}` reads it now.",
        {**evidence, "age_seconds": None if age is None else round(age)},
        dataset.provider,
    )
