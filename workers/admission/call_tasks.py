"""The call tasks of providers, made as they are configured: `sisgate.call.powerschool`."""

from collections.abc import Callable, Container
from typing import Any

from celery import Task
from celery.app.registry import TaskRegistry
from celery.app.trace import build_tracer

from sisgate.broker import CALL_TASK_PREFIX, TaskTimeouts, call_task
from sisgate.settings import ProviderConfig
from sisgate.settings.provider import NAME
from workers.admission.rate_limits import celery_rate


class CallTasks(TaskRegistry):
    """Celery's registry of tasks, which makes a provider's call task when it is first asked for.

    A pool's processes are forked before a provider is added, and look its task up by name. Which
    messages are calls of a provider at all is decided before, by the consumer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._making: set[str] = set()

    def start(self, make: Callable[[str], Task], providers: Callable[[], Container[str]]) -> None:
        """Begin to make tasks, by the name of their provider; `providers` are those configured."""
        self._make, self._providers = make, providers

    def __contains__(self, name: object) -> bool:
        """Return whether a task is there, or would be made (Flower asks)."""
        if super().__contains__(name) or name in self._making:
            return super().__contains__(name)
        provider = _provider_of(name)
        return provider is not None and provider in self._providers()

    def __missing__(self, name: str) -> Any:
        provider = _provider_of(name)
        if provider is None:
            return super().__missing__(name)
        # Celery registers only a task that is not there.
        self._making.add(name)
        try:
            task = self._make(provider)
        finally:
            self._making.discard(name)
        # As the pool does for the tasks that it knows when it starts.
        task.__trace__ = build_tracer(name, task, task.app.loader, app=task.app)
        return task


def configured(tasks: TaskRegistry, config: ProviderConfig) -> Any:
    """Return a provider's call task, with the limits of its configuration."""
    limits = TaskTimeouts.of(config)
    task = tasks[call_task(config.name)]
    task.rate_limit = celery_rate(config.windows)
    task.soft_time_limit, task.time_limit = limits.soft, limits.hard
    return task


def _provider_of(name: object) -> str | None:
    if not isinstance(name, str) or not name.startswith(CALL_TASK_PREFIX):
        return None
    provider = name.removeprefix(CALL_TASK_PREFIX)
    return provider if NAME.fullmatch(provider) else None
