"""Refused keys and requests, and answers that cannot be used: whose fault they are. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

from sisgate.domain.figures import counted
from sisgate.domain.sentences import inside
from sisgate.liveness.obstacles import listed
from sisgate.verdict.answers import unusable_answers
from sisgate.verdict.expiries import label_of, name_of, replacement_of
from sisgate.verdict.facts import MetError, ProviderFacts, RecentCall
from sisgate.verdict.failed_calls import current_errors
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.parts import CHANCE, FEWEST, FEWEST_ALIKE, newest
from sisgate.verdict.unattended import FailedSync

NEARLY_ALL = 0.8
"""From this share of 401 and 403 on, the key is at fault, and not what was asked for."""

KEY_STATUSES = frozenset({401, 403})
ELSEWHERE = frozenset({301, 302, 303, 307, 308, 404, 410})
"""What is answered where an API is no longer, or behind a log-in."""

MOVED_CALLS = 6
"""After so many such answers in a row, to several apps, it is no mistake of theirs."""

OF_KEYS = {
    "credentials": "there was no key that could be used",
    "token_refused": "its key was refused",
}
"""Errors of a sync that are no fault of its provider."""

NOT_THE_REQUEST = frozenset({401, 408, 429})
"""4xx that say nothing against the request itself."""


def refusals(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield refused keys, refused requests of apps, and answers that cannot be used."""
    key = _fresh_tokens(facts) or _key(facts)
    if key is not None:
        yield key
    yield from _requests(facts, is_key=key is not None and key.certainty > Certainty.POSSIBLE)
    yield from unusable_answers(facts)
    yield from _settings(facts)


def _key(facts: ProviderFacts) -> Finding | None:
    calls = newest(facts)
    refused = sum(1 for each in calls if each.status in KEY_STATUSES)
    tokens = [each for each in current_errors(facts) if each.code == "token_refused"]
    suspect = [each for each in facts.keys if each.suspect_seconds is not None]
    count = refused + len(tokens)
    if not count and not suspect:
        return None
    is_all = bool(suspect) and len(suspect) == len(facts.keys)
    total = len(calls) + len(tokens)
    since = _refused_since_good(calls, tokens)
    if is_all and since >= FEWEST:
        # What went well before the refusal says nothing.
        count = total = since
    share = count / max(1, total)
    if suspect and not is_all:
        severity, certainty = Severity.WARNS, Certainty.CERTAIN
    elif (is_all and share >= NEARLY_ALL) or (tokens and share >= NEARLY_ALL):
        severity, certainty = Severity.STOPS, Certainty.CERTAIN
    elif share >= NEARLY_ALL and count >= FEWEST:
        severity, certainty = Severity.STOPS, Certainty.LIKELY
    elif share >= NEARLY_ALL:
        severity, certainty = Severity.HARMS, Certainty.POSSIBLE
    elif is_all and count:
        severity, certainty = Severity.HARMS, Certainty.LIKELY
    else:
        return None
    key = next(iter(suspect or facts.keys), None)
    how = f"{count} of the last {total} calls" if count else "it lately"
    answer = "no token" if len(tokens) > refused else "401 or 403"
    others = "; calls use another key" if suspect and not is_all else ""
    return Finding(
        Trouble.KEY_REFUSED,
        Party("key", name_of(key)),
        severity,
        certainty,
        f"{facts.name} refuses the {label_of(key)}: {answer} to {how}{others}",
        f"Ask the operator of {facts.name} whether it was revoked or lacks a permission, or "
        f"replace it: {replacement_of(facts.name, key)}.",
        {
            "refused": count,
            "calls": total,
            "key": key.id if key is not None else None,
            "slot": key.slot if key is not None else None,
            "suspect_seconds": round(key.suspect_seconds)
            if key is not None and key.suspect_seconds is not None
            else None,
        },
        facts.name,
    )


def _refused_since_good(calls: Sequence[RecentCall], tokens: Sequence[MetError]) -> int:
    """Return how many calls a key was refused for since the last good one."""
    good = min((each.seconds_ago for each in calls if each.succeeded), default=float("inf"))
    refused = [each.seconds_ago for each in calls if each.status in KEY_STATUSES]
    refused += [each.seconds_ago or 0.0 for each in tokens]
    return sum(1 for seconds in refused if seconds < good)


def _fresh_tokens(facts: ProviderFacts) -> Finding | None:
    """Return that tokens are refused as soon as they are issued: the key was accepted for them."""
    fresh = sum(1 for each in current_errors(facts) if each.fresh_token)
    refused = sum(1 for each in newest(facts) if each.status in KEY_STATUSES)
    if fresh < FEWEST_ALIKE or fresh < refused / 4:  # each call was sent twice or more
        return None
    works = any(each.succeeded for each in newest(facts))
    return Finding(
        Trouble.TOKENS_FAIL,
        Party("provider", facts.name),
        Severity.HARMS if works else Severity.STOPS,
        Certainty.LIKELY,
        f"{facts.name} refuses the tokens that it has just issued, as expired or invalid, to "
        f"{counted(fresh, 'call')}: it accepts the key, and its servers or clocks disagree",
        f"Ask the operator of {facts.name} about the clocks of its servers, and check that "
        "token_url is of the same system as the endpoints. Another key does not help.",
        {"calls": fresh, "refused": refused},
        facts.name,
    )


def _requests(facts: ProviderFacts, *, is_key: bool) -> Iterator[Finding]:
    moved = _moved(facts)
    if moved is not None:
        yield moved
        if moved.certainty > Certainty.POSSIBLE:
            return
    by_app: dict[str, list[RecentCall]] = {}
    for call in facts.recent:
        by_app.setdefault(call.app, []).append(call)
    for app, calls in sorted(by_app.items()):
        refused = [each.status for each in calls if _is_refused(each.status)]
        if is_key:
            refused = [status for status in refused if status not in KEY_STATUSES]
        share = len(refused) / len(calls)
        if len(refused) < FEWEST or share < 0.5 or _is_over(calls, share):
            continue
        most = _most(refused)
        only_key = set(refused) <= KEY_STATUSES
        yield Finding(
            Trouble.REQUESTS_REFUSED,
            Party("app", app),
            Severity.WARNS,
            Certainty.POSSIBLE
            if moved is not None or (only_key and len(by_app) == 1)
            else Certainty.LIKELY,
            f"{facts.name} refuses what {app} asks for: {most} to {len(refused)} of its last "
            f"{len(calls)} calls",
            f"Correct its requests; if they are syncs, ask the operator of {facts.name}. `sisgate "
            f"jobs list --app {app} --state failed` shows them.",
            {"app": app, "refused": len(refused), "calls": len(calls), "status": most},
            facts.name,
        )


def _is_over(calls: Sequence[RecentCall], share: float) -> bool:
    """Return whether so many good answers came since the last refusal that chance makes few."""
    streak = sum(1 for _ in takewhile(lambda each: not _is_refused(each.status), calls))
    return streak >= FEWEST and (1 - share) ** streak < CHANCE


def _moved(facts: ProviderFacts) -> Finding | None:
    """Return that nothing is found where it was, whoever asks; None if that is not so."""
    calls = list(takewhile(lambda each: each.status in ELSEWHERE, facts.recent))
    apps = {each.app for each in calls}
    if len(calls) < FEWEST or len(apps) < 2:
        return None
    most = _most([each.status for each in calls])
    is_login = most is not None and most < 400
    what = (
        "redirects every call of every app elsewhere, as to a log-in"
        if is_login
        else "refuses every call of every app, as if its API had moved"
    )
    return Finding(
        Trouble.PROVIDER_MOVED,
        Party("provider", facts.name),
        Severity.HARMS,
        # A few may each have asked for what is not there.
        Certainty.LIKELY if len(calls) >= MOVED_CALLS else Certainty.POSSIBLE,
        f"{facts.name} {what}: {most} to the last {len(calls)} calls, of {len(apps)} apps",
        f"Ask the operator of {facts.name}, and correct its URL, base_path or auth: `sisgate "
        f"providers show {facts.name}`.",
        {"calls": len(calls), "status": most, "apps": sorted(apps)},
        facts.name,
    )


def _most(statuses: Sequence[int | None]) -> int | None:
    ((most, _),) = Counter(statuses).most_common(1)
    return most


def answered(status: int | None) -> str:
    """Return that something was answered, in words.

    >>> answered(404), answered(302)
    ('answered 404', 'answered 302, a redirect such as to a log-in')
    """
    if status is not None and 300 <= status < 400:
        return f"answered {status}, a redirect such as to a log-in"
    return f"answered {status}"


def _is_refused(status: int | None) -> bool:
    return status is not None and 400 <= status < 500 and status not in NOT_THE_REQUEST


def _settings(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that what is configured of the provider cannot be used."""
    wrong = [each for each in current_errors(facts) if each.code == "configuration"]
    if not wrong:
        return
    yield Finding(
        Trouble.PROVIDER_MISCONFIGURED,
        Party("fleet"),
        Severity.STOPS if not any(each.succeeded for each in newest(facts)) else Severity.HARMS,
        Certainty.CERTAIN,
        f"the configuration of {facts.name} does not fit it: {inside(wrong[0].message)}",
        f"`sisgate providers show {facts.name}` shows the configuration, `sisgate config history` "
        "who changed it, and when.",
        {"jobs": len({each.job for each in wrong}), "job": wrong[0].job},
        facts.name,
    )


def failing_datasets(provider: str, failed: Sequence[FailedSync]) -> Iterator[Finding]:
    """Yield the datasets of a provider whose syncs fail, and that no other try will bring."""
    if not failed:
        return
    names = sorted({each.resource for each in failed})
    reasons = sorted({_reason(each) for each in failed})
    yield Finding(
        Trouble.DATASET_FAILS,
        Party("key") if all(e.code in OF_KEYS for e in failed) else Party("provider", provider),
        Severity.WARNS,
        Certainty.LIKELY,
        f"{listed(names)} of {provider} cannot be read: {listed(reasons)}",
        f"`sisgate why {provider}/{names[0]}` says why. Once that is mended, `sisgate sync "
        f"{provider} {names[0]}` reads it.",
        {"datasets": names, "job": failed[0].job},
        provider,
    )


def _reason(failed: FailedSync) -> str:
    if failed.code in OF_KEYS:
        return OF_KEYS[failed.code]
    return f"it {answered(failed.status)}" if failed.status else failed.code.replace("_", " ")
