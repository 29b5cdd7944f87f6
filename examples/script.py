"""A plain script on a machine with neither database nor Redis: it asks the HTTP service.

    export SISGATE_URL=https://sisgate.example.org SISGATE_TOKEN=…
    python script.py powerschool students

Syncs one dataset, prints what changed, and remembers the cursor in a file for the next time.
"""

import sys
from pathlib import Path

from sisgate import SisgateError
from sisgate.client import HttpGateway
from sisgate.errors import CursorAhead, CursorTooOld


def main(provider: str, resource: str) -> None:
    """Sync a dataset, and print what has changed since this script last ran."""
    file = Path(f"{provider}-{resource}.cursor")
    cursor = int(file.read_text()) if file.exists() else 0
    with HttpGateway.from_env() as gateway:
        status = gateway.sync(provider, resource, priority="low").wait(timeout=600)
        print(f"{status.state}: {status.inserted} new, {status.updated} changed")
        try:
            for change in gateway.changes(provider, resource, since=cursor, purpose="a report"):
                cursor = change.sequence
                print(change.operation, change.sourced_id)
        except (CursorTooOld, CursorAhead):  # read everything anew, then go on from here
            cursor = gateway.datasets.cursor(provider, resource)
            for record in gateway.records(provider, resource, purpose="a report"):
                print("has", record.sourced_id)
    file.write_text(str(cursor))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: script.py PROVIDER RESOURCE")
    try:
        main(sys.argv[1], sys.argv[2])
    except TimeoutError as error:  # the wait is over; the job continues
        raise SystemExit(str(error)) from error
    except SisgateError as error:
        raise SystemExit(f"{error.code}: {error}") from error
