"""What is to be done next about the keys of a slot: a pure decision, one step at a time.

A step is carried out in one transaction that holds the slot, after the decision was made again
under the lock. So a step can be repeated after a crash anywhere, and two beats do it once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from sisgate.domain.states import KeyState

WARN_EVERY = timedelta(days=1)
LONGEST_BACKOFF = timedelta(hours=1)


class Probe(Enum):
    """The outcome of the call that tries a key.

    `refused`: the provider does not accept the key. `failed`: it accepts the key, but answered the
    call with another 4xx. `unclear`: the call was not made, or the provider failed.
    """

    NONE = "none"
    UNDER_WAY = "under way"
    PASSED = "passed"
    REFUSED = "refused"
    FAILED = "failed"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Policy:
    """How the keys of a provider are rotated; without an interval, only on request.

    `tries` is how many probes may be refused before a key is given up, `check_every` the time from
    the first to the second, doubled from one to the next up to an hour. `retry_after` is the time
    from a rotation that brought no key to the next.
    """

    interval: timedelta | None = None
    overlap: timedelta = timedelta(days=1)
    warn_before: timedelta = timedelta(days=14)
    has_source: bool = False
    check_every: timedelta = timedelta(minutes=1)
    retry_after: timedelta = timedelta(hours=1)
    tries: int = 3

    def backoff(self, failures: int) -> timedelta:
        """Return the delay from the n-th failure to the next probe.

        >>> [Policy().backoff(n).total_seconds() for n in (1, 2, 3, 50)]
        [60.0, 120.0, 240.0, 3600.0]
        """
        doubled = self.check_every * float(2 ** min(max(failures, 1) - 1, 20))
        return min(doubled, max(LONGEST_BACKOFF, self.check_every))


@dataclass(frozen=True)
class KeyView:
    """What the decision depends on of a key."""

    id: str
    state: KeyState
    activated_at: datetime | None = None
    expires_at: datetime | None = None
    draining_until: datetime | None = None
    suspect: bool = False
    ordered: bool = False
    probe: Probe = Probe.NONE
    probes_failed: int = 0
    next_probe_at: datetime | None = None
    warned_at: datetime | None = None


@dataclass(frozen=True)
class SlotView:
    """What the decision depends on of a slot. `others_good`: another slot has a good key."""

    requested: bool = False
    is_ordering: bool = False
    leased_until: datetime | None = None
    not_before: datetime | None = None
    others_good: bool = False


Act = Literal[
    "order", "probe", "promote", "fail", "give up", "reinstate", "retire", "check", "clear",
    "revoke", "later", "warn",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step, about one key or, where `key` is None, about the slot.

    For `fail` and `later`, `after` is when to try again and `failures` how many there are then.

    ==========  ===================================================================================
    order       ask the source for a new key, under a lease
    probe       try a staged key: it becomes the canary, and a request with it is accepted
    promote     the canary has passed: it becomes active, the active one drains
    fail        the canary has failed: it is staged again, to be tried later
    give up     it has failed too often: it is revoked, and the rotation has ended without a key
    reinstate   there is no active key any more: the draining one becomes active again
    retire      the overlap is over: the secret of the draining one is destroyed
    check       try a suspect key: a request with it is accepted
    clear       the check has passed: the key is good
    revoke      the provider has refused a suspect key too often, and another one is good
    later       the check has failed, or was inconclusive: check again later
    warn        the key expires soon, or its rotation is due and nobody brings a new one
    ==========  ===================================================================================
    """

    act: Act
    key: str | None = None
    reason: str = ""
    after: timedelta = timedelta(0)
    failures: int = 0


def next_step(
    slot: SlotView, keys: Sequence[KeyView], policy: Policy, now: datetime
) -> Step | None:
    """Return what is to be done now about a slot, or None for nothing.

    Whatever it returns, a slot that has an active key still has one afterwards, except that a
    suspect one is revoked while another key is good.
    """
    active = next((key for key in keys if key.state is KeyState.ACTIVE), None)
    draining = [key for key in keys if key.state is KeyState.DRAINING]
    trying = [key for key in keys if key.state is KeyState.CANARY]
    staged = [key for key in keys if key.state is KeyState.STAGED]
    if active is None and draining:
        newest = max(draining, key=lambda key: (not key.suspect, key.activated_at or now, key.id))
        return Step("reinstate", newest.id, "there is no active key in its slot any more")
    for key in trying:
        if (step := _judge_canary(key, policy)) is not None:
            return step
    for key in draining:
        is_over = key.draining_until is None or key.draining_until <= now
        # While the provider refuses the active key, the one before it is what there is.
        is_needed = active is not None and active.suspect and not key.suspect
        if is_over and not is_needed:
            return Step("retire", key.id, "its overlap is over")
    in_use = [key for key in (active, *draining) if key is not None]
    for key in in_use:
        others = slot.others_good or any(o.id != key.id and not o.suspect for o in in_use)
        if key.suspect and (step := _check(key, policy, now, others=others)) is not None:
            return step
    due = _due(slot, active, policy, now)
    if not trying and (step := _bring(slot, active, staged, due, policy, now)) is not None:
        return step
    if active is None:
        return None
    stuck = bool(due) and not (staged or trying or slot.is_ordering or policy.has_source)
    return _warning(active, stuck, policy, now)


def _judge_canary(key: KeyView, policy: Policy) -> Step | None:
    if key.probe is Probe.UNDER_WAY:
        return None
    if key.probe is Probe.PASSED:
        return Step("promote", key.id, "its canary has passed")
    if key.probe in {Probe.REFUSED, Probe.FAILED}:
        failures = key.probes_failed + 1
        if failures >= policy.tries:
            return Step("give up", key.id, f"its canary has failed {failures} times")
        return Step("fail", key.id, "its canary has failed", policy.backoff(failures), failures)
    # The provider may be down. That is waited for, and does not count as a failure.
    return Step("fail", key.id, "its canary told nothing", policy.check_every, key.probes_failed)


def _check(key: KeyView, policy: Policy, now: datetime, *, others: bool) -> Step | None:
    failures = key.probes_failed + 1
    match key.probe:
        case Probe.UNDER_WAY:
            return None
        case Probe.PASSED | Probe.FAILED:
            return Step("clear", key.id, "a call with it has succeeded")
        case Probe.REFUSED if failures >= policy.tries and others:
            return Step("revoke", key.id, f"the provider has refused it {failures} times")
        case Probe.REFUSED:
            reason = "the provider refuses it"
            return Step("later", key.id, reason, policy.backoff(failures), failures)
        case Probe.UNCLEAR:
            return Step("later", key.id, "", policy.check_every, key.probes_failed)
        case Probe.NONE:
            is_time = key.next_probe_at is None or key.next_probe_at <= now
            return Step("check", key.id) if is_time else None


def _bring(
    slot: SlotView,
    active: KeyView | None,
    staged: Iterable[KeyView],
    due: str,
    policy: Policy,
    now: datetime,
) -> Step | None:
    """Return the step that gets a new key: the canary of a staged one, or an order."""
    waiting = list(staged)
    for key in waiting:
        is_time = key.next_probe_at is None or key.next_probe_at <= now
        if (key.ordered or due or active is None) and is_time:
            return Step("probe", key.id, due or "it is to become active")
    if waiting or (slot.leased_until is not None and slot.leased_until > now):
        return None
    may_begin = slot.not_before is None or slot.not_before <= now
    if slot.is_ordering:
        return Step("order", None, "an order is open") if may_begin else None
    if due and policy.has_source and (may_begin or slot.requested):
        return Step("order", None, due)
    return None


def _due(slot: SlotView, active: KeyView | None, policy: Policy, now: datetime) -> str:
    """Return why a rotation is due, or an empty text."""
    if slot.requested:
        return "it was requested"
    if active is None:
        return ""
    if active.expires_at is not None and active.expires_at - policy.warn_before <= now:
        return f"it expires at {active.expires_at:%Y-%m-%d %H:%M} UTC"
    if policy.interval is None or active.activated_at is None:
        return ""
    return "its interval is over" if active.activated_at + policy.interval <= now else ""


def _warning(active: KeyView, stuck: bool, policy: Policy, now: datetime) -> Step | None:
    if active.warned_at is not None and now - active.warned_at < WARN_EVERY:
        return None
    if active.expires_at is not None and active.expires_at - policy.warn_before <= now:
        gone = active.expires_at <= now
        what = "has expired" if gone else f"expires at {active.expires_at:%Y-%m-%d %H:%M} UTC"
        return Step("warn", active.id, f"it {what}")
    return (
        Step("warn", active.id, "its rotation is due, and no new key is staged") if stuck else None
    )
