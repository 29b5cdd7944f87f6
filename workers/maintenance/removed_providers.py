"""Ends jobs of removed providers that were accepted by a process that had not noticed yet."""

from sisgate.audit.events import PROVIDER_DRAINED, WORKER
from sisgate.audit.log import record
from sisgate.gateway.removed_providers import removed_error
from sisgate.ledger import configuration, removal
from sisgate.logs import get_logger
from workers.runtime import Runtime

log = get_logger()


def end_stray_jobs(runtime: Runtime) -> None:
    """End waiting jobs of providers that a version of the configuration removed.

    A provider that no version knows is left alone: its configuration may be in a process's file.
    """
    known = runtime.configuration.current()
    if not known.version:
        return
    with runtime.database.read() as session:
        strays = removal.with_live_jobs(session, known.providers)
    if not strays:
        return
    now = runtime.clock.now()
    with runtime.database.write() as session:
        removed = configuration.removed(session, strays)
        errors = {name: removed_error(name, by).as_dict() for name, by in removed.items()}
        ended = removal.cancel(session, now, errors)
        for provider, job_ids in ended.items():
            record(
                session, now, actor=WORKER, action=PROVIDER_DRAINED, subject=provider,
                cancelled=len(job_ids),
            )  # fmt: skip
    for provider, job_ids in ended.items():
        log.info("removed_provider_drained", provider=provider, jobs=len(job_ids))
        for job_id in job_ids:
            runtime.wakeups.announce(job_id)
