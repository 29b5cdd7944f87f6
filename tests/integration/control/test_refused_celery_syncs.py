"""A sync asked for by name that is refused: the failed job says why, and what would help."""

import uuid
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.access.authorizer import Authorizer
from sisgate.access.policy import broker_principal
from sisgate.broker import SYNC_TASK
from workers.jobs.app_tasks import AppTasks, EarlyCancels, TaskMessage


def refusal(gateway: Gateway, scopes: tuple[str, ...] = ("*",), **kwargs: Any) -> str:
    """Return what the job of a refused sync says."""
    authorizer = Authorizer(
        gateway.context.database,
        gateway.context.clock,
        principal=broker_principal("tokens", scopes),
    )
    job_id = str(uuid.uuid4())
    tasks = AppTasks(gateway, authorizer, EarlyCancels(gateway.context.redis))
    tasks.sync(TaskMessage(SYNC_TASK, kwargs=kwargs), job_id)
    status = gateway.jobs.status(job_id)
    assert (status.state, status.error is None) == ("failed", False)
    return str((status.error or {})["message"])


def test_what_the_broker_may_not_ask_for_names_its_setting(gateway: Gateway) -> None:
    """Not a token, which a message of the broker never carries."""
    words = refusal(gateway, (), provider="lincoln", resource="orgs")
    assert "`broker_scopes` in the configuration: lincoln/orgs belongs there" in words
    assert "tokens add" not in words
    words = refusal(gateway, provider="lincoln", resource="orgs", allow_deletes=True)
    assert "No setting gives that" in words
    assert "tokens add" not in words


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"speed": 9}, "speed is no argument of sisgate.sync; it takes provider, resource, "),
        ({"speed": 9, "page": 1}, "speed, page are no argument of sisgate.sync; it takes"),
        ({"timeout": "soon"}, "timeout is a number of seconds above 0."),
        ({"app": ""}, "app is a text of 1 to 100 printable characters."),
        ({"app": "grade\x1b[2Jbook"}, "app is a text of 1 to 100 printable characters."),
        ({"resource": 5}, "resource is a text."),
        ({"allow_deletes": "yes"}, "allow_deletes is true or false."),
    ],
)
def test_wrong_arguments_are_told_in_plain_words(
    gateway: Gateway, given: dict[str, Any], said: str
) -> None:
    """What it takes stands beside what was wrong."""
    assert said in refusal(gateway, **{"provider": "lincoln", "resource": "orgs", **given})
