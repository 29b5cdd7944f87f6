"""An app that knows Celery, and whose user of Redis may only push. `python pushing_app.py URL`."""

from __future__ import annotations

import sys

from celery import Celery
from kombu.entity import Exchange, Queue

sisgate = Celery(broker=sys.argv[1], set_as_current=False)
# As docs/celery-contract.md has it.
planner = Queue("sisgate", Exchange(""), routing_key="sisgate", no_declare=True)
sisgate.conf.task_queues = [planner]

for step in (0, 3, 6, 9):
    arguments = {"provider": "skyward", "resource": "orgs"}
    task = sisgate.send_task(
        "sisgate.sync", kwargs=arguments, queue="sisgate", priority=step, ignore_result=True
    )
    print(task.id)
