"""The Celery app of the fleet: `celery -A workers worker -Q powerschool`, `beat`, `flower`."""

from sisgate.start_up import loading

with loading():
    from workers.app import celery

__all__ = ["celery"]
