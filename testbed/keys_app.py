"""The fleet's app, but its beat leaves rotation to the test."""

from workers.app import celery

__all__ = ["celery"]

celery.conf.beat_schedule = {
    name: entry for name, entry in celery.conf.beat_schedule.items() if name != "rotate"
}
