"""What tasks of the fleet have in common."""

import structlog
from celery import Celery

from sisgate.errors import DatabaseUnavailable
from sisgate.logs import concerning
from workers.task_types import FleetTask


def test_the_log_names_a_call_until_its_task_ends() -> None:
    """Whether it returns or fails; the line that says why it failed names it still."""
    app = Celery(set_as_current=False)
    seen: list[object] = []

    class Watched(FleetTask):
        abstract = True

        def on_failure(self, *_: object) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    @app.task(base=Watched)
    def call(*, fails: bool) -> None:
        concerning(call=17)
        if fails:
            raise DatabaseUnavailable("gone")

    for fails in (False, True):
        call.apply(kwargs={"fails": fails})
        assert structlog.contextvars.get_contextvars() == {}
    assert seen == [{"call": 17}]
