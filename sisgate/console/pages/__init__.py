"""The pages, a module for each subject."""

from sisgate.console.pages import (
    audit,
    configuration,
    controls,
    datasets,
    held,
    jobs,
    overview,
    processes,
    providers,
    quarantine,
    schedules,
    tokens,
)

ROOMS = (
    overview.room, providers.room, controls.room, processes.room, jobs.room, held.room,
    schedules.room, datasets.room, quarantine.room, configuration.room, audit.room, tokens.room,
)  # fmt: skip
"""All pages, in the order in which their paths are tried."""
