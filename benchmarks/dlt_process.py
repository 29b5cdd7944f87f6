"""One load by dlt in a process of its own: a JSON task on standard input, figures on the output.

dlt's REST API source with its own client, OAuth2, offset paginator and defaults. Lists inside a
student stay JSON in one table (`max_table_nesting=0`), which is what sisgate stores and is
faster for dlt than the child tables it would make. Imports and start-up are not measured.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import psutil
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import EndpointResource, RESTAPIConfig
from sqlalchemy import make_url

from benchmarks.memory import peak_bytes
from benchmarks.processor import processor_seconds


@dataclass(frozen=True)
class Task:
    """What to load, into what, and how. `disposition` is dlt's `merge` or `append`.

    `server` is the process of the database's server, whose processor time counts, too.
    """

    folder: str
    database_url: str
    base_url: str
    token_url: str
    client_id: str
    client_secret: str
    disposition: str
    loads: int
    server: int | None = None


def load(task: Task) -> dict[str, Any]:
    """Load the students `task.loads` times; return what each load took, and the peak memory."""
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(Path(task.folder) / "dlt"),
        destination=_destination(task.database_url),
        dataset_name="roster",
    )
    seconds, used = [], []
    for _ in range(task.loads):
        begun, before = time.perf_counter(), processor_seconds(os.getpid(), task.server)
        pipeline.run(_source(task))
        seconds.append(time.perf_counter() - begun)
        used.append(processor_seconds(os.getpid(), task.server) - before)
    with pipeline.sql_client() as client:
        ((rows,),) = client.execute_sql("SELECT count(*) FROM students") or ((0,),)
    return {
        "seconds": seconds, "cpu_seconds": used, "rows": rows,
        "peak_bytes": peak_bytes(psutil.Process()),
    }  # fmt: skip


def _source(task: Task) -> Any:
    students: EndpointResource = {
        "name": "students",
        "primary_key": "sourcedId",
        "write_disposition": "append" if task.disposition == "append" else "merge",
        "endpoint": {
            "path": "students",
            "data_selector": "users",
            "params": {"sort": "sourcedId", "orderBy": "asc"},
        },
    }
    config: RESTAPIConfig = {
        "client": {
            "base_url": task.base_url,
            "auth": {
                "type": "oauth2_client_credentials",
                "access_token_url": task.token_url,
                "client_id": task.client_id,
                "client_secret": task.client_secret,
            },
            # dlt reads a total from the body only, so that the list's end is an empty page.
            "paginator": {"type": "offset", "limit": 1000, "total_path": None},
        },
        "resources": [students],
    }
    return rest_api_source(config, max_table_nesting=0)


def _destination(database_url: str) -> Any:
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return dlt.destinations.sqlalchemy(database_url)
    # dlt wants a host in the URL; libpq goes by the last one it is told, which is the socket's.
    socket = url.query["host"]
    return dlt.destinations.postgres(
        f"postgresql://{url.username}:unused@localhost:5432/{url.database}?host={socket}"
    )


if __name__ == "__main__":
    print(json.dumps(load(Task(**json.load(sys.stdin)))))
