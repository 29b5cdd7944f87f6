"""Alerts, as a duty of one worker: rules are judged once a slot, and messages are sent."""

from workers.runtime import Runtime


def watch(runtime: Runtime) -> None:
    """Judge the rules if a slot has begun since the last time, and send what is due."""
    runtime.alert_judge.start()
    runtime.alert_deliveries.start()
