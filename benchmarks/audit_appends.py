"""`python -m benchmarks.audit_appends URL WAY SECONDS`: append for a while, print how often.

Says `ready` and begins with the next line of standard input. `chained` locks the head of one chain
until the commit, which a log must do whose events each hold the digest of the one before.
"""

import hashlib
import sys
import time

from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.log import record
from sisgate.audit.writers import Writers
from sisgate.clock import SystemClock
from sisgate.ledger.database import Database

CLOCK = SystemClock()
ACTIONS = ("workers:call:intent", "workers:call:outcome")


def append(database: Database, *, is_chained: bool) -> None:
    """Write two events in one transaction."""
    with database.write() as session:
        driver = session.connection().exec_driver_sql
        head = b""
        if is_chained:
            head = driver("SELECT head FROM bench_chain FOR UPDATE").scalar_one()
        for action in ACTIONS:
            record(
                session, CLOCK.now(), actor="worker", action=action, subject="call/1",
                provider="powerschool", job="job-1", attempt=1, status=200,
            )  # fmt: skip
        if is_chained:
            linked = hashlib.sha256(bytes(head) + b"".join(a.encode() for a in ACTIONS)).digest()
            driver("UPDATE bench_chain SET head = %s", (linked,))


def main() -> None:
    url, way, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    database = Database(url)
    database.commit_hook = Writers(lambda: KeyRing([AuditKey(bytes(32))]), CLOCK)
    append(database, is_chained=way == "chained")
    print("ready", flush=True)
    sys.stdin.readline()
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        append(database, is_chained=way == "chained")
        count += 1
    print(count, flush=True)
    database.dispose()


if __name__ == "__main__":
    main()
