"""Accepting something costs the same, however many jobs the ledger has."""

from sisgate import Gateway
from testbed.statement_costs import accept_in_every_way, costs_of, fill_with_jobs

JOBS = 8_000
APP = "schedule/nightly"
"""A schedule is an app of its own, and the one with the most jobs."""


def test_no_statement_of_acceptance_goes_through_the_jobs(gateway: Gateway) -> None:
    """Neither by scanning the table nor by walking along an index of it."""
    gateway.providers.control("twin").limits  # noqa: B018 - connects before anything is measured
    fill_with_jobs(gateway.context.database, JOBS, provider="twin", app=APP)
    with costs_of(gateway.context.database) as costs:
        accept_in_every_way(gateway, "twin", APP)
    cost, statement = costs.dearest
    assert cost < JOBS / 4, statement
    assert len(costs.most) > 20
