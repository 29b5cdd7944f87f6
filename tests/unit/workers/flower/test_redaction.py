"""What Flower may keep of a task."""

import pytest

from workers.flower.redaction import without_data

NAME = "Kanarienna Vogelsangova"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("args", f"('{NAME}',)"),
        ("kwargs", f"{{'student': '{NAME}'}}"),
        ("kwargs", f"{{'resource': '{NAME}'}}"),
        ("kwargs", f"{{'{NAME}': 1}}"),
        ("kwargs", f"{{'job_id': ['{NAME}']}}"),
        ("kwargs", f"{{'job_id': '{NAME}"),
        ("kwargs", f"{NAME}" * 1000),
        ("result", f"'{NAME}'"),
        ("result", f"{{'student': '{NAME}'}}"),
        ("result", f"'job a1: {NAME}'"),
        ("exception", f"KeyError('{NAME}')"),
        ("exception", NAME),
        ("traceback", f"Traceback (most recent call last):\nKeyError: {NAME}\n{NAME}"),
        ("traceback", f"ValueError: first\n    {NAME}\n        {NAME}"),
        ("traceback", f"ValueError: first\n  {NAME}\n    \n{NAME}: {NAME}"),
    ],
)
def test_no_text_of_others_is_kept(field: str, text: str) -> None:
    """Whatever a message or an error says, and however it is written."""
    kept = without_data({"type": "task-failed", "uuid": "a", field: text})
    assert not any(part in str(kept) for part in NAME.split())


def test_ids_and_our_own_words_are_kept() -> None:
    """By them an operator finds the job."""
    event = {
        "type": "task-received", "uuid": "a-b", "name": "sisgate.sync", "args": "()",
        "kwargs": "{'provider': 'lincoln', 'resource': 'students', 'timeout': 60.0, 'app': None}",
    }  # fmt: skip
    assert without_data(event) == event | {
        "kwargs": "{'provider': 'lincoln', 'resource': 'students', 'timeout': 60.0, 'app': …}"
    }
    result = {"type": "task-succeeded", "uuid": "a", "result": "'job a1: answered 200'"}
    assert without_data(result) == result


def test_a_traceback_keeps_its_places() -> None:
    """They are what a developer needs first."""
    text = 'Traceback (most recent call last):\n  File "a.py", line 2, in b\n    c()\nKeyError: 1'
    kept = without_data({"type": "task-failed", "traceback": text})["traceback"]
    assert kept == text.removesuffix(": 1")
