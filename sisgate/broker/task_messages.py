"""A task's message as Celery lays it into a list of Redis, rendered from a template.

Protocol 2 of Celery 5 in the envelope of kombu's Redis transport: what `send_task` would write, at
a fraction of its price. `tests/contract/broker` compares the two.
"""

import json
import os
import re
import socket
import uuid
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache

_EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BODY, _ID, _ARGUMENTS, _TAG = "@body@", "@id@", "@arguments@", "@tag@"


def task_message(task: str, kwargs: Mapping[str, str | int], queue: str, priority: int) -> str:
    """Return the message of one delivery of a task, with a new delivery tag.

    The task of a job has the id of the job, by which Flower shows it; any other has a new id.
    """
    body = json.dumps([[], kwargs, _EMBEDDED])
    template = _template(task, queue, priority, os.getpid())
    job_id = str(kwargs.get("job_id", ""))
    return (
        template.replace(_ID, job_id if _UUID.fullmatch(job_id) else str(uuid.uuid4()))
        .replace(_TAG, str(uuid.uuid4()))
        .replace(_BODY, b64encode(body.encode()).decode())
        # At last: an app's own id of its job may read like one of the places.
        .replace(_ARGUMENTS, json.dumps(repr(kwargs))[1:-1])
    )


@lru_cache(maxsize=2048)
def _template(task: str, queue: str, priority: int, process: int) -> str:
    headers: dict[str, object] = {
        "lang": "py", "task": task, "id": _ID, "shadow": None, "eta": None, "expires": None,
        "group": None, "group_index": None, "retries": 0, "timelimit": [None, None],
        "root_id": _ID, "parent_id": None, "argsrepr": "()", "kwargsrepr": _ARGUMENTS,
        "origin": f"gen{process}@{socket.gethostname()}", "ignore_result": True,
        "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties = {
        "correlation_id": _ID, "reply_to": "", "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": priority, "body_encoding": "base64", "delivery_tag": _TAG,
    }  # fmt: skip
    return json.dumps(
        {
            "body": _BODY, "content-encoding": "utf-8", "content-type": "application/json",
            "headers": headers, "properties": properties,
        }
    )  # fmt: skip
