"""The Celery app of the fleet: `celery -A workers worker -Q powerschool`, `beat`, `flower`."""

import gc

from sisgate.start_up import gc_frozen_imports

with gc_frozen_imports():
    from workers.app import celery

# A page of a sync is some 30,000 objects, none of which is garbage before it has been written.
gc.set_threshold(50_000, 10, 10)

__all__ = ["celery"]
