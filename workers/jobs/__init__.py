"""Jobs before their first call: the tasks of other Celery apps, and planning."""
