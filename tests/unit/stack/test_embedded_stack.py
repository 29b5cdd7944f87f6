"""What the embedded stack says of itself."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sisgate.settings import Settings
from sisgate.stack.embedded_stack import EmbeddedStack
from testbed.clock import ManualClock


def test_its_own_lines_are_like_those_of_programs(tmp_path: Path) -> None:
    """With time, level, process and process id."""
    told: list[Mapping[str, Any]] = []
    stack = EmbeddedStack(
        Settings(data_dir=tmp_path), ManualClock(), on_event=lambda _, event: told.append(event)
    )
    stack.tell("stopped")
    stack.stop()
    (event,) = told
    assert list(event) == ["timestamp", "level", "process", "event", "pid"]
    assert (event["level"], event["process"], event["pid"]) == ("info", "sisgate", os.getpid())
