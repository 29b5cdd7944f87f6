"""The duty that counts calls into rollups."""

from sisgate.monitoring.counting import count_next
from workers.maintenance import audit
from workers.runtime import Runtime

COUNT_SECONDS = 0.5
"""How long one turn counts: other duties wait meanwhile. The next one continues."""


def count(runtime: Runtime) -> None:
    """Count what was sealed; if nothing was, seal it, so that beat is not needed."""
    ends_at = runtime.clock.monotonic() + COUNT_SECONDS
    if not count_next(runtime.database):
        audit.seal(runtime)
    while count_next(runtime.database) and runtime.clock.monotonic() < ends_at:
        pass
