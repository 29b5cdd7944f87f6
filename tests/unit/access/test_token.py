"""What a token looks like, and what it does not show."""

import pickle
import re
import string

from hypothesis import given
from hypothesis import strategies as st

from sisgate.access.tokens import PATTERN, new_token, read_token


def test_a_new_token_is_recognised_and_read_back() -> None:
    """By its prefix, with its id, whole."""
    token = new_token()
    text = token.value.get_secret_value()
    assert text.startswith(f"sisgate_{token.id}_")
    assert PATTERN.fullmatch(text)
    read = read_token(text)
    assert read is not None
    assert (read.id, read.digest) == (token.id, token.digest)


def test_two_tokens_have_nothing_in_common() -> None:
    """256 random bits each."""
    tokens = {new_token().digest for _ in range(200)}
    assert len(tokens) == 200


def test_a_token_does_not_show_itself() -> None:
    """Neither by repr nor by str."""
    token = new_token()
    secret = token.value.get_secret_value()
    assert secret not in repr(token) + str(token) + f"{token.value}"


@given(st.data())
def test_one_wrong_character_is_found_without_a_database(data: st.DataObject) -> None:
    """The checksum covers prefix, id and secret."""
    text = new_token().value.get_secret_value()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits))
    changed = text[:place] + other + text[place + 1 :]
    assert (read_token(changed) is None) is (changed != text)


@given(st.text(max_size=80))
def test_anything_else_is_no_token(text: str) -> None:
    """And raises nothing."""
    assert read_token(text) is None or re.fullmatch(PATTERN, text)


def test_a_digest_does_not_hold_the_token() -> None:
    """What is stored cannot be used."""
    token = new_token()
    assert token.value.get_secret_value().encode() not in pickle.dumps(token.digest)
    assert len(token.digest) == 32
