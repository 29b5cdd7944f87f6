"""Why a provider or a job is kept waiting, until when, and what a person can do about it."""

from __future__ import annotations

from sisgate.cli.screens import moment
from sisgate.gateway.availability import Hold
from sisgate.gateway.waiting import Wait
from sisgate.liveness.obstacles import sentences


def hold_words(hold: Hold, provider: str) -> str:
    """Return the words that follow "takes no calls:".

    >>> hold_words(Hold("breaker", None, by_hand=True), "lincoln")
    'its breaker is open (held by hand) without an end. `sisgate breaker lincoln auto` ends that.'
    """
    until = f"until {moment(hold.next_probe_at)}" if hold.next_probe_at else "without an end"
    if hold.reason == "paused":
        return f"it is paused {until}. `sisgate resume {provider}` ends that."
    if hold.reason == "blocked":
        return f"it asked us to wait {until}."
    if hold.by_hand:
        ends = f"`sisgate breaker {provider} auto` ends that."
        return f"its breaker is open (held by hand) {until}. {ends}"
    failed = f" The last failure: {hold.failure}" if hold.failure else ""
    return (
        f"its breaker is open {until}; then one call tries whether it is back.{failed} `sisgate "
        f"breaker {provider}` shows how it stands."
    )


def wait_words(wait: Wait, provider: str) -> str:
    """Return the words that follow "waits for": the fleet, a held provider, or the job's turn."""
    if wait.obstacles:
        return f"the fleet. {sentences(wait.obstacles)}"
    if wait.hold is not None:
        return f"{provider}, which takes no calls: {hold_words(wait.hold, provider)}"
    if wait.reason == "quota":
        return f"quota; its next call is expected at {moment(wait.until)}"
    failed = f". The last one failed: {wait.failure}" if wait.failure else ""
    return f"its next try at {moment(wait.until)}{failed}"
