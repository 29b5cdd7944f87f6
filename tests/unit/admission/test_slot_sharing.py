"""How a worker's slots are shared out between the providers that it serves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sisgate.admission.slot_sharing import KEEP_ONE_FROM, Want, share_out

NAMES = ["a", "b", "c", "d"]
SHARES = dict.fromkeys(NAMES, 0.5)


def test_one_provider_alone_may_fill_a_small_worker() -> None:
    """With fewer slots than it takes to keep one, all of them serve whatever waits."""
    assert share_out(2, 0, {}, ["a"], {"a": 1.0}) == [Want("a", 2, 2)]


def test_a_slot_is_kept_for_urgent_and_high() -> None:
    """In a larger worker normal and low work leaves one slot free."""
    assert share_out(4, 0, {}, ["a"], {"a": 1.0}) == [Want("a", 4, 3)]
    assert share_out(4, 3, {"a": 3}, ["a"], {"a": 1.0}) == [Want("a", 1, 0)]


def test_a_full_worker_asks_for_nothing() -> None:
    """Without a free slot no permit is taken."""
    assert share_out(4, 4, {"a": 4}, ["a", "b"], SHARES) == []


def test_a_provider_at_its_share_gets_only_the_urgent() -> None:
    """The bulkhead holds back normal and low work, not urgent and high."""
    assert share_out(8, 4, {"a": 4}, ["a"], SHARES) == [Want("a", 4, 0)]


def test_every_provider_may_have_at_least_one_slot() -> None:
    """A share smaller than a slot is a slot."""
    assert share_out(2, 0, {}, ["a"], {"a": 0.1}) == [Want("a", 2, 1)]


@given(
    slots=st.integers(1, 64),
    running=st.lists(st.sampled_from(NAMES), max_size=64),
    others=st.integers(0, 4),
    waiting=st.permutations(NAMES),
    share=st.floats(0.05, 1.0),
)
def test_no_more_is_asked_for_than_there_is(
    slots: int, running: list[str], others: int, waiting: list[str], share: float
) -> None:
    """Whatever runs: free slots bound the sum, the share each one, the kept slot the rest."""
    counted = Counter(running)
    busy = len(running) + others
    wants = share_out(slots, busy, counted, waiting, dict.fromkeys(NAMES, share))
    free = max(0, slots - busy)
    kept = 1 if slots >= KEEP_ONE_FROM else 0

    assert sum(want.messages for want in wants) <= free
    assert sum(want.background for want in wants) <= max(0, free - kept)
    for want in wants:
        assert 0 <= want.background <= want.messages
        assert want.messages > 0
        assert counted[want.provider] + want.background <= max(
            1, int(slots * share), counted[want.provider]
        )
    assert len({want.provider for want in wants}) == len(wants)
