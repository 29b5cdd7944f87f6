"""The Celery app of the fleet: `celery -A workers worker -Q powerschool`, `beat`, `flower`."""

from sisgate.start_up import gc_frozen_imports

with gc_frozen_imports():
    from workers.app import celery

__all__ = ["celery"]
