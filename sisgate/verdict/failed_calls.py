"""The calls of a provider that failed, and where each broke off. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sisgate.breakers.spec import BreakerView
from sisgate.domain.links import Link
from sisgate.verdict.facts import MetError, ProviderFacts, RecentCall


def current_errors(facts: ProviderFacts) -> Sequence[MetError]:
    """Return the errors of calls that wait, and of jobs that failed since the last good answer."""
    good = next((each.seconds_ago for each in facts.recent if each.succeeded), None)
    return [
        each
        for each in facts.met
        if each.seconds_ago is None or good is None or each.seconds_ago <= good
    ]


@dataclass(frozen=True, slots=True)
class FailedCalls:
    """The newest calls of a provider or a part of it, and where those that failed broke off.

    `shut` are the open breakers, of `part` it is None for all. `links` counts the calls that broke
    off before the provider can have answered.
    """

    calls: Sequence[RecentCall]
    links: Counter[Link]
    errors: Sequence[MetError]
    shut: Sequence[BreakerView] = ()
    part: str | None = None

    @classmethod
    def of(
        cls,
        facts: ProviderFacts,
        calls: Sequence[RecentCall],
        shut: Sequence[BreakerView] = (),
        part: str | None = None,
    ) -> FailedCalls:
        """Return them with the errors that the provider, or the way to it, is to blame for.

        Where no call was tried lately, those errors tell; where none failed, those that leave no
        try: the token endpoint asked to wait.
        """
        errors = [each for each in current_errors(facts) if _is_theirs(each)]
        links: Counter[Link] = Counter(each.link for each in calls if each.link is not Link.ANSWER)
        if part is None and not any(each.failed for each in calls):
            untried = [each for each in errors if not calls or each.code == "throttled"]
            links.update(each.link for each in untried if each.link is not Link.ANSWER)
        return cls(calls, links, errors, shut, part)

    @property
    def answered(self) -> int:
        """How many failed by an answer."""
        return sum(1 for each in self.calls if each.failed and each.status is not None)

    @property
    def silent(self) -> int:
        """How many got no answer."""
        return sum(1 for e in self.calls if e.status is None and e.link is Link.ANSWER)

    @property
    def broke_off(self) -> bool:
        """Whether most of those without a whole answer had begun to get one."""
        unanswered = [each for each in self.errors if each.status is None]
        return sum(each.broke_off for each in unanswered) > len(unanswered) / 2

    @property
    def last_failed(self) -> RecentCall | None:
        """The newest that failed, if what failed has answered another since."""
        shut = {each.endpoint for each in self.shut}
        newest = next((n for n, each in enumerate(self.calls) if each.failed), 0)
        since = (each for each in self.calls[:newest] if not shut or each.endpoint in shut)
        return self.calls[newest] if any(each.status is not None for each in since) else None

    @property
    def count(self) -> int:
        """How many failed."""
        return self.answered + self.silent + self.links.total()

    @property
    def among(self) -> int:
        """How many calls there were."""
        sent = sum(1 for each in self.calls if each.link is Link.ANSWER)
        return sent + self.links.total()

    def message_at(self, link: Link) -> str:
        """Return what the newest call said that broke off at a link."""
        found = next((each.message for each in self.errors if each.link is link), "")
        return found.rstrip(".")


def _is_theirs(error: MetError) -> bool:
    """Return whether the provider, or the way to it, failed a call."""
    return error.code == "provider_unavailable" or (
        error.code == "throttled" and error.link is Link.TOKEN
    )
