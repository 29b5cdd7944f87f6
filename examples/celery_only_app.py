"""From an app that has Celery and not sisgate: enqueue a sync by the task's name."""

import os

from celery import Celery

PRIORITY_STEPS = {"urgent": 0, "high": 3, "normal": 6, "low": 9}

# For publishing only: sisgate's Redis, and no result backend. The app's own tasks and workers
# stay with its own Celery app and its own Redis database.
sisgate = Celery("gradebook-to-sisgate", broker=os.environ.get("SISGATE_BROKER_URL"))
sisgate.conf.update(
    result_backend=None,
    broker_transport_options={
        "priority_steps": list(PRIORITY_STEPS.values()),
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
    },
)


def enqueue_sync(provider: str, resource: str, *, priority: str = "normal") -> str:
    """Enqueue a sync and return the job's id, for `sisgate jobs show`."""
    task = sisgate.send_task(
        "sisgate.sync",
        kwargs={
            "provider": provider,
            "resource": resource,
            "priority": priority,
            "app": "gradebook",
        },
        queue="sisgate",
        priority=PRIORITY_STEPS[priority],
        ignore_result=True,
    )
    return str(task.id)


if __name__ == "__main__":
    print(enqueue_sync("powerschool", "students", priority="high"))
