"""Which queues a worker serves, by what it was told and what is configured."""

from collections.abc import Mapping

import pytest

from sisgate.broker import provider_queue
from sisgate.settings import Endpoint, ProviderConfig
from workers.admission.queues import ServedQueues, is_admitted

POOLS: Mapping[str, str | None] = {"alpha": None, "beta": "north", "gamma": "north"}


def configs(pools: Mapping[str, str | None] = POOLS) -> dict[str, ProviderConfig]:
    """Return providers, each with its pool."""
    endpoint = Endpoint(url="https://sis.example")
    return {
        name: ProviderConfig(
            name=name, kind="oneroster", auth="none", endpoints=(endpoint,), pool=pool
        )
        for name, pool in pools.items()
    }


def queues(*named: str) -> ServedQueues:
    """Return the queues of a worker that was started with `-Q`."""
    served = ServedQueues({}, create_missing=False)
    served.add("sisgate")
    served.configure(configs())
    served.select(named)
    return served


@pytest.mark.parametrize(
    ("named", "served", "serving"),
    [
        ((), {"sisgate", "alpha", "beta", "gamma"}, "all"),
        (("alpha",), {"alpha"}, "alpha"),
        (("pool:north",), {"beta", "gamma"}, "pool:north"),
        (("sisgate", "pool:north", "alpha"), {"sisgate", "alpha", "beta", "gamma"}, None),
        (("later",), set(), "later"),
    ],
)
def test_q_names_queues_and_pools(
    named: tuple[str, ...], served: set[str], serving: str | None
) -> None:
    """Without it a worker serves all."""
    made = queues(*named)
    assert set(made.consume_from) == served
    assert serving is None or made.serving == serving


@pytest.mark.parametrize("name", ["Alpha", "pool:", "pool:North", "a b", "sis.gate", ""])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    """A typing mistake that no configuration could ever make right ends the start."""
    with pytest.raises(KeyError):
        queues(name)
    assert not queues().include(name)


def test_queues_follow_the_configuration() -> None:
    """Each is admitted by permit from its first moment; none stays behind."""
    everything, north, later = queues(), queues("pool:north"), queues("later")
    assert later.unknown == ["later"]
    for served in (everything, north, later):
        served.configure(configs({"beta": None, "gamma": "north", "later": "north"}))

    assert set(everything.consume_from) == {"sisgate", "beta", "gamma", "later"}
    assert set(north.consume_from) == {"gamma", "later"}
    assert set(later.consume_from) == {"later"}
    assert later.unknown == []
    admitted = {name for name, queue in everything.items() if is_admitted(queue)}
    assert admitted == {"beta", "gamma", "later"}


def test_what_is_left_out_stays_left_out() -> None:
    """`-X` and `cancel_consumer` hold for a provider that comes back; `add_consumer` ends that."""
    served = queues()
    served.deselect(["alpha", "pool:north"])
    assert set(served.consume_from) == {"sisgate"}
    assert served.serving == "all but alpha, pool:north"
    served.configure({})
    served.configure(configs())
    assert set(served.consume_from) == {"sisgate"}

    assert served.include("beta")
    assert set(served.consume_from) == {"sisgate", "beta"}
    assert served.include("pool:north")
    assert set(served.consume_from) == {"sisgate", "beta", "gamma"}


def test_what_a_worker_was_told_in_words() -> None:
    """Only what it would otherwise serve is said to be left out."""
    served = queues("alpha", "pool:north")
    served.deselect(["alpha", "beta", "later"])
    assert served.serving == "pool:north but beta"
    served.include("alpha")
    served.deselect("pool:north")
    assert served.serving == "alpha"
    served.deselect("alpha")
    assert served.serving == "nothing"


def test_a_queue_that_is_no_providers_is_served_besides() -> None:
    """Celery gives a worker a queue of its own with `worker_direct`."""
    served = queues("alpha")
    served.select_add(provider_queue("W0@host.dq"))
    assert set(served.consume_from) == {"alpha", "W0@host.dq"}
