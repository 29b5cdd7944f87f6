"""How the records of a page are found in a table that nobody has analysed."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from sisgate.ledger import datasets, page_statements
from sisgate.ledger.database import Database
from tests.contract.ledger.rows import row, write

STORED = 5_000
COST = 5_000
"""Far below the 100,000 from which PostgreSQL compiles a statement, whatever the table's size."""


@pytest.mark.usefixtures("unanalysed")
def test_the_records_of_a_page_are_each_found_by_the_primary_key(database: Database) -> None:
    """The whole dataset at each page would make a first load quadratic."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        event.listen(database.engine, "before_cursor_execute", note)
        try:
            found = page_statements.known(session, dataset, [f"{n}" for n in range(100)])
        finally:
            event.remove(database.engine, "before_cursor_execute", note)
        assert len(found) == 100
        statement, parameters = asked[0]
        how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (FORMAT JSON)"
        plan = session.connection().exec_driver_sql(f"{how} {statement}", parameters).all()
    if database.is_sqlite:
        key = "(provider=? AND resource=? AND sourced_id=?)"
        lines = [step[3] for step in plan if "records" in step[3]]
        assert lines == [f"SEARCH records USING INDEX sqlite_autoindex_records_1 {key}"]
        return
    whole = plan[0][0][0]["Plan"]
    assert {each["Node Type"] for each in _of_records(whole)} == {"Index Scan"}
    assert whole["Total Cost"] < COST


def _of_records(plan: Any) -> Iterator[Any]:
    if plan.get("Relation Name") == "records":
        yield plan
    for part in plan.get("Plans", ()):
        yield from _of_records(part)


@pytest.fixture
def unanalysed(database: Database) -> None:
    """Many records without statistics."""
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE records SET (autovacuum_enabled = false)")
    write(database, [row(f"{n}", n) for n in range(STORED)])
