"""An app that knows Celery, and whose user of Redis may only push. `python pushing_app.py URL`."""

import sys

from celery import Celery
from kombu.entity import Exchange, Queue


def main(redis_url: str) -> None:
    """Send a sync at every priority and print the task ids."""
    sisgate = Celery(broker=redis_url, set_as_current=False)
    # As docs/reference/celery-contract.md has it.
    planner = Queue("sisgate", Exchange(""), routing_key="sisgate", no_declare=True)
    sisgate.conf.task_queues = [planner]

    for step in (0, 3, 6, 9):
        arguments = {"provider": "skyward", "resource": "orgs"}
        task = sisgate.send_task(
            "sisgate.sync", kwargs=arguments, queue="sisgate", priority=step, ignore_result=True
        )
        print(task.id)


if __name__ == "__main__":
    main(sys.argv[1])
