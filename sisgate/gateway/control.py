"""Changing the limits of a provider and pausing it while the fleet runs."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sisgate.access.policy import Action
from sisgate.admission.forecast import Outlook
from sisgate.admission.spec import LimitSpec
from sisgate.admission.state import LimiterState
from sisgate.audit import log as audit
from sisgate.domain.rates import Rate
from sisgate.domain.validation import aware
from sisgate.errors import UsageError
from sisgate.gateway.applied_controls import apply_control
from sisgate.gateway.core import Core
from sisgate.ledger import call_queue, controls
from sisgate.ledger.schema import Control
from sisgate.settings import ProviderConfig


class ProviderControl:
    """Limits and pauses of one provider. Each change is stored, audited and applies to the fleet.

    A change is written to the ledger, then to Redis. If Redis cannot be reached, `holds_now` is
    False, and the change takes effect once the reconciler has written it to Redis. Methods raise
    `AccessDenied` and `DatabaseUnavailable`, and those that only read `BrokerUnavailable`.
    """

    def __init__(self, core: Core, config: ProviderConfig) -> None:
        self._core = core
        self._config = config
        self._spec = core.context.limits(config)
        self.holds_now = True
        """Whether Redis, and so the fleet, has the last change made here."""

    @property
    def limits(self) -> LimitSpec:
        """The configured limits."""
        return self._spec

    def state(self) -> LimiterState:
        """Return what the limiter knows now."""
        self._core.access.require_any(Action.LOOK, self._config.name)
        return self._core.limiter.state(self._config.name, self._spec)

    def outlook(self, latency_seconds: float) -> Outlook | None:
        """Return what the next grants depend on.

        None while the limiter is being rebuilt, and during a pause without an end.
        """
        if self._spec.off:
            return Outlook((), (), 1.0, 1, 1.0, latency_seconds=latency_seconds)
        state = self.state()
        now = self._core.clock.now()
        if not state.known or state.paused_until == datetime.max.replace(tzinfo=UTC):
            return None
        paused = (state.paused_until - now).total_seconds() if state.paused_until else 0.0
        rates = [window.rate for window in state.windows]
        slowest = min((rate.per_second for rate in rates), default=1.0)
        return Outlook(
            windows=rates,
            ended_at=self._core.limiter.ended_at(self._config.name, latency_seconds),
            tokens=state.tokens,
            burst=max(1, state.burst),
            pace=slowest * state.factor,
            held_seconds=max(0.0, state.blocked_seconds, paused),
            latency_seconds=latency_seconds,
            min_interval_seconds=self._spec.min_interval_seconds,
        )

    def set_limits(
        self, limits: str | Sequence[str] | None, *, actor: str, reason: str | None = None
    ) -> bool:
        """Set the limits, `"500/h"` or several; None restores the configured ones.

        Returns whether anything changed. Raises `UsageError` for a malformed rate, and for a
        provider whose configured limit is off.
        """
        actor = self._may_change(actor)
        windows = _parse(limits)
        if self._config.limit == "off":
            raise UsageError(
                f"The limit of {self._config.name} is off in the configuration, so its calls are "
                "not counted. Configure a limit first; then you can change it at run time."
            )
        limiter, name, now = self._core.limiter, self._config.name, self._core.clock.now()
        with self._core.database.write() as session:
            control = controls.lock(session, name, now)
            before = control.windows
            changed = before != controls.stored(windows)
            if changed:
                control.windows = controls.stored(windows)
                controls.note_setter(control, "limits", actor, now, reason)
                audit.record(
                    session, now, actor=actor, action="limits:provider:set", subject=name,
                    reason=reason, before=before, after=control.windows,
                )  # fmt: skip
            call_queue.make_due(session, [name], now)
        # Even if nothing changed: Redis may lack it.
        self.holds_now = apply_control(
            self._core, name, lambda control: limiter.set_limits(name, controls.windows_of(control))
        )
        return changed

    def pause(
        self, until: datetime | None = None, *, actor: str, reason: str | None = None
    ) -> None:
        """Stop calls until `until` (aware), or until `resume` if None. Work waits.

        Raises `UsageError` for a naive time or one in the past.
        """
        actor = self._may_change(actor)
        until = aware("until", until)
        if until is not None and until <= self._core.clock.now():
            raise UsageError(f"The end of the pause, {until.isoformat()}, has already passed.")
        self._set_pause(paused=True, until=until, actor=actor, reason=reason)
        self._write_pause()

    def resume(self, *, actor: str, reason: str | None = None) -> bool:
        """Resume calls; return whether the provider was paused."""
        actor = self._may_change(actor)
        was_paused = self._set_pause(paused=False, until=None, actor=actor, reason=reason)
        # Even if it was not paused: Redis may lack an earlier `resume`.
        self._write_pause()
        return was_paused

    def _write_pause(self) -> None:
        limiter, name = self._core.limiter, self._config.name

        def write(control: Control) -> None:
            if control.paused:
                limiter.pause(name, control.paused_until)
            else:
                limiter.resume(name)

        self.holds_now = apply_control(self._core, name, write)

    def _may_change(self, actor: str) -> str:
        """Return the actor for the audit log: the token's owner if there is one."""
        principal = self._core.access.require(Action.CONTROL, self._config.name)
        return principal.token_actor or actor

    def _set_pause(
        self, *, paused: bool, until: datetime | None, actor: str, reason: str | None
    ) -> bool:
        """Store and audit the change; return whether it was paused before."""
        name, now = self._config.name, self._core.clock.now()
        with self._core.database.write() as session:
            control = controls.lock(session, name, now)
            was_paused = control.paused
            control.paused, control.paused_until = paused, until
            controls.note_setter(control, "pause", actor, now, reason)
            if not paused:
                call_queue.make_due(session, [name], now)
            audit.record(
                session, now, actor=actor, subject=name, reason=reason,
                action=f"limits:provider:{'pause' if paused else 'resume'}",
                until=until.isoformat() if until else None,
            )  # fmt: skip
        return was_paused


def _parse(limits: str | Sequence[str] | None) -> tuple[Rate, ...] | None:
    if limits is None:
        return None
    texts = [limits] if isinstance(limits, str) else list(limits)
    try:
        windows = tuple(Rate.parse(text) for text in texts)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not windows:
        raise UsageError("Give at least one limit, such as 500/h.")
    return windows
