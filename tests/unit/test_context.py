"""What a context makes, it makes once."""

import threading
from pathlib import Path

import pytest

from sisgate.context import Context
from sisgate.settings import Settings


def test_threads_that_ask_together_share_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread runs `master_key_command`, another one that needs the keys waits for it."""
    context = Context(Settings(data_dir=tmp_path))
    asking, reading_twice = threading.Event(), threading.Event()
    keys = []

    def ask() -> None:
        asking.set()
        keys.append(context.master_keys)

    second = threading.Thread(target=ask)
    begun: list[object] = []

    def read_master_keys(_settings: Settings) -> list[object]:
        begun.append(None)
        if len(begun) > 1:
            reading_twice.set()
            return []
        second.start()
        assert asking.wait(10)
        # Bounded, since the second thread is to come no further.
        reading_twice.wait(0.2)
        return []

    monkeypatch.setattr("sisgate.context.master_keys", read_master_keys)
    keys.append(context.master_keys)
    second.join(10)
    context.close()
    assert len(begun) == 1
    assert keys[0] is keys[1]
