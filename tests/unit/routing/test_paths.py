"""Path rules choose a group of endpoints."""

from sisgate.routing.endpoints import members
from sisgate.settings import Endpoint, PathRule

MAIN, OTHER = Endpoint(url="https://main.test"), Endpoint(url="https://other.test")
BULK = Endpoint(url="https://bulk.test", group="bulk")
RULES = [PathRule(pattern="/ws/bulk/*", group="bulk"), PathRule(pattern="/ws/*", group="absent")]


def test_a_path_goes_to_the_group_of_its_rule() -> None:
    """And all other paths to those that stand in no group."""
    servers = [MAIN, OTHER, BULK]
    assert members("/ws/bulk/students", servers, RULES) == [BULK]
    assert members("/ws/students", servers, RULES) == [MAIN, OTHER]


def test_a_group_without_endpoints_is_as_if_its_rule_were_not_there() -> None:
    """The usual rules of a kind name groups that most providers do not have."""
    assert members("/ws/bulk/students", [MAIN, OTHER], RULES) == [MAIN, OTHER]


def test_there_always_is_an_endpoint() -> None:
    """Where each stands in a group, other paths may go to any."""
    assert members("/elsewhere", [BULK], RULES) == [BULK]
