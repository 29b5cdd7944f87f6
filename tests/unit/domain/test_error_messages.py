"""Messages without values: alike errors read alike, and no name of a person survives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.error_messages import THEIRS, VOCABULARY, fingerprint_of, without_values

LETTERS = st.characters(categories=["Lu", "Ll", "Lo"])


@pytest.mark.parametrize(
    ("code", "message", "kept"),
    [
        ("provider_refused", "User 4711 not found", "user … not found"),
        ("provider_refused", "Insufficient scope for Zoë O'Neil (grade 7)",
         "insufficient scope for …"),
        ("provider_refused",
         "The provider answered 403: The app has no permission for this resource.",
         "the app has no permission for this resource"),
        ("provider_unavailable", "The provider did not answer within 2.5 s (ReadTimeout).",
         "The provider did not answer within … s (ReadTimeout)."),
        ("answer_invalid", 'The provider answered 200 with a failure in the body: "Ada is gone"',
         "The provider answered … with a failure in the body: …"),
    ],
)  # fmt: skip
def test_values_are_left_out(code: str, message: str, kept: str) -> None:
    """Numbers, names, ids and quotations."""
    found = without_values(code, message)
    assert found == kept or all(part in found for part in kept.split(" … "))
    for name in ("4711", "Zoë", "Neil", "Ada"):
        assert name not in found


@given(st.sampled_from(sorted(THEIRS)), st.lists(st.text(LETTERS, min_size=1), max_size=8))
def test_no_word_of_a_provider_survives_but_those_of_errors(code: str, words: list[str]) -> None:
    """Whatever it says."""
    found = without_values(code, " ".join(words))
    assert {each for each in found.replace("…", " ").split() if each.isalpha()} <= VOCABULARY


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_make_no_other_pattern(one: int, other: int) -> None:
    """Two errors that differ in a number are one pattern."""
    texts = [
        without_values("provider_unavailable", f"It broke after {n} bytes.") for n in (one, other)
    ]
    ids = [fingerprint_of("clark", "", "provider_unavailable", None, text) for text in texts]
    assert ids[0] == ids[1]
