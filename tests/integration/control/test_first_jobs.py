"""Processes of one app that start at once: their first jobs, and the configuration they note."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sisgate import Gateway
from sisgate.audit.events import CONFIGURATION_CHANGED
from sisgate.ledger import audit_log

PROCESSES = 6


def test_first_jobs_at_once_are_all_accepted_and_note_the_configuration_once(
    gateway: Gateway,
) -> None:
    """Each has a gateway of its own; one of them tells the audit log, the others agree with it."""
    others = [Gateway(gateway.settings) for _ in range(PROCESSES)]
    begin = threading.Barrier(PROCESSES)

    def first_job(mine: Gateway) -> str:
        mine.jobs.list()  # has its connection
        begin.wait()
        return mine.sync("open", "students").id

    with ThreadPoolExecutor(PROCESSES) as threads:
        accepted = list(threads.map(first_job, others))
    for other in others:
        other.close()

    assert len(set(accepted)) == PROCESSES
    with gateway.context.database.read() as session:
        noted = audit_log.tail(session, audit_log.AuditFilter(action=CONFIGURATION_CHANGED))
        assert [event.subject for event in noted] == ["app:default"]
