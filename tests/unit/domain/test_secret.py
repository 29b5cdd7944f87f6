"""A secret shows nothing, wherever it is written down."""

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import pytest
import requests
from rich.pretty import pretty_repr

from sisgate.domain.secret import Secret, forget_locals

PLAIN = "swordfish-4711"


@dataclass(frozen=True)
class Holder:
    """Something that holds one."""

    secret: Secret


HELD = Secret(PLAIN)


def test_it_shows_nothing() -> None:
    """However it is turned into text."""
    shown = [
        str(HELD),
        repr(HELD),
        f"{HELD}",
        f"{HELD!r:>40}",
        f"{HELD:>40}",
        "%s" % HELD,  # noqa: UP031 - an old way of writing is a way too
        str([HELD]),
        repr(Holder(HELD)),
        str(asdict(Holder(HELD))),
        str(copy.copy(HELD)),
        str(copy.deepcopy([HELD])),
        pretty_repr(Holder(HELD)),
        json.dumps(HELD, default=str),
    ]
    assert PLAIN not in "".join(shown)


def test_it_cannot_be_pickled_nor_be_json() -> None:
    """A pickle would carry it in plain."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(HELD, protocol)
    with pytest.raises(TypeError):
        json.dumps(HELD)
    assert not hasattr(HELD, "__dict__")


def test_it_is_given_to_whom_asks_by_name() -> None:
    """And equal texts are equal."""
    assert HELD.get_secret_value() == PLAIN
    assert Secret(PLAIN) == HELD
    assert Secret("other") != HELD
    assert PLAIN != HELD


def test_locals_of_a_library_are_forgotten() -> None:
    """What an error reporter would write down of the frames below."""

    def library(headers: str) -> None:
        raise requests.ConnectionError(len(headers))

    def caller() -> None:
        library(HELD.get_secret_value())

    seen = []
    try:
        caller()
    except requests.ConnectionError as error:
        forget_locals(error)
        found = error.__traceback__
        while found is not None:
            if found.tb_frame.f_code.co_name in {"library", "caller"}:
                seen.append(repr(found.tb_frame.f_locals))
            found = found.tb_next
    assert len(seen) == 2
    assert PLAIN not in "".join(seen)
