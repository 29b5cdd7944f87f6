"""`celery -A benchmarks.plain_calls`: what sisgate is compared with, a task of plain Celery.

It makes one GET with requests and commits one row of what came back. For workers.
"""

import os
import threading
from typing import Any

import requests
from celery import Celery
from kombu.entity import Exchange, Queue
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url

PLAIN_QUEUE, TASK = "plain", "plain.call"
TABLE = "CREATE TABLE plain_answers (id integer, status integer, body text)"
INSERT = "INSERT INTO plain_answers VALUES (%s, %s, %s)"

celery = Celery("plain", broker=os.environ.get("SISGATE_BROKER_URL"), set_as_current=False)
celery.conf.update(
    task_queues=[Queue(PLAIN_QUEUE, Exchange(PLAIN_QUEUE), routing_key=PLAIN_QUEUE)],
    task_default_queue=PLAIN_QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
)
_connections = threading.local()


def _connection() -> Any:
    """Return the driver's own connection of this thread. The pool forks before the first use."""
    found = getattr(_connections, "own", None)
    if found is None:
        url = make_url(os.environ["SISGATE_DATABASE_URL"])
        found = _connections.own = create_engine(url).raw_connection()
        if url.get_backend_name() == "sqlite":
            found.execute("PRAGMA busy_timeout=30000")
            found.execute("PRAGMA synchronous=FULL")
    return found


@celery.task(name=TASK, lazy=False)
def call(number: int) -> None:
    answer = requests.get(f"{os.environ['BENCH_URL']}/{number}", timeout=30)
    connection = _connection()
    mark = "%s" if "postgresql" in os.environ["SISGATE_DATABASE_URL"] else "?"
    cursor = connection.cursor()
    cursor.execute(INSERT.replace("%s", mark), (number, answer.status_code, answer.text))
    connection.commit()


def make_table(connection: Connection) -> None:
    """Make the table that the tasks write to."""
    connection.execute(text(TABLE))
