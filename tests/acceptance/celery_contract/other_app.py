"""An app that knows Celery and nothing of sisgate. Run as a program.

`python other_app.py REDIS_URL ORDERS [ASKED]`: ORDERS is JSON, a list of arguments of `send_task`.
Prints the task ids; with ASKED the results instead, one JSON text a line, awaited by `rpc://`.
"""

import json
import sys

from celery import Celery

WAIT_SECONDS = 60


def main(redis_url: str, orders: str, asked: str = "") -> None:
    """Send the orders."""
    app = Celery("other", broker=redis_url, set_as_current=False)
    app.conf.broker_transport_options = {"priority_steps": [0, 3, 6, 9]}
    if asked:
        app.conf.result_backend = "rpc://"
    else:
        app.conf.task_ignore_result = True
    for order in json.loads(orders):
        order.setdefault("name", "sisgate.sync")
        sent = app.send_task(queue="sisgate", **order)
        print(json.dumps(sent.get(timeout=WAIT_SECONDS)) if asked else sent.id)


if __name__ == "__main__":
    main(*sys.argv[1:])
