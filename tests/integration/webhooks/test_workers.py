"""Several workers deliver at once: no message twice, none lost with the worker that sent it."""

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.clock import SystemClock
from sisgate.gateway import WebhookInfo
from sisgate.settings import Settings
from sisgate.webhooks.news import hand_out
from testbed.clock import ManualClock
from testbed.worker import runtime_of
from tests.integration.webhooks.conftest import Deliver, EndJob, MakeHook, Receiver
from tests.integration.webhooks.test_delivery import results
from workers.maintenance.duties import Turns
from workers.runtime import Runtime

MESSAGES, THREADS = 12, 3

# Claims a message and kills itself at the point that it is told, by the time of the machine.
MORTAL = """
import os, signal, sys
from pathlib import Path
from sisgate.clock import SystemClock
from sisgate.settings import load_settings
from sisgate.webhooks import delivery
from workers.runtime import Runtime

def die(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

point, folder, broker, database = sys.argv[1:]
os.environ.update(SISGATE_DATA_DIR=folder, SISGATE_BROKER_URL=broker, SISGATE_DATABASE_URL=database)
runtime = Runtime(load_settings(Path(folder) / "sisgate.toml"), SystemClock())
if point == "claimed":
    delivery.Deliveries.finish = die
else:
    delivery.Deliveries._note = die
runtime.deliveries.deliver_one(runtime.configuration.current().webhooks)
"""


@pytest.fixture
def workers(runtime: Runtime, clock: ManualClock) -> Iterator[list[Runtime]]:
    """Two workers of the same fleet."""
    with ExitStack() as stack:
        yield [stack.enter_context(runtime_of(runtime.settings, clock)) for _ in range(2)]


def ids(receiver: Receiver) -> Counter[str]:
    """How often each event arrived."""
    return Counter(asked.headers["webhook-id"] for asked in receiver.received)


@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
def test_workers_at_once_send_each_message_once(
    make_hook: MakeHook, end_job: EndJob, workers: list[Runtime], receiver: Receiver,
    gateway: Gateway, ordered: bool,
) -> None:  # fmt: skip
    """And those of an ordered webhook one after the other, whoever sends them."""
    hook = make_hook(ordered=ordered)
    jobs = [end_job() for _ in range(MESSAGES)]
    config = workers[0].configuration.current().webhooks

    def work(worker: Runtime) -> None:
        hand_out(worker.database, worker.clock)
        while gateway.webhooks.show(hook.id).waiting:
            worker.deliveries.deliver_one(config)

    threads = [
        threading.Thread(target=work, args=(worker,)) for worker in workers for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(ids(receiver).values()) == {1}
    told = [json.loads(asked.body)["data"]["job"] for asked in receiver.received]
    assert sorted(told) == sorted(jobs)
    if ordered:
        assert told == jobs
    assert {each.state for each in gateway.webhooks.deliveries(hook.id)} == {"delivered"}
    assert results(gateway) == {"delivered": MESSAGES}


@pytest.mark.parametrize("point", ["claimed", "sent"])
def test_a_killed_worker_s_message_arrives_all_the_same(
    make_hook: MakeHook, end_job: EndJob, runtime: Runtime, receiver: Receiver,
    deliver: Deliver, clock: ManualClock, point: str,
) -> None:  # fmt: skip
    """Killed before it sends, or before it notes that it has: after the lease, with the same id."""
    hook = make_hook()
    end_job()
    hand_out(runtime.database, runtime.clock)
    clock.advance((SystemClock().now() - clock.now() + timedelta(seconds=1)).total_seconds())
    killed = _run(point, runtime.settings)
    assert killed == -signal.SIGKILL
    sent = 0 if point == "claimed" else 1
    assert len(receiver.received) == sent
    assert deliver() == 0, "its lease goes on"
    clock.advance(120)
    assert deliver() == 1
    assert list(ids(receiver).values()) == [sent + 1]
    gateway = Gateway.on(runtime)
    (delivery,) = gateway.webhooks.deliveries(hook.id)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    assert results(gateway) == {"delivered": 1}, "nobody knows what came of the other one"


def test_a_worker_s_duties_deliver_with_and_without_redis(
    make_hook: MakeHook, end_job: EndJob, workers: list[Runtime], receiver: Receiver,
    gateway: Gateway, clock: ManualClock, runtime: Runtime,
) -> None:  # fmt: skip
    """In threads beside the pool; beat is not asked."""
    hook = make_hook()
    _delivers(workers[0], gateway, hook, end_job)
    gone = {"broker_url": SecretStr("redis://127.0.0.1:1/0")}
    alone = Runtime(runtime.settings.model_copy(update=gone), clock)
    _delivers(alone, gateway, hook, end_job)
    alone.alert_judge.stop()
    alone.database.dispose()
    assert len(receiver.received) == 2


def _delivers(worker: Runtime, gateway: Gateway, hook: WebhookInfo, end_job: EndJob) -> None:
    end_job()
    turns = Turns(worker, "a worker")
    turns.take()
    worker.webhook_senders.join(20)
    assert {each.state for each in gateway.webhooks.deliveries(hook.id)} == {"delivered"}
    worker.webhook_senders.stop()


def _run(point: str, settings: Settings) -> int:
    """Run the mortal worker to its end."""
    assert settings.broker_url is not None
    assert settings.database_url is not None
    places = [
        str(settings.data_dir), settings.broker_url.get_secret_value(),
        settings.database_url.get_secret_value(),
    ]  # fmt: skip
    command = [sys.executable, "-c", MORTAL, point, *places]
    return subprocess.run(command, check=False, timeout=60).returncode
