"""The pages, a module for each subject."""

from sisgate.console.pages import (
    alerts,
    audit,
    configuration,
    controls,
    datasets,
    errors,
    held,
    jobs,
    overview,
    persons,
    processes,
    providers,
    quarantine,
    records,
    schedules,
    sla,
    tokens,
    webhooks,
)

ROOMS = (
    overview.room, alerts.room, errors.room, sla.room, providers.room, controls.room,
    processes.room, jobs.room, held.room, schedules.room, datasets.room, records.room,
    quarantine.room, configuration.room, audit.room, persons.room, tokens.room, webhooks.room,
)  # fmt: skip
"""All pages, in the order in which their paths are tried."""
