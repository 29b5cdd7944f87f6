"""Celery apps whose tasks do nothing, one for each way to hold back or to let go. For workers.

`BENCH_WAY` chooses: `admitted` (by permit, as sisgate's workers), `pushed` (plain Celery),
`rate_limit` (Celery's own, which counts per worker), `bucket` (a token bucket in the task, which
retries with a countdown when it has no token).
"""

import os
import time
from typing import Any

import redis
from celery import Celery, Task
from kombu.entity import Exchange, Queue

from sisgate.broker import call_task, celery_app
from sisgate.embedded.redis_conf import broker_url
from sisgate.settings import load_settings
from workers.admission.call_tasks import CallTasks
from workers.runtime import RUNTIME, RuntimeOfProcess

DELAYS, STARTED = "bench:delays", "bench:started"
PLAIN_QUEUE = "plain"
WAYS = ("admitted", "pushed", "rate_limit", "bucket")
RATE = int(os.environ.get("BENCH_RATE", "50"))
WAY = os.environ.get("BENCH_WAY", "admitted")

BUCKET = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1e6
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local passed = now - (tonumber(state[2]) or now)
local tokens = math.min(1, (tonumber(state[1]) or 1) + passed * ARGV[1])
if tokens < 1 then return tostring((1 - tokens) / ARGV[1]) end
redis.call('HSET', KEYS[1], 'tokens', tokens - 1, 'at', tostring(now))
return '0'
"""

settings = load_settings()
url = broker_url(settings)
clients: dict[int, redis.Redis] = {}


def client() -> redis.Redis:
    return clients.setdefault(os.getpid(), redis.Redis.from_url(url))


def note_start(sent_at: float | None) -> None:
    """Note an urgent call's delay; count the others, where that is asked for."""
    if sent_at is not None:
        client().rpush(DELAYS, time.time() - sent_at)
    elif "BENCH_COUNT" in os.environ:
        client().incr(STARTED)


def admitted_app() -> Celery:
    registry = CallTasks()
    app = celery_app(settings, url, amqp="workers.admission.consumer:AdmittingAMQP", tasks=registry)
    runtime = RuntimeOfProcess(settings)
    setattr(app, RUNTIME, runtime)

    def make(name: str) -> Task:
        # At once, before the tasks of the real workers, which are shared between apps.
        @app.task(
            name=call_task(name),
            bind=True,
            lazy=False,
            shared=False,
            Request="workers.admission.bootstep:CallRequest",
        )
        def call(self: Any, sent_at: float | None = None) -> None:
            note_start(sent_at)
            if (permit := self.request.sisgate_permit["id"]) != "off":
                runtime().limiter.finish(self.request.delivery_info["routing_key"], permit)

        task: Task = call
        return task

    registry.start(make, lambda: settings.providers)
    app.conf.worker_consumer = "workers.admission.consumer:AdmittingConsumer"
    app.steps["consumer"].add("workers.admission.bootstep:Admission")
    return app


def plain_app() -> Celery:
    app = celery_app(settings, url)
    app.conf.task_queues = [Queue(PLAIN_QUEUE, Exchange(PLAIN_QUEUE), routing_key=PLAIN_QUEUE)]
    app.conf.task_default_queue = PLAIN_QUEUE
    limit = f"{RATE}/s" if WAY == "rate_limit" else None
    # As Celery comes: limits on, four messages a process.
    app.conf.update(worker_disable_rate_limits=False, worker_prefetch_multiplier=4)

    @app.task(name="noop", bind=True, lazy=False, rate_limit=limit, max_retries=None)
    def noop(self: Any, sent_at: float | None = None) -> None:
        if WAY == "bucket":
            wait = float(client().eval(BUCKET, 1, "bench:bucket", RATE))
            if wait > 0:
                raise self.retry(countdown=wait)
        note_start(sent_at)

    return app


celery = admitted_app() if WAY == "admitted" else plain_app()
