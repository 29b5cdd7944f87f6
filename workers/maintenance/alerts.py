"""Alerts, as a duty of one worker: rules are judged once a slot, and messages are sent."""

from __future__ import annotations

from workers.runtime import Runtime


def watch(runtime: Runtime) -> None:
    """Judge the rules if a slot has begun since the last time, and send what is due."""
    every = runtime.configuration.current().alerts.every
    slot = int(runtime.clock.now().timestamp() // every.total_seconds())
    if slot != runtime.alerts_slot:
        runtime.alerts_slot = slot
        runtime.gateway.alerts.evaluate()
    runtime.alert_deliveries.start()
