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
    processes,
    providers,
    quarantine,
    schedules,
    sla,
    tokens,
    webhooks,
)

ROOMS = (
    overview.room, alerts.room, errors.room, sla.room, providers.room, controls.room,
    processes.room, jobs.room, held.room, schedules.room, datasets.room, quarantine.room,
    configuration.room, audit.room, tokens.room,
    webhooks.room,
)  # fmt: skip
"""All pages, in the order in which their paths are tried."""
