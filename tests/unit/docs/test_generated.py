"""The generated parts of the documentation are those of the code."""

import pytest

from sisgate.domain.response_class import RULES, ResponseClass
from tests.unit.docs.generated import DOCS, PARTS, filled


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_the_page_has_what_the_code_says(name: str, part: str) -> None:
    """Whoever changes an option, a rule or an error runs `make docs`."""
    page = (DOCS / name).read_text("utf-8")
    assert page == filled(page, part, PARTS[name, part]()), f"docs/{name} is old: run `make docs`"


def test_every_class_of_response_has_a_rule() -> None:
    """A new class without one would fail a call when it first comes."""
    assert set(RULES) == set(ResponseClass)
