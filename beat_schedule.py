"""What beat does and when, as data. Every task is idempotent, so a second beat does no harm.

Jobs don't need beat: what keeps them going is done by any worker (`workers/maintenance/duties.py`).
"""

from datetime import timedelta
from typing import Any

from sisgate.domain.priorities import Priority


def _every(task: str, interval: timedelta) -> dict[str, Any]:
    # No `expires`: it is judged by the worker's clock. `PeriodicTask` lets one of each wait.
    options = {"queue": "sisgate", "priority": int(Priority.URGENT)}
    return {"task": task, "schedule": interval, "options": options}


beat_schedule: dict[str, dict[str, Any]] = {
    # Asks for the syncs whose [schedules.NAME] are due.
    "schedules": _every("sisgate.schedules", timedelta(seconds=10)),
    # Asks endpoints for their health path, where [providers.NAME.health] is configured.
    "health": _every("sisgate.health", timedelta(seconds=2)),
    # Counts uses of keys, checks refused keys, replaces keys that are due.
    "rotate": _every("sisgate.rotate", timedelta(seconds=2)),
    # Links new events of the audit log into its chain.
    "audit-seal": _every("sisgate.audit.seal", timedelta(seconds=1)),
    # Signs the head of that chain and keeps it outside the database, also when nothing happened.
    "audit-head": _every("sisgate.audit.head", timedelta(minutes=1)),
    # Verifies the whole log, once a day.
    "audit-verify": _every("sisgate.audit.verify", timedelta(minutes=10)),
    # Counts the calls of each hour that is over, by provider and app.
    "rollups": _every("sisgate.rollups", timedelta(minutes=5)),
    # Deletes what is over, table by table, as [retention] says.
    "retention": _every("sisgate.retention", timedelta(minutes=5)),
    # The same for what takes a look at every record.
    "retention-scans": {
        **_every("sisgate.retention", timedelta(hours=6)),
        "kwargs": {"scans": True},
    },
}
