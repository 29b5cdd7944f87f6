"""A Celery app as one writes it oneself: requests, and a breaker of pybreaker for each endpoint.

Endpoints take turns; the next one is asked where a breaker is open. `BENCH_BREAKERS` says where
the breakers' state is: `memory`, which is pybreaker's default and so one for each process, or
`redis`, one for the fleet.
"""

import os
from functools import cache

import redis
import requests
from celery import Celery
from pybreaker import (
    STATE_CLOSED,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitMemoryStorage,
    CircuitRedisStorage,
)

QUEUE = "plain"
DONE, FAILED = "bench:done", "bench:failed"
TASK = "plain.call"
URLS = os.environ.get("BENCH_URLS", "").split(",")
BROKER = os.environ.get("SISGATE_BROKER_URL", "")

celery = Celery("plain", broker=BROKER, set_as_current=False)
celery.conf.update(
    task_default_queue=QUEUE, task_ignore_result=True, broker_connection_retry_on_startup=True
)


@cache
def client() -> redis.Redis:
    """Return the connection of this process; made after the fork."""
    return redis.Redis.from_url(BROKER)


@cache
def breaker(url: str) -> CircuitBreaker:
    shared = os.environ["BENCH_BREAKERS"] == "redis"
    storage = (
        CircuitRedisStorage(STATE_CLOSED, client(), namespace=url)
        if shared
        else CircuitMemoryStorage(STATE_CLOSED)
    )
    return CircuitBreaker(
        fail_max=int(os.environ["BENCH_FAIL_MAX"]),
        reset_timeout=float(os.environ["BENCH_OPEN"]),
        state_storage=storage,
    )


@cache
def session() -> requests.Session:
    return requests.Session()


def get(url: str) -> None:
    session().get(url, timeout=float(os.environ["BENCH_TIMEOUT"])).raise_for_status()


@celery.task(name=TASK)
def call(number: int) -> None:
    """Make one call, and count what the app would be told."""
    for turn in range(len(URLS)):
        url = URLS[(number + turn) % len(URLS)]
        try:
            breaker(url).call(get, f"{url}/{number}")
        except CircuitBreakerError:
            continue
        except requests.RequestException:
            break
        client().incr(DONE)
        return
    client().incr(FAILED)
