"""The migrations are one line: each follows the one before, and one is the newest."""

from sisgate.ledger import migrate


def test_there_is_one_newest_migration_and_files_are_numbered_in_order() -> None:
    """Two that were written at the same time would leave a ledger that cannot be upgraded."""
    versions = [script.revision for script in migrate.history()]
    assert versions == [f"{number:04}" for number in range(1, len(versions) + 1)]
    assert migrate.newest() == versions[-1]
