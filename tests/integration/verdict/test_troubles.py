"""Each kind of trouble, injected into a fleet under load: the verdict names who is at fault."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from testbed.ledgers import Ledgers
from testbed.troubles import injection


@pytest.mark.parametrize("kind", injection.KINDS)
def test_the_verdict_names_who_is_at_fault(
    kind: str, tmp_path: Path, redis_url: str, ledgers: Ledgers
) -> None:
    """Within two evaluations, and never somebody else with confidence."""
    seed = zlib.crc32(kind.encode())
    database_url = ledgers.sqlite(tmp_path / "ledger.sqlite3")
    result = injection.run(kind, seed, tmp_path, redis_url, database_url)
    assert result.is_right, result.told
    assert result.wrong == [], result.told
