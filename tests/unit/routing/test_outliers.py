"""Who is ejected, and how many at most."""

from hypothesis import given
from hypothesis import strategies as st

from sisgate.routing.outliers import EndpointHistory, RoutingSpec, most_ejected, outliers

SPEC = RoutingSpec()


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans()), min_size=1, max_size=10
    )
)
def test_never_more_than_the_cap_and_never_all(shown: list[tuple[int, int, bool]]) -> None:
    """Whatever the endpoints have shown."""
    records = [
        EndpointHistory(str(i), max(calls, failures), failures, ejected=ejected)
        for i, (calls, failures, ejected) in enumerate(shown)
    ]
    found = outliers(records, SPEC)
    out = {r.url for r in records if r.ejected}
    assert not out & {r.url for r in found}
    assert not found or len(out) + len(found) <= most_ejected(len(records), SPEC.most_ejected)
    assert not found or len(out) + len(found) < len(records)


def test_the_worst_goes_first() -> None:
    """Where the cap has room for one only."""
    records = [
        EndpointHistory("a", 100, 40),
        EndpointHistory("b", 100, 90),
        EndpointHistory("c", 100, 0),
    ]
    assert [r.url for r in outliers(records, SPEC)] == ["b"]


def test_a_provider_that_fails_as_a_whole_ejects_nobody() -> None:
    """That is for the breakers: no endpoint is worse than the others."""
    assert outliers([EndpointHistory("a", 50, 50), EndpointHistory("b", 50, 48)], SPEC) == []


def test_few_calls_prove_nothing() -> None:
    """Nine failures of nine calls may be chance."""
    assert outliers([EndpointHistory("a", 9, 9), EndpointHistory("b", 100, 0)], SPEC) == []
