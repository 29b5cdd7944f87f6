"""Whose fault it is that calls of a provider fail: where they break off tells. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sisgate.breakers.spec import BreakerView
from sisgate.domain.figures import duration
from sisgate.domain.links import Link
from sisgate.domain.moments import local_time
from sisgate.domain.network import TlsFault
from sisgate.domain.sentences import inside
from sisgate.errors import JobExpired
from sisgate.routing.endpoints import short_name
from sisgate.verdict.facts import FleetFacts, ProviderFacts
from sisgate.verdict.failed_calls import FailedCalls, current_errors
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.parts import FEWEST, failing_parts, newest, where

PARTLY = 0.2
"""The share of failed calls from which on a provider is failing in part."""

OTHERS = "other_hosts_that_answer"
"""Evidence: how many hosts have answered since that of the provider gives no answer."""

ANSWERS = "answers_since"
"""Evidence: whether the provider has answered since the last call that failed."""

THEIR_CERTIFICATE = frozenset({"expired", "wrong_name", "revoked"})
"""Faults of a certificate that only whoever runs the server can mend."""


def failures(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield that calls fail although breakers are closed: of some parts, or of all."""
    parts = failing_parts(facts)
    for part, calls in parts.items():
        failed = FailedCalls.of(facts, calls, part=part)
        yield outage_of(facts, fleet, failed, Severity.HARMS)
    if parts:
        return
    failed = FailedCalls.of(facts, newest(facts))
    if not failed.count:
        return
    share = failed.count / failed.among
    if share < PARTLY and failed.answered + failed.silent < FEWEST:
        return
    severity = Severity.STOPS if share >= 0.9 else Severity.HARMS
    if share < PARTLY:
        severity = Severity.WARNS
    finding = outage_of(facts, fleet, failed, severity)
    if failed.among < FEWEST:
        finding = _less_certain(finding, Severity.HARMS)
    yield finding


def breaker_outage(
    facts: ProviderFacts, fleet: FleetFacts, shut: Sequence[BreakerView], severity: Severity
) -> Finding:
    """Return that a provider, or some endpoints of it, fails. `shut` are its open breakers."""
    return outage_of(facts, fleet, FailedCalls.of(facts, newest(facts), shut), severity)


@dataclass(frozen=True, slots=True)
class _Explanation:
    """Who is at fault for failed calls, how sure that is, and the words."""

    trouble: Trouble
    party: Party
    certainty: Certainty
    message: str
    remedy: str


def outage_of(
    facts: ProviderFacts, fleet: FleetFacts, failed: FailedCalls, severity: Severity
) -> Finding:
    """Return that a provider, or a part of it, fails."""
    why = _explained(facts, fleet, failed)
    return Finding(
        why.trouble,
        why.party,
        severity,
        why.certainty,
        f"{why.message}{_state_of(facts, failed.shut, fleet.at)}",
        why.remedy,
        _evidence(facts, fleet, failed),
        facts.name,
    )


def _explained(facts: ProviderFacts, fleet: FleetFacts, failed: FailedCalls) -> _Explanation:
    """Follow the chain of a call to where most of them break off."""
    provider, name = Party("provider", facts.name), _name(facts, failed)
    ask = f"Ask the operator of {facts.name}. What waits goes on by itself once it answers."
    reached = failed.answered + failed.silent
    link, broken = max(failed.links.items(), key=lambda each: each[1], default=(Link.ANSWER, 0))
    lately = _lately(fleet, failed)
    way = _on_the_way(facts, failed, name, link, lately, is_most=broken >= reached)
    if way is not None:
        return way
    if failed.answered:
        statuses = Counter(each.status for each in failed.calls if each.failed and each.status)
        ((most, _),) = statuses.most_common(1)
        what = f"{name} fails{where(failed.part)}: it answered {most} to {_share(failed)}"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.CERTAIN, what, ask)
    slow = sum(each.slow for each in failed.shut if each.slow > each.failures)
    if slow and not failed.silent:
        what = (
            f"{name} is so slow that its breaker opened: {slow} calls took "
            f"{duration(facts.slow_seconds)} or more"
        )
        return _Explanation(Trouble.PROVIDER_SLOW, provider, Certainty.CERTAIN, what, ask)
    if _other_endpoints_answer(facts, failed.shut):
        what = f"{name} fails, while its other endpoints answer"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.LIKELY, what, ask)
    if failed.silent > broken and failed.broke_off:
        what = f"{name} fails{where(failed.part)}: its answers broke off to {_share(failed)}"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.CERTAIN, what, ask)
    # A part fails only while others work.
    if failed.silent > broken and (failed.part or fleet.answering(facts.host)):
        what = f"{name} fails{where(failed.part)}: it gave no answer to {_share(failed)}"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.LIKELY, what, ask)
    is_unnamed = link is Link.NAME and broken >= reached
    return _unreachable(facts, fleet, name, lately, is_unnamed=is_unnamed)


def _on_the_way(
    facts: ProviderFacts,
    failed: FailedCalls,
    name: str,
    link: Link,
    lately: str | None,
    *,
    is_most: bool,
) -> _Explanation | None:
    """Return what is wrong with the proxy, the token or the certificate; None for none of them."""
    provider, remedy = Party("provider", facts.name), f"Ask the operator of {facts.name}"
    if link is Link.PROXY and not failed.answered:
        what = f"does not let calls through to {name}: {_told(failed, link)}"
        if lately:
            what = f"did not let calls through to {name}: {lately}"
        return _Explanation(
            Trouble.NETWORK_DOWN,
            Party("fleet"),
            Certainty.CERTAIN,
            f"our own proxy {what}",
            "Check `proxy` of the provider, or HTTPS_PROXY, and the proxy itself.",
        )
    if link is Link.TOKEN and is_most:
        what = f"{_told(failed, link)}, so no call can be made"
        if lately:
            what = f"{name} gave no token for {lately}"
        return _Explanation(
            Trouble.TOKENS_FAIL,
            provider,
            Certainty.CERTAIN,
            what,
            f"{remedy}; `sisgate doctor` tries it.",
        )
    if link is Link.CERTIFICATE and is_most:
        is_theirs = any(each.tls in THEIR_CERTIFICATE for each in failed.errors)
        what = f"could not be reached by {lately}" if lately else "cannot be reached"
        return _Explanation(
            Trouble.PROVIDER_UNREACHABLE,
            provider,
            Certainty.CERTAIN if is_theirs else Certainty.LIKELY,
            f"{name} {what}: {_tls(failed)}",
            f"{remedy}. What waits goes on by itself once it answers."
            if is_theirs
            else "`sisgate doctor` tries to connect, and says what is wrong.",
        )
    return None


def _lately(fleet: FleetFacts, failed: FailedCalls) -> str | None:
    """Return how many calls failed, until when, if one was answered since; None if none was."""
    last = failed.last_failed
    if last is None:
        return None
    when = local_time(fleet.at - timedelta(seconds=last.seconds_ago))
    return f"{_share(failed)}, the last one at {when}"


def _unreachable(
    facts: ProviderFacts, fleet: FleetFacts, name: str, lately: str | None, *, is_unnamed: bool
) -> _Explanation:
    answering = fleet.answering(facts.host)
    # The host of this provider is one of those that give no answer.
    if fleet.silent > 1 and not answering and not lately:
        how = ": no address is found for its host name" if is_unnamed else ""
        return _Explanation(
            Trouble.NETWORK_DOWN,
            Party("fleet"),
            Certainty.LIKELY,
            f"no provider answers, {name} among {fleet.silent} on different hosts{how}",
            "It is most likely our own network: check the workers' way out (DNS, firewall, proxy).",
        )
    others = f", while {answering} other host{'s answer' if answering > 1 else ' answers'}"
    how = f": no address is found for the host name {facts.host}" if is_unnamed else ""
    what = f"{name} cannot be reached{others if answering else ''}{how}"
    if lately:
        what = f"{name} could not be reached by {lately}"
    return _Explanation(
        Trouble.PROVIDER_UNREACHABLE,
        Party("provider", facts.name),
        Certainty.LIKELY if answering else Certainty.POSSIBLE,
        what,
        f"`sisgate doctor` tries to connect. If other hosts can be reached from here, "
        f"{'check the URL, and ' if is_unnamed else ''}ask the operator of {facts.name}; else "
        "check our own network.",
    )


def _other_endpoints_answer(facts: ProviderFacts, shut: Sequence[BreakerView]) -> bool:
    """Return whether endpoints with closed breakers answer: our network is not to blame."""
    if not shut or len(shut) == len(facts.breakers):
        return False
    others = {each.endpoint for each in facts.breakers} - {each.endpoint for each in shut}
    return any(each.succeeded and each.endpoint in others for each in newest(facts))


def _less_certain(finding: Finding, severity: Severity) -> Finding:
    certainty = Certainty.POSSIBLE
    if finding.certainty is Certainty.CERTAIN:
        certainty = Certainty.LIKELY
    return replace(finding, severity=min(severity, finding.severity), certainty=certainty)


def _evidence(facts: ProviderFacts, fleet: FleetFacts, failed: FailedCalls) -> dict[str, object]:
    return {
        **({"part": failed.part} if failed.part else {}),
        "calls": failed.among,
        "failed": failed.count,
        "unanswered": failed.silent,
        "broke_off": {link.value: count for link, count in failed.links.most_common()},
        "last_good_seconds_ago": next(
            (
                round(each.seconds_ago)
                for each in facts.recent
                if each.succeeded and failed.part in {None, each.part}
            ),
            None,
        ),
        "breakers": {short_name(each.endpoint): each.state.value for each in failed.shut},
        OTHERS: fleet.answering(facts.host),
        ANSWERS: failed.last_failed is not None,
        "waiting": facts.waiting,
        "last_failure": next(
            (e.message for e in current_errors(facts) if e.message and e.code != JobExpired.code),
            None,
        ),
    }  # fmt: skip


def _share(failed: FailedCalls) -> str:
    count = sum(1 for each in failed.calls if each.failed)
    calls = len(failed.calls)
    return f"{count} of the last {calls} calls" if calls > 1 else "the last call"


def _told(failed: FailedCalls, link: Link) -> str:
    """Return the message of the newest call that broke off there, as part of a sentence."""
    return inside(failed.message_at(link).removeprefix("The provider could not be reached. "))


def _tls(failed: FailedCalls) -> str:
    name = next((each.tls for each in failed.errors if each.tls), "")
    return TlsFault.__members__.get((name or "").upper(), TlsFault.FAILED).value


def _state_of(facts: ProviderFacts, shut: Sequence[BreakerView], now: datetime) -> str:
    if not shut:
        return ""
    wait = min(each.wait_seconds for each in shut)
    is_all = len(shut) == len(facts.breakers)
    if not is_all:
        return f"; its breaker is {shut[0].state.value}, and calls go to the other endpoints"
    if wait == float("inf"):
        return f"; its breaker is {shut[0].state.value} until somebody releases it"
    # A time, because alerts keep what is said here.
    when = "now" if wait <= 0 else f"at {local_time(now + timedelta(seconds=wait))}"
    return f"; its breaker is {shut[0].state.value}, and one call probes it {when}"


def _name(facts: ProviderFacts, failed: FailedCalls) -> str:
    if failed.shut and len(failed.shut) < len(facts.breakers):
        return f"{', '.join(short_name(each.endpoint) for each in failed.shut)} of {facts.name}"
    return facts.name
