"""The configuration of alerts, `[alerts]`: rules and channels."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sisgate.domain.alert_states import AlertSeverity
from sisgate.settings.fields import Duration, Frozen
from sisgate.settings.provider import NAME
from sisgate.settings.selector import ProviderSelector

AlertMetric = Literal[
    "waiting", "oldest_seconds", "oldest_urgent_seconds", "oldest_normal_seconds",
    "failed_share", "median_seconds", "quota_left_share", "key_days",
]  # fmt: skip
"""What a threshold can be set for, of each provider."""


class AlertChannel(Frozen):
    """Where messages go, `[alerts.channels.NAME]`.

    Its URL, in apprise's form, is a secret: it is in the environment variable `url_env` or the file
    `url_file` of the workers. Alerts below `least` are not sent.
    """

    url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    url_file: Path | None = None
    least: AlertSeverity = AlertSeverity.WARNING

    @model_validator(mode="after")
    def _has_one_reference(self) -> AlertChannel:
        if (self.url_env is None) == (self.url_file is None):
            raise ValueError(
                "name the environment variable that has the channel's URL (url_env), or the file "
                "(url_file); the URL itself is a secret and does not belong here"
            )
        return self


class AlertRule(Frozen):
    """What fires, `[alerts.rules.NAME]`. It has exactly one condition.

    `causes` fires for a finding of the verdict; `metric` for a value `above` or `below` a number;
    `silent_for` for a provider that was called and has given no good answer for so long;
    `missed_for` for datasets that were not read for so long after their schedule said;
    `burn_rate` for an error budget that is spent so many times too fast, lately and for longer;
    `errors` for error patterns; `audit` for
    an audit log that was found changed or cannot be kept. It fires once the condition has held
    for `after`. None as `severity` takes that of the finding.
    """

    causes: tuple[str, ...] = ()
    metric: AlertMetric | None = None
    above: float | None = None
    below: float | None = None
    silent_for: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    missed_for: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    burn_rate: Annotated[float, Field(gt=0)] | None = None
    errors: Literal["new", "spike"] | None = None
    audit: bool = False
    where: ProviderSelector = ProviderSelector()
    after: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(0)
    severity: AlertSeverity | None = None
    channels: tuple[str, ...] | None = None
    repeat: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _has_one_condition(self) -> AlertRule:
        conditions = (
            bool(self.causes), self.metric is not None, self.silent_for is not None,
            self.missed_for is not None, self.burn_rate is not None, self.errors is not None,
            self.audit,
        )  # fmt: skip
        if self.enabled and sum(conditions) != 1:
            raise ValueError(
                "a rule has one condition: causes, metric, silent_for, missed_for, burn_rate, "
                "errors or audit"
            )
        if self.metric is not None and (self.above is None) == (self.below is None):
            raise ValueError("a metric is compared with one number: above or below")
        return self


RuleName = Annotated[str, Field(pattern=NAME)]


class AlertsConfig(Frozen):
    """Alerts, `[alerts]`. A rule of the name of a default one replaces it."""

    every: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = (
        timedelta(seconds=15)
    )
    defaults: bool = True
    flaps_held: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(minutes=5)
    channels: dict[RuleName, AlertChannel] = Field(default_factory=dict)
    rules: dict[RuleName, AlertRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _channels_exist(self) -> AlertsConfig:
        for name, rule in self.rules.items():
            if unknown := set(rule.channels or ()) - set(self.channels):
                known = ", ".join(sorted(self.channels)) or "none"
                raise ValueError(
                    f"rule {name}: {', '.join(sorted(unknown))} is not among the channels: {known}"
                )
        return self

    @property
    def in_force(self) -> dict[str, AlertRule]:
        """The rules that are evaluated, by name."""
        rules = {**(DEFAULT_RULES if self.defaults else {}), **self.rules}
        return {name: rule for name, rule in rules.items() if rule.enabled}

    def audience(self, rule: AlertRule, severity: AlertSeverity) -> list[str]:
        """Return the channels that an alert of a rule is for."""
        return [
            name
            for name, channel in self.channels.items()
            if severity.rank >= channel.least.rank
            and (rule.channels is None or name in rule.channels)
        ]


def _rule(*causes: str, **more: object) -> AlertRule:
    return AlertRule.model_validate({"causes": causes, **more})


DEFAULT_RULES = {
    "provider": _rule(
        "provider_down", "provider_unreachable", "provider_slow", "provider_throttles",
        "tokens_fail", "answers_invalid", "provider_misconfigured", "provider_moved", "host_down",
    ),
    "network": _rule("network_down", severity="critical"),
    "keys": _rule(
        "key_refused", "key_expired", "key_missing", "master_key_missing"
    ),
    "key-expiry": _rule("key_expires", severity="warning"),
    "certificates": _rule("certificate_expires", severity="warning"),
    "set-up": _rule("not_set_up", severity="info"),
    "workers": _rule(
        "worker_missing", "workers_busy", "slots_full", "calls_lost", "worker_refused",
        "reconcile_overdue", "limiter_rebuilds", "provider_missing", after="15s",
    ),
    "periodic": _rule("beat_missing", "planner_missing", after="30s", severity="warning"),
    "redis": _rule("redis_unreachable", "redis_refuses_writes", severity="critical"),
    "redis-slow": _rule("redis_slow", after="1m"),
    "ledger": _rule(
        "ledger_unreachable", "ledger_unusable", "schema_behind", severity="critical"
    ),
    "ledger-slow": _rule("ledger_slow", after="1m"),
    "disk": _rule("disk_low", after="1m", severity="warning"),
    "quota": _rule("quota_spent", "app_flood", "limit_by_hand", after="5m", severity="warning"),
    "held-sync": _rule("sync_held", severity="warning"),
    "datasets": _rule("dataset_fails", severity="warning"),
    "queues": _rule("queue_full", "messages_quarantined", after="1m", severity="warning"),
    "unsettled": _rule("outcome_unknown", after="5m", severity="warning"),
    "receivers": _rule("webhook_fails", "inbound_refused", after="5m", severity="warning"),
    "fleet": _rule(
        "clocks_differ", "versions_differ", "configuration_lags", "configuration_not_understood",
        "configuration_files_differ", "configuration_unversioned", "access_differs",
        after="5m", severity="warning",
    ),
    "oldest-urgent": AlertRule(
        metric="oldest_urgent_seconds", above=300.0, severity=AlertSeverity.WARNING
    ),
    # As long as data may be old on a school day. What waits for its own job does not count.
    # After a hold, which counts in their age, the queue has time to drain.
    "oldest-normal": AlertRule(
        metric="oldest_normal_seconds", above=4 * 3600.0, after=timedelta(minutes=30),
        severity=AlertSeverity.WARNING,
    ),
    "missed-sync": AlertRule(
        missed_for=timedelta(minutes=15), severity=AlertSeverity.WARNING
    ),
    # After an outage has ended, the last five minutes still burn.
    "budget": AlertRule(
        burn_rate=14.0, after=timedelta(minutes=6), severity=AlertSeverity.WARNING
    ),
    "audit": AlertRule(audit=True, severity=AlertSeverity.CRITICAL),
    "errors-new": AlertRule(errors="new", severity=AlertSeverity.INFO),
    "errors-spike": AlertRule(errors="spike", severity=AlertSeverity.WARNING),
}  # fmt: skip
"""The rules that are on from the start."""
