"""A worker that has lost its connection begins with a consumer of the new one."""

from types import SimpleNamespace
from typing import Any

from kombu.connection import Connection
from kombu.messaging import Consumer

from workers.admission.consumer import AdmittingConsumer


def test_a_consumer_of_a_lost_connection_gets_no_more_queues() -> None:
    """It has no transport any more; one of this connection goes on, as after a reload."""
    seen: list[Any] = []
    made: Any = AdmittingConsumer.__new__(AdmittingConsumer)
    made.app, made.strategies = SimpleNamespace(tasks={}, loader=None), {}
    made.following = SimpleNamespace(follow=lambda: seen.append(made.task_consumer))
    with Connection("memory://") as lost, Connection("memory://") as present:
        made.connection = present
        made.task_consumer = Consumer(lost.channel())
        lost.close()
        made.update_strategies()
        made.task_consumer = living = Consumer(present.channel())
        made.update_strategies()
    assert seen == [None, living]
