"""Whatever dies, a fleet on PostgreSQL keeps what it promises: docs/explanation/reliability.md."""

from pathlib import Path

from tests.faults.promises import keep_through_kills


def test_kills_and_cuts_lose_nothing_double_nothing_and_pass_no_limit(tmp_path: Path) -> None:
    """31 processes and servers killed; the same work is done as when nothing happens."""
    keep_through_kills(tmp_path, "postgresql")
