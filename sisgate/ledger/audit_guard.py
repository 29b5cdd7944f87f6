"""The triggers that refuse to change or delete what the audit log holds.

They stop mistakes and what can write but not change tables. Who may drop them is found by
verification. Retention takes them off for the time of one transaction.
"""

from collections.abc import Callable

TABLES = ("audit_events", "audit_seals")

_REFUSAL = "the audit log is only added to; see docs/explanation/audit.md"


def put_on(execute: Callable[[str], object], dialect: str) -> None:
    """Create the triggers."""
    if dialect == "postgresql":
        execute(
            "CREATE OR REPLACE FUNCTION sisgate_audit_refuse() RETURNS trigger AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$ LANGUAGE plpgsql"
        )
    for table in TABLES:
        if dialect == "postgresql":
            execute(
                f"CREATE TRIGGER {table}_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION sisgate_audit_refuse()"
            )
        else:
            for verb in ("update", "delete"):
                execute(
                    f"CREATE TRIGGER {table}_{verb}_guard BEFORE {verb.upper()} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
                )


def take_off(execute: Callable[[str], object], dialect: str) -> None:
    """Drop the triggers; needs the right to, which on PostgreSQL the tables' owner has."""
    for table in TABLES:
        if dialect == "postgresql":
            execute(f"DROP TRIGGER {table}_guard ON {table}")
        else:
            for verb in ("update", "delete"):
                execute(f"DROP TRIGGER {table}_{verb}_guard")
