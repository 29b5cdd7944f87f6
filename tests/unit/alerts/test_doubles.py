"""Guesses at one outage are one finding, whatever they guess."""

import pytest

from sisgate.alerts.conditions import without_doubles
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble

UNREACHABLE, NETWORK = Trouble.PROVIDER_UNREACHABLE, Trouble.NETWORK_DOWN


def guess(cause: Trouble, certainty: Certainty = Certainty.POSSIBLE) -> Finding:
    """Return a finding of clark whose message is its cause."""
    return Finding(
        cause, Party("fleet"), Severity.STOPS, certainty, str(cause), "Ask.", provider="clark"
    )


@pytest.mark.parametrize(
    ("causes", "first", "message"),
    [
        ((NETWORK, UNREACHABLE), UNREACHABLE, "network_down, or provider_unreachable"),
        ((UNREACHABLE, NETWORK), UNREACHABLE, "provider_unreachable, or network_down"),
        ((NETWORK, NETWORK), NETWORK, "network_down"),
    ],
)
def test_guesses_are_one_finding(causes: tuple[Trouble, ...], first: Trouble, message: str) -> None:
    """That of the provider, if there is one; other findings stay."""
    other = guess(Trouble.PAUSED)
    found = without_doubles([*map(guess, causes), other])
    assert [(each.cause, each.message) for each in found] == [
        (first, message), (Trouble.PAUSED, "paused"),
    ]  # fmt: skip


def test_what_is_clear_is_no_guess() -> None:
    """A clear finding beside a guess stays as it is."""
    findings = [guess(NETWORK, Certainty.LIKELY), guess(UNREACHABLE)]
    assert without_doubles(findings) == findings
