"""An app that knows Celery and nothing of sisgate. Run as a program; prints the task ids.

`python other_app.py REDIS_URL ORDERS`: ORDERS is JSON, a list of arguments of `send_task`.
"""

from __future__ import annotations

import json
import sys

from celery import Celery


def main(redis_url: str, orders: str) -> None:
    """Send the orders."""
    app = Celery("other", broker=redis_url, set_as_current=False)
    app.conf.broker_transport_options = {"priority_steps": [0, 3, 6, 9]}
    app.conf.task_ignore_result = True
    for order in json.loads(orders):
        print(app.send_task("sisgate.sync", queue="sisgate", **order).id)


if __name__ == "__main__":
    main(*sys.argv[1:])
