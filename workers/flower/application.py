"""Flower as it fits a fleet whose work is in the ledger and whose queues are pulled.

Its pages are Flower's. What would mislead or harm is answered differently: see `handlers`.
"""

import re
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import quote

from celery import Celery
from flower.api import control, tasks
from flower.app import Flower, rewrite_handler
from flower.events import Events
from flower.utils.tasks import get_task_by_id
from flower.views import BaseHandler
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from flower.views.tasks import TaskView
from tornado import web
from tornado.escape import xhtml_escape
from tornado.httputil import HTTPHeaders

from sisgate.broker import CALL_TASK_PREFIX, SYNC_TASK
from sisgate.errors import SisgateError
from sisgate.redis.queues import PLANNER_QUEUE
from workers.flower.redaction import without_data
from workers.runtime import runtime_of

JOB = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_FACTS = b'<dl class="detail-list">'


class FleetEvents(Events):
    """Flower's memory of tasks, which holds nothing of anybody's data, nor writes it to disk."""

    def on_event(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        is_task = str(event.get("type", "")).startswith("task-")
        super().on_event(without_data(event) if is_task else event)


class Unframed(web.OutputTransform):
    """Lets no other site show pages in a frame: a browser sends Flower's login there by itself."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the headers that say so."""
        headers["X-Frame-Options"] = "DENY"
        headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        return status_code, headers, chunk


class FleetFlower(Flower):
    """Flower's web application."""

    def __init__(
        self, app: Celery, options: Any, settings: dict[str, Any], console_url: str | None
    ) -> None:
        from tornado.ioloop import IOLoop

        loop = IOLoop.current()
        events = FleetEvents(
            app,
            io_loop=loop,
            db=options.db,
            persistent=options.persistent,
            state_save_interval=options.state_save_interval,
            enable_events=options.enable_events,
            max_workers_in_memory=options.max_workers,
            max_tasks_in_memory=options.max_tasks,
        )
        super().__init__(capp=app, options=options, events=events, io_loop=loop, **settings)
        self.console_url = console_url
        self.add_transform(Unframed)
        own = handlers()
        if options.url_prefix:
            own = [rewrite_handler(each, options.url_prefix) for each in own]
        # These are asked before those that Flower has.
        self.add_handlers(r".*", own)


def handlers() -> list[Any]:
    """Return what is answered differently."""
    return [
        (r"/task/(.+)", JobLinkedTask),
        (r"/broker", Queues),
        (r"/api/queues/length", QueueLengths),
        (r"/metrics", ClosedMetrics),
        (r"/api/task/revoke/(.+)", Revoke),
        (r"/api/task/timeout/(.+)", TimeLimits),
        (r"/api/task/(?:apply|async-apply|send-task)/(.+)", Sending),
        (r"/api/task/(?:result|abort)/(.+)", Results),
    ]


class JobLinkedTask(TaskView):
    """A task's page, with a link to its job in the console. A job's id leads to its tasks."""

    application: Any

    @web.authenticated
    def get(self, task_id: str) -> None:
        """Show a task, or the tasks of a job."""
        if get_task_by_id(self.application.events, task_id) is None and JOB.fullmatch(task_id):
            self.redirect(self._tasks_of(task_id))
            return
        super().get(task_id)

    def render_string(self, template_name: str, **values: Any) -> bytes:
        """Return the page, with one more row where the job is known."""
        page: bytes = super().render_string(template_name, **values)
        job, console = job_of(values.get("task")), self.application.console_url
        if job is None or _FACTS not in page:
            return page
        shown = f"<code>{job}</code>"
        if console:
            href = xhtml_escape(f"{console}/jobs/{job}")
            shown = f'<a href="{href}">{job}</a>'
        tasks_of_it = f'<a href="{self._tasks_of(job)}">all its tasks</a>'
        row = (
            '<div class="detail-row task-data-row"><dt>Job</dt>'
            f"<dd>{shown}&nbsp;({tasks_of_it})</dd></div>"
        )
        return page.replace(_FACTS, _FACTS + row.encode(), 1)

    def _tasks_of(self, job: str) -> str:
        # Flower's list takes a search from its address only behind one of its fields.
        return f"{self.reverse_url('tasks')}?name={quote(f'sisgate {job}')}"


def job_of(task: Any) -> str | None:
    """Return the id of the job that a task is about: what it was given or what it returned."""
    if task is None:
        return None
    if str(task.name).startswith(CALL_TASK_PREFIX):
        found = JOB.search(str(task.result))
    elif task.name == SYNC_TASK:
        found = JOB.fullmatch(str(task.uuid))
    else:
        found = JOB.search(str(task.kwargs))
    return found[0] if found else None


class _AllQueues(BaseHandler):
    def get_active_queue_names(self) -> list[str]:
        """Return every queue of the fleet, so that a backlog that no worker serves is seen."""
        names = {PLANNER_QUEUE, *super().get_active_queue_names()}
        with suppress(SisgateError):  # then those that workers named
            names |= set(runtime_of(self.capp).configuration.current().providers)
        return sorted(names)


class Queues(_AllQueues, BrokerView):
    """The page of queues."""


class QueueLengths(_AllQueues, tasks.GetQueueLengths):
    """The same as JSON."""


class ClosedMetrics(Metrics):
    """Flower's metrics, which Flower shows to everybody."""

    def prepare(self) -> None:
        """Ask for the login first."""
        if not self.current_user:
            raise web.HTTPError(401)


class Revoke(control.TaskRevoke):
    """Revoking: not of what the ledger would only send again."""

    application: Any

    @web.authenticated
    async def post(self, taskid: str) -> None:
        """Revoke a task that an app sent; refuse the rest."""
        task = get_task_by_id(self.application.events, taskid)
        if task is None or str(task.name).startswith("sisgate."):
            job = job_of(task) or "JOB"
            raise web.HTTPError(
                403,
                "Tasks are not revoked here: the ledger holds the work and would send it again. To "
                f"end a job, cancel it: sisgate jobs cancel {job}",
            )
        revoked: Any = super().post(taskid)
        await revoked


class _Refused(tasks.BaseTaskHandler):
    REASON: ClassVar[str]

    @web.authenticated
    def get(self, name: str) -> None:
        """Refuse."""
        raise web.HTTPError(403, self.REASON)

    post = get


class TimeLimits(_Refused):
    """Time limits of tasks: a hard limit above a call's lease would have it made twice."""

    REASON = (
        "Time limits follow from the configuration of the provider and hold for the whole fleet: "
        "sisgate providers edit PROVIDER timeout_seconds=60"
    )

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with HTML: Flower's page shows the text of its elements only."""
        self.set_status(status_code)
        self.finish(f"<p>{xhtml_escape(self.REASON)}</p>")


class Sending(_Refused):
    """Sending tasks, which would not ask what the sender may do."""

    REASON = "Flower sends no tasks. Use the HTTP API, or: sisgate sync PROVIDER"


class Results(_Refused):
    """Results of tasks, which Celery does not keep here."""

    REASON = "Results are in the ledger: sisgate jobs show JOB"
