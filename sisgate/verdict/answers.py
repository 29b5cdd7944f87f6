"""Answers that cannot be used: not in the dialect, or pages for people. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from sisgate.domain.figures import counted
from sisgate.liveness.obstacles import listed
from sisgate.verdict.facts import MetError, ProviderFacts, RecentCall
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.parts import FEWEST, newest, since_recovery

NOT_JSON = re.compile(r"that is not JSON \(([a-z/+ -]+), ")
"""How the error of an answer says what it was; see `HttpResponse.not_json`."""

SURELY_PAGES = 6
"""After so many pages in a row, no single app asks for what is none of the API's."""


def unusable_answers(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that answers of a provider cannot be used."""
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


def named(message: str) -> str:
    """Return the error of an unusable answer, in other words where it was a page for people."""
    found = NOT_JSON.search(message)
    if found is None or "html" not in found[1]:
        return message
    return "an HTML page came in place of data, such as a log-in or maintenance page"


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
        Certainty.LIKELY if len(pages) >= SURELY_PAGES or len(apps) > 1 else Certainty.POSSIBLE,
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


def _window(facts: ProviderFacts, resource: str | None) -> float:
    """Return how long ago a failed job still counts: not once a streak of good calls came.

    Good answers to other things say nothing about a dataset.
    """
    of_it = [each for each in facts.recent if each.part == resource]
    calls = since_recovery(of_it) if resource else newest(facts)
    return calls[-1].seconds_ago if calls else float("inf")
