"""Why one job waits, or how it ended, and who is at fault. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sisgate.domain.figures import counted, duration
from sisgate.domain.priorities import Priority
from sisgate.domain.sentences import inside
from sisgate.domain.states import JobState
from sisgate.liveness.obstacles import Cause
from sisgate.verdict.answers import named
from sisgate.verdict.congestion import quota_of
from sisgate.verdict.facts import RECENT_SECONDS, AppBacklog, JobFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, PartyKind, Severity, Trouble
from sisgate.verdict.holds import PARTIES, by_hand
from sisgate.verdict.parts import newest
from sisgate.verdict.refusals import answered
from sisgate.verdict.unattended import HeldSync

ABOUT_TO_START_SECONDS = 5.0
"""A job that waits for less is about to start."""

TOLD_SECONDS = 3600.0
"""What has lasted for so long is told with how long."""

HOLDS: Mapping[str, tuple[Trouble, PartyKind]] = {
    "paused": (Trouble.PAUSED, "person"),
    "breaker": (Trouble.PROVIDER_DOWN, "provider"),
    "blocked": (Trouble.PROVIDER_THROTTLES, "provider"),
}
"""What the error of an expired job says that held its provider."""


def of_job(job: JobFacts, provider: ProviderFacts, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield why a job waits or how it ended; `found` are the findings of its provider."""
    if not job.state.is_final:
        yield from _waiting(job, provider, found)
    elif job.state is not JobState.DONE:
        yield from _ended(job, provider, found)
    elif job.page is not None:
        yield _finding(
            job, Trouble.ANSWERS_INVALID, Party("nobody"), Severity.WARNS, Certainty.CERTAIN,
            f"it is done, but {inside(_sentence(job.page))}",
            f"`sisgate jobs timeline {job.id[:8]}` shows the request.",
        )  # fmt: skip
        yield from (each for each in found if each.cause == Trouble.ANSWERS_INVALID)


def _waiting(job: JobFacts, provider: ProviderFacts, found: Sequence[Finding]) -> Iterator[Finding]:
    stops = [each for each in found if each.severity is Severity.STOPS]
    stops = [
        each for each in stops if each.cause not in {Trouble.QUOTA_SPENT, Trouble.LIMIT_BY_HAND}
    ]
    if job.lost:
        yield _finding(
            job, Trouble.CALLS_LOST, Party("fleet"), Severity.HARMS, Certainty.CERTAIN,
            f"{counted(job.lost, 'call')} of it had begun on workers that are gone",
            "Nothing: another worker takes them up when their leases end.",
        )  # fmt: skip
    elif job.running:
        slow = [each for each in found if each.cause == Trouble.PROVIDER_SLOW]
        yield from slow
        return
    yield from stops
    if stops or job.lost:
        return
    if job.retry_in_seconds:
        yield from _retry(job, found)
        return
    if quota := _quota(job, provider):
        yield quota
        return
    if job.retry_in_seconds is not None:
        yield from _retry(job, found)
        return
    yield from (each for each in found if each.severity is Severity.HARMS)
    if job.age_seconds >= ABOUT_TO_START_SECONDS:
        yield from _turn(job, provider)


def _retry(job: JobFacts, found: Sequence[Finding]) -> Iterator[Finding]:
    blamed = [each for each in found if each.severity >= Severity.HARMS]
    yield from blamed
    met = job.met
    is_theirs = met is not None and (
        met.code in {"provider_unavailable", "throttled"} or (met.status or 0) >= 500
    )
    said = f": {_sentence(met.message)}" if met is not None else ""
    due = f"in {duration(job.retry_in_seconds)}" if job.retry_in_seconds else "due"
    yield _finding(
        job,
        Trouble.RETRY_WAITS,
        Party("provider", job.provider) if is_theirs else Party("nobody"),
        Severity.WARNS,
        Certainty.LIKELY,
        f"its last try failed, and the next one is {due}{said}",
        f"Usually nothing. `sisgate jobs show {job.id[:8]}` shows how it goes on.",
    )


def _turn(job: JobFacts, provider: ProviderFacts) -> Iterator[Finding]:
    ahead = {
        each.app: sum(calls for p, calls in each.by_priority.items() if p <= job.priority)
        for each in provider.backlog
    }
    others = {app: calls for app, calls in ahead.items() if calls and app != job.app}
    total = sum(ahead.values())
    if total <= 1:
        yield _finding(
            job,
            Trouble.UNEXPLAINED,
            Party("fleet"),
            Severity.WARNS,
            Certainty.POSSIBLE,
            "nothing is known that keeps it",
            "It may be about to start. Otherwise see the workers' logs, and `sisgate doctor`.",
        )
        return
    most = max(others, key=lambda app: others[app], default=None)
    yield Finding(
        Trouble.TURN_WAITS,
        Party("app", most) if most and others[most] > total / 2 else Party("nobody"),
        Severity.WARNS,
        Certainty.LIKELY,
        f"it waits for its turn among {total:,} calls of its priority or a higher one",
        "Raise its priority if it is urgent.",
        {"ahead_by_app": ahead, "priority": Priority(job.priority).word},
        job.provider,
    )


def _ended(job: JobFacts, provider: ProviderFacts, found: Sequence[Finding]) -> Iterator[Finding]:
    match job.state:
        case JobState.HELD if job.settled_by:
            return
        case JobState.HELD:
            ago = job.ended_seconds_ago or 0.0
            yield held(HeldSync(job.id, job.resource or "", job.note, ago), job.provider)
        case JobState.CANCELLED if job.error:
            yield _finding(
                job, Trouble.JOB_CANCELLED, Party("person", job.error.get("by")), Severity.STOPS,
                Certainty.CERTAIN, _sentence(job.error.get("message")),
                f"Once {job.provider} is configured again, `sisgate jobs retry {job.id[:8]}` "
                "enqueues it again.",
            )  # fmt: skip
        case JobState.CANCELLED:
            party, words, _ = by_hand(job.cancelled)
            yield _finding(
                job, Trouble.JOB_CANCELLED, party, Severity.STOPS, Certainty.CERTAIN,
                f"it was cancelled {words}",
                f"`sisgate jobs retry {job.id[:8]}` enqueues it again."
                if party.name
                else f"`sisgate audit search --job {job.id}` shows by whom; `sisgate jobs retry "
                f"{job.id[:8]}` enqueues it again.",
            )  # fmt: skip
        case JobState.UNKNOWN:
            yield _finding(
                job, Trouble.OUTCOME_UNKNOWN, Party("provider", job.provider), Severity.STOPS,
                Certainty.LIKELY,
                "it is unknown whether the provider carried it out",
                f"Look there, then say so: `sisgate jobs resolve {job.id[:8]} --as done` (or "
                "failed, retry).",
            )  # fmt: skip
        case _:
            yield from _failed(job, provider, found)


def _failed(job: JobFacts, facts: ProviderFacts, found: Sequence[Finding]) -> Iterator[Finding]:
    error = job.error or {}
    code, status = str(error.get("code", "")), error.get("status")
    provider, again = (
        Party("provider", job.provider),
        f"`sisgate jobs retry {job.id[:8]}` repeats it.",
    )
    message = _sentence(error.get("message"))
    match code:
        case "provider_refused" if status in {401, 403}:
            is_key = any(each.cause == Trouble.KEY_REFUSED for each in found)
            works = not is_key and any(each.succeeded for each in newest(facts))
            if not works:
                yield _finding(
                    job, Trouble.KEY_REFUSED, Party("key"), Severity.STOPS,
                    Certainty.LIKELY if is_key else Certainty.POSSIBLE,
                    f"the provider refused it with {status}",
                    f"`sisgate keys list {job.provider}` shows whether the key is suspect.",
                )  # fmt: skip
            if not is_key:
                # Other calls are answered with the same key.
                yield _refused(job, status, Certainty.LIKELY if works else Certainty.POSSIBLE)
        case "provider_refused":
            yield _refused(job, status, Certainty.CERTAIN)
        case "token_refused" | "credentials":
            yield _finding(
                job, Trouble.KEY_REFUSED, Party("key"), Severity.STOPS, Certainty.CERTAIN,
                message, again,
            )  # fmt: skip
        case "provider_unavailable":
            at_tokens = error.get("step") == "token"
            yield _finding(
                job, Trouble.TOKENS_FAIL if at_tokens else Trouble.PROVIDER_DOWN, provider,
                Severity.STOPS, Certainty.CERTAIN if status else Certainty.LIKELY, message, again,
            )  # fmt: skip
        case "answer_invalid":
            yield _finding(
                job, Trouble.ANSWERS_INVALID, provider, Severity.STOPS, Certainty.LIKELY,
                named(message), again,
            )  # fmt: skip
        case "poison":
            yield _finding(
                job, Trouble.CALLS_LOST, Party("fleet"), Severity.STOPS, Certainty.CERTAIN,
                message, again,
            )  # fmt: skip
        case "job_expired":
            yield from _expired(job, facts, found, message, again)
        case _:
            yield _finding(
                job, Trouble.JOB_FAILED, Party("nobody"), Severity.STOPS, Certainty.POSSIBLE,
                message, again,
            )  # fmt: skip


def _expired(
    job: JobFacts, facts: ProviderFacts, found: Sequence[Finding], message: str, again: str
) -> Iterator[Finding]:
    cause = str((job.error or {}).get("cause") or "")
    if cause in HOLDS:
        trouble, kind = HOLDS[cause]
        party = Party(kind, job.provider if kind == "provider" else None)
        yield _finding(
            job, trouble, party, Severity.STOPS, Certainty.CERTAIN, message, again
        )  # fmt: skip
    elif cause:
        kind = PARTIES.get(Cause(cause), "fleet") if cause in set(Cause) else "fleet"
        yield _finding(
            job, cause, Party(kind), Severity.STOPS, Certainty.CERTAIN, message, again
        )  # fmt: skip
    elif quota := _quota_before(job, facts):
        yield replace(
            quota, message=f"the deadline passed before there was a permit: {quota.message}",
            certainty=min(quota.certainty, Certainty.LIKELY), remedy=again,
        )  # fmt: skip
    else:
        now = [each for each in found if each.severity >= Severity.HARMS]
        yield from (replace(each, certainty=Certainty.POSSIBLE) for each in now)
        yield _finding(
            job, Trouble.DEADLINE_SHORT, Party("app", job.app), Severity.STOPS,
            Certainty.POSSIBLE if now else Certainty.LIKELY, message, again,
        )  # fmt: skip


def _quota_before(job: JobFacts, facts: ProviderFacts) -> Finding | None:
    """Return that the quota was used up when a job expired, if it is still, and it was lately."""
    if job.tried or (job.ended_seconds_ago or 0.0) > RECENT_SECONDS:
        return None
    return _quota(job, facts)


def _quota(job: JobFacts, facts: ProviderFacts) -> Finding | None:
    """Return that the quota is used up for a call of its priority."""
    waiting = AppBacklog(job.app, {job.priority: 1}, job.age_seconds)
    return next(quota_of(replace(facts, backlog=[waiting])), None)


def held(sync: HeldSync, provider: str) -> Finding:
    """Return that a sync is held, and for how long nobody has decided."""
    job, resource = sync.job, sync.resource
    why = (
        f": {_sentence(sync.note)}" if sync.note else ", because too many records would be deleted"
    )
    since = f" for {duration(sync.seconds)}" if sync.seconds >= TOLD_SECONDS else ""
    return Finding(
        Trouble.SYNC_HELD,
        Party("provider", provider),
        Severity.HARMS,
        Certainty.CERTAIN,
        f"the sync of {provider} {resource} is held{since}{why}",
        f"`sisgate jobs deletions {job[:8]}` shows the records. If the provider is right, `sisgate "
        f"sync {provider} {resource} --allow-deletes` approves it.",
        {"job": job, "held_seconds": round(sync.seconds)},
        provider,
    )


def _refused(job: JobFacts, status: object, certainty: Certainty) -> Finding:
    if job.resource is not None and isinstance(status, int) and 300 <= status < 400:
        # The path of a list is none of an app's choosing.
        return _finding(
            job, Trouble.PROVIDER_MOVED, Party("provider", job.provider), Severity.STOPS,
            Certainty.LIKELY, f"in place of {job.resource} the provider {answered(status)}",
            f"Ask the operator of {job.provider}, and correct its URL, base_path or auth: `sisgate "
            f"providers show {job.provider}`.",
        )  # fmt: skip
    if job.resource is None:
        party, what = Party("app", job.app), f"what {job.app} asked for"
        remedy = f"Correct the request, or ask the operator of {job.provider}."
    else:
        party, what = Party("provider", job.provider), f"to give {job.resource}"
        remedy = (
            f"Ask the operator of {job.provider} to let it be read; then `sisgate sync "
            f"{job.provider} {job.resource}` reads it."
        )
    with_what = f": {status}" if status else ""
    return _finding(
        job, Trouble.REQUESTS_REFUSED, party, Severity.STOPS, certainty,
        f"the provider refused {what}{with_what}", remedy,
    )  # fmt: skip


def _finding(
    job: JobFacts, cause: str, party: Party, severity: Severity, certainty: Certainty,
    message: str, remedy: str,
) -> Finding:  # fmt: skip
    error = job.error or {}
    evidence = {
        "job": job.id,
        "state": job.state.value,
        "code": error.get("code"),
        "status": error.get("status"),
        "call": error.get("call"),
        "age_seconds": round(job.age_seconds),
    }
    return Finding(
        cause, party, severity, certainty, message, remedy,
        {name: value for name, value in evidence.items() if value is not None}, job.provider,
    )  # fmt: skip


def _sentence(message: object) -> str:
    return str(message or "it failed").rstrip(".")
