"""The Celery app of the fleet: `celery -A workers worker -Q powerschool`, `beat`, `flower`."""

from workers.app import celery

__all__ = ["celery"]
