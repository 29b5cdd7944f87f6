"""The only module of the library that knows Celery: it sets up the app and publishes.

Messages carry ids, nothing else. The ledger owns the work; a message only wakes a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sisgate.broker.task_messages import task_message
from sisgate.domain.priorities import PRIORITY_STEPS, Priority
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient, RedisPipeline
from sisgate.redis.queues import PLANNER_QUEUE, list_key
from sisgate.settings import ProviderConfig
from sisgate.settings.fleet import FleetSettings
from sisgate.settings.urls import BrokerAddress

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.registry import TaskRegistry
    from kombu.entity import Queue

SYNC_TASK = "sisgate.sync"
CANCEL_TASK = "sisgate.cancel"
STATUS_TASK = "sisgate.status"
APP_TASKS = frozenset({SYNC_TASK, CANCEL_TASK, STATUS_TASK})
"""The tasks that apps with only Celery send by name."""

PLAN_TASK = "sisgate.sync.plan"
CALL_TASK_PREFIX = "sisgate.call."
LIMITS_TASK = "sisgate.limits.set"

ADMISSION_MARK = "x-sisgate-admission"
"""Marks, as a queue argument, queues consumed by permit; `inspect active_queues` shows it."""

PLANNER_SECONDS = 60.0
"""Time limit of the planner's and beat's tasks."""


@dataclass(frozen=True)
class TaskTimeouts:
    """The time limits of one provider's call in seconds: answer < soft < hard < lease.

    >>> limits = TaskTimeouts(answer=30, lease=100)
    >>> limits.soft, limits.hard
    (70.0, 85.0)
    """

    answer: float
    lease: float
    """When another worker may take the call over."""

    @classmethod
    def of(cls, config: ProviderConfig) -> TaskTimeouts:
        """Return the time limits of a provider's calls."""
        return cls(config.timeout_seconds, config.lease)

    @property
    def soft(self) -> float:
        """When a task is interrupted: long enough for a token fetch and the response."""
        return self.answer + (self.lease - self.answer) * 4 / 7

    @property
    def hard(self) -> float:
        """When its process is killed."""
        return self.answer + (self.lease - self.answer) * 11 / 14


def call_task(provider: str) -> str:
    """Return the name of a provider's call task."""
    return f"{CALL_TASK_PREFIX}{provider}"


def celery_app(
    settings: FleetSettings, url: str, *, amqp: str | None = None, tasks: TaskRegistry | None = None
) -> Celery:
    """Return a Celery app set up for sisgate; workers add their tasks and their `amqp`."""
    # Imported here because Celery is slow to import, and publishing does not need it.
    from celery import Celery

    app = Celery("sisgate", set_as_current=False, amqp=amqp, tasks=tasks)
    address = BrokerAddress.of(url)
    app.conf.update(
        broker_url=address.url,
        broker_use_ssl=dict(address.use_ssl) if address.use_ssl else None,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "priority_steps": list(PRIORITY_STEPS),
            "queue_order_strategy": "priority",
            "visibility_timeout": visibility_seconds(settings.providers),
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 30,
            **address.options,
        },
        task_queues=[_queue(PLANNER_QUEUE), *(provider_queue(name) for name in settings.providers)],
        task_default_queue=PLANNER_QUEUE,
        task_default_priority=int(Priority.NORMAL),
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=PLANNER_SECONDS,
        task_soft_time_limit=PLANNER_SECONDS - 10,
        worker_prefetch_multiplier=1,
        worker_disable_rate_limits=True,
        worker_enable_prefetch_count_reduction=False,
        worker_send_task_events=True,
        task_send_sent_event=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
        timezone="UTC",
    )
    return app


def visibility_seconds(providers: Mapping[str, ProviderConfig]) -> int:
    """Return the age at which a delivered message counts as lost: when every lease has ended.

    Nothing is held for long, so a dead worker's messages are redelivered within minutes.
    """
    longest = max((config.lease for config in providers.values()), default=0.0)
    return int(max(longest, PLANNER_SECONDS) + 60)


def provider_queue(name: str) -> Queue:
    """Return the queue of a provider's calls."""
    return _queue(name, {ADMISSION_MARK: "permit"})


def _queue(name: str, arguments: Mapping[str, str] | None = None) -> Queue:
    from kombu.entity import Exchange, Queue

    # An exchange of its own: queues bound to one by the same key would all get each message.
    return Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments)


class Publisher:
    """Hands ids to the broker. Every failure is `BrokerUnavailable` and loses nothing.

    `providers` returns the names of those configured now. `signal` adds to a pipeline what wakes
    the workers waiting for a provider's calls.
    """

    def __init__(
        self,
        client: RedisClient,
        providers: Callable[[], Collection[str]],
        signal: Callable[[str, RedisPipeline], None],
    ) -> None:
        self._redis = client
        self._providers = providers
        self._signal = signal

    def plan(self, job_id: str, priority: int) -> None:
        """Ask a worker to plan a job."""
        self.plans([(job_id, priority)])

    def plans(self, jobs: Iterable[tuple[str, int]]) -> None:
        """Ask workers to plan jobs given as (id, priority)."""
        self.all(jobs, ())

    def call(self, call_id: int, provider: str, priority: int) -> None:
        """Put a call into its provider's queue."""
        self.calls([(call_id, provider, priority)])

    def calls(self, addresses: Iterable[tuple[int, str, int]]) -> None:
        """Publish calls given as (id, provider, priority).

        Those of a provider that is no longer configured stay in the ledger, without holding back
        the others, and are published when it is configured again.
        """
        self.all((), addresses)

    def all(self, plans: Iterable[tuple[str, int]], calls: Iterable[tuple[int, str, int]]) -> None:
        """Publish as `plans` and `calls` do, in one round trip."""
        lists: dict[str, list[str]] = {}

        def add(task: str, kwargs: dict[str, Any], queue: str, priority: int) -> None:
            text = task_message(task, kwargs, queue, priority)
            lists.setdefault(list_key(queue, priority), []).append(text)

        for job_id, priority in plans:
            add(PLAN_TASK, {"job_id": job_id}, PLANNER_QUEUE, priority)
        known, providers = self._providers(), set()
        for call_id, provider, priority in calls:
            if provider in known:
                add(call_task(provider), {"call_id": call_id}, provider, priority)
                providers.add(provider)
        self._push(lists, providers)

    def _push(self, lists: Mapping[str, list[str]], providers: Iterable[str]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for key, messages in lists.items():
            pipe.lpush(key, *messages)
        for provider in providers:
            self._signal(provider, pipe)
        commands = list(pipe.command_stack)
        try:
            try:
                pipe.execute()
            except BrokerUnavailable:
                # Retry immediately: a pooled connection may have died with an old Redis. A message
                # that arrives twice is harmless, since one claim wins.
                pipe.command_stack = commands
                pipe.execute()
        except BrokerUnavailable as error:
            raise BrokerUnavailable(
                f"{error.message} Accepted work stays in the ledger and is published when Redis "
                "is back.",
                **error.detail,
            ) from error
