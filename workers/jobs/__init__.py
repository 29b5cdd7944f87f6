"""Jobs before their first call: what other Celery apps ask for by name, and planning."""
