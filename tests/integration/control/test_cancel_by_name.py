"""A cancel by name that is handled before the sync that was sent before it."""

import uuid
from typing import Any

import pytest

from sisgate.access.authorizer import Authorizer
from sisgate.access.policy import broker_principal
from sisgate.broker import CANCEL_TASK, SYNC_TASK
from workers.jobs.app_tasks import AppTasks, EarlyCancels, Result, TaskMessage
from workers.runtime import Runtime


class Messages:
    """What a planner does with messages of another app."""

    def __init__(self, runtime: Runtime) -> None:
        gateway = runtime.gateway
        principal = broker_principal("open", ("*",))
        authorizer = Authorizer(
            gateway.context.database, gateway.context.clock, principal=principal
        )
        self._tasks = AppTasks(gateway, authorizer, EarlyCancels(runtime.redis))

    def sync(self, job_id: str, **more: Any) -> Result:
        """Handle `sisgate.sync`."""
        kwargs = {"provider": "lincoln", "resource": "orgs", **more}
        return self._tasks.sync(TaskMessage(SYNC_TASK, kwargs=kwargs), job_id)

    def cancel(self, job_id: str, **more: Any) -> Result:
        """Handle `sisgate.cancel`."""
        return self._tasks.cancel(TaskMessage(CANCEL_TASK, kwargs={"job_id": job_id, **more}))


@pytest.fixture
def messages(runtime: Runtime) -> Messages:
    """What the tests work with."""
    return Messages(runtime)


def test_a_sync_that_its_cancel_has_overtaken_ends_as_cancelled(messages: Messages) -> None:
    """Whoever cancels is told that the job is not known yet; a second delivery changes nothing."""
    job_id = str(uuid.uuid4())
    assert messages.cancel(job_id)["error"]["code"] == "unknown_job"
    assert messages.sync(job_id) == {"job": job_id, "state": "cancelled", "error": None}
    assert messages.sync(job_id)["state"] == "cancelled"
    assert messages.cancel(job_id)["error"]["code"] == "invalid_state"


def test_another_app_cancels_nothing(messages: Messages) -> None:
    """Not before the job is known either."""
    job_id = str(uuid.uuid4())
    messages.cancel(job_id, app="other")
    assert messages.sync(job_id)["state"] == "accepted"
