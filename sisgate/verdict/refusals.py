"""Refused keys and requests, and answers that cannot be used: whose fault they are. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import takewhile

from sisgate.domain.figures import counted, duration
from sisgate.domain.moments import local_time
from sisgate.domain.sentences import inside
from sisgate.liveness.obstacles import listed
from sisgate.verdict.facts import (
    KeyStanding,
    MetError,
    ProviderFacts,
    RecentCall,
)
from sisgate.verdict.failed_calls import current_errors
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.parts import FEWEST, FEWEST_ALIKE, newest, since_recovery
from sisgate.verdict.unattended import (
    FailedSync,
)

NOT_JSON = re.compile(r"that is not JSON \(([a-z/+ -]+), ")
"""How the error of an answer says what it was; see `HttpResponse.not_json`."""

NEARLY_ALL = 0.8
"""From this share of 401 and 403 on, the key is at fault, and not what was asked for."""

KEY_STATUSES = frozenset({401, 403})
ELSEWHERE = frozenset({301, 302, 303, 307, 308, 404, 410})
"""What is answered where an API is no longer, or behind a log-in."""

MOVED_CALLS = 6
"""After so many such answers in a row, to several apps, it is no mistake of theirs."""

NOT_THE_REQUEST = frozenset({401, 408, 429})
"""4xx that say nothing against the request itself."""


def refusals(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield refused keys, refused requests of apps, and answers that cannot be used."""
    key = _fresh_tokens(facts) or _key(facts)
    if key is not None:
        yield key
    yield from _requests(facts, is_key=key is not None and key.certainty > Certainty.POSSIBLE)
    yield from _answers(facts)
    yield from _settings(facts)


def _key(facts: ProviderFacts) -> Finding | None:
    calls = newest(facts)
    refused = sum(1 for each in calls if each.status in KEY_STATUSES)
    tokens = [each for each in current_errors(facts) if each.code == "token_refused"]
    suspect = [each for each in facts.keys if each.suspect_seconds is not None]
    count = refused + len(tokens)
    if not count and not suspect:
        return None
    share = count / max(1, len(calls) + len(tokens))
    is_all = bool(suspect) and len(suspect) == len(facts.keys)
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
    how = f"{count} of the last {len(calls) + len(tokens)} calls" if count else "it lately"
    answer = "no token" if len(tokens) > refused else "401 or 403"
    others = "; calls use another key" if suspect and not is_all else ""
    return Finding(
        Trouble.KEY_REFUSED,
        Party("key", _name(key)),
        severity,
        certainty,
        f"{facts.name} refuses the {_label(key)}: {answer} to {how}{others}",
        f"Ask the operator of {facts.name} whether it was revoked or lacks a permission, or "
        f"replace it: `sisgate keys stage {facts.name}`.",
        {
            "refused": count,
            "calls": len(calls) + len(tokens),
            "key": key.id if key is not None else None,
            "slot": key.slot if key is not None else None,
            "suspect_seconds": round(key.suspect_seconds)
            if key is not None and key.suspect_seconds is not None
            else None,
        },
        facts.name,
    )


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
        if len(refused) < FEWEST or len(refused) < len(calls) / 2:
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


def _answers(facts: ProviderFacts) -> Iterator[Finding]:
    invalid = [
        each
        for each in facts.met
        if each.code == "answer_invalid"
        and (each.seconds_ago or 0) <= _window(facts, each.resource)
    ]
    if not invalid:
        if facts.gave_data and gives_pages(facts.recent):
            yield _pages(facts)
        return
    jobs = sorted({each.job for each in invalid if each.job})
    good = sum(1 for each in newest(facts) if each.succeeded)
    yield Finding(
        Trouble.ANSWERS_INVALID,
        Party("provider", facts.name),
        Severity.HARMS,
        # Each was asked for twice before its job failed.
        Certainty.LIKELY,
        f"{facts.name} sends answers that are not in its dialect or cannot be read, to "
        f"{counted(len(jobs), 'job')}{_form(invalid)}",
        "Something changed at the provider, or a proxy or a log-in answers in its place: "
        f"`sisgate jobs show {jobs[0][:8] if jobs else 'JOB'}` quotes it.",
        {"jobs": jobs[:5], "answers": len(invalid), "good_answers": good},
        facts.name,
    )


def gives_pages(recent: Sequence[RecentCall]) -> bool:
    """Return whether the newest requests that were answered as asked all got pages."""
    answered = [each.is_page for each in recent if each.succeeded and each.part.isupper()]
    return sum(takewhile(bool, answered)) >= FEWEST


def _pages(facts: ProviderFacts) -> Finding:
    answered = [each for each in facts.recent if each.succeeded and each.part.isupper()]
    pages = list(takewhile(lambda each: each.is_page, answered))
    apps = sorted({each.app for each in pages})
    return Finding(
        Trouble.ANSWERS_INVALID,
        Party("provider", facts.name),
        Severity.HARMS,
        Certainty.LIKELY if len(pages) >= MOVED_CALLS or len(apps) > 1 else Certainty.POSSIBLE,
        f"{facts.name} answers the last {len(pages)} requests, of {listed(apps)}, by HTML pages, "
        "and gave data before",
        "A log-in or a maintenance page answers in its place: ask the operator of "
        f"{facts.name}. Or the paths are none of its API: `sisgate jobs list --provider "
        f"{facts.name}` shows the requests.",
        {"pages": len(pages), "apps": apps},
        facts.name,
    )


def _form(invalid: Sequence[MetError]) -> str:
    """Return what came in place of JSON, in words that are ours."""
    if any("max_body_mb" in each.message for each in invalid):
        return ": they are larger than max_body_mb allows"
    forms = (NOT_JSON.search(each.message) for each in invalid)
    form = next((found[1] for found in forms if found), "")
    if "html" in form:
        return ": HTML pages in place of JSON"
    if "json" in form:
        return ": JSON that is broken"
    return f": {form} in place of JSON" if "/" in form else ""


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
    reasons = sorted(
        {
            f"it {answered(each.status)}" if each.status else each.code.replace("_", " ")
            for each in failed
        }
    )
    yield Finding(
        Trouble.DATASET_FAILS,
        Party("provider", provider),
        Severity.WARNS,
        Certainty.LIKELY,
        f"{listed(names)} of {provider} cannot be read: {listed(reasons)}",
        f"`sisgate why {provider}/{names[0]}` says why. Once that is mended, `sisgate sync "
        f"{provider} {names[0]}` reads it.",
        {"datasets": names, "job": failed[0].job},
        provider,
    )


def _window(facts: ProviderFacts, resource: str | None) -> float:
    """Return how long ago a failed job still counts: not once a streak of good calls came.

    Good answers to other things say nothing about a dataset.
    """
    of_it = [each for each in facts.recent if each.part == resource]
    calls = since_recovery(of_it) if resource else newest(facts)
    return calls[-1].seconds_ago if calls else float("inf")


def keys_ending(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield the keys that have expired or soon will."""
    for key in facts.keys:
        left = key.expires_in_seconds
        if left is None or left > facts.warn_before_seconds:
            continue
        is_over = left <= 0
        is_only = len(facts.keys) == 1
        when = f"expired {duration(-left)} ago" if is_over else f"expires in {duration(left)}"
        if key.rotation_failure:
            when += f", and its last rotation failed: {key.rotation_failure.rstrip('.')}"
        yield Finding(
            Trouble.KEY_EXPIRED if is_over else Trouble.KEY_EXPIRES,
            Party("key", _name(key)),
            Severity.HARMS if is_over and is_only else Severity.WARNS,
            Certainty.CERTAIN,
            f"the {_label(key)} of {facts.name} {when}",
            f"`sisgate keys stage {facts.name}` replaces it by hand; with a key source, see "
            "`sisgate audit tail` why no rotation came.",
            {"key": key.id, "slot": key.slot, "expires_in_seconds": round(left)},
            facts.name,
        )


def certificates_ending(facts: ProviderFacts, now: datetime) -> Iterator[Finding]:
    """Yield the certificates of a provider that end soon."""
    for each in facts.certificates:
        host = each.place.removesuffix(":443")
        # A date, because alerts keep what is said here.
        yield Finding(
            Trouble.CERTIFICATE_EXPIRES,
            Party("provider", facts.name),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"the TLS certificate of {host}, of {facts.name}, expires at "
            f"{local_time(each.ends_at)}: from then on no call can be made",
            f"Ask the operator of {facts.name} to renew it. It was last seen at "
            f"{local_time(each.seen_at)}; a renewed one is seen with the next connection.",
            {"host": host, "expires_in_seconds": round((each.ends_at - now).total_seconds())},
            facts.name,
        )


def _name(key: KeyStanding | None) -> str | None:
    return f"{key.id[:8]} ({key.slot})" if key is not None else None


def _label(key: KeyStanding | None) -> str:
    return f"{key.slot} key {key.id[:8]}" if key is not None else "key"


def expired(keys: Sequence[KeyStanding]) -> bool:
    """Return whether every key has expired."""
    return bool(keys) and all(
        each.expires_in_seconds is not None and each.expires_in_seconds <= 0 for each in keys
    )
