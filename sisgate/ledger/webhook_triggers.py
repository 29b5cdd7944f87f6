"""The triggers that put ends of jobs into the outbox, in the transaction in which they end.

A job ends in many places, and the most frequent one is a statement that every call passes. A
trigger is passed by all of them, costs no statement, and reads which webhooks there are in the
transaction itself, so that no process can be late to know of a new one. It writes nothing while no
webhook has an interest.
"""

from collections.abc import Callable

_ENDS = "NEW.ended_at IS NOT NULL"
_ENDS_ANEW = f"{_ENDS} AND (OLD.ended_at IS NULL OR NEW.state <> OLD.state)"
"""Also when a person resolves a job whose outcome was unknown."""


def _insert(at: str) -> str:
    return f"""
        INSERT INTO webhook_outbox (topic, job_id, app, provider, resource, state, at)
        SELECT 'job', NEW.id, NEW.app, NEW.provider, NEW.resource, NEW.state, {at}
        WHERE EXISTS (
            SELECT 1 FROM webhook_interests
            WHERE topic IN ('job', NEW.kind) AND app IN (NEW.app, '*')
        );
    """  # noqa: S608 - our own words


# What a person resolved ended long ago, but is told of now.
_AT_UPDATE = "CASE WHEN OLD.ended_at IS NULL THEN NEW.ended_at END"


def put_on(execute: Callable[[str], object], dialect: str) -> None:
    """Create the triggers."""
    if dialect == "postgresql":
        execute(
            "CREATE OR REPLACE FUNCTION sisgate_job_ended() RETURNS trigger AS $$ BEGIN "
            f"{_insert(_AT_UPDATE)} RETURN NULL; END $$ LANGUAGE plpgsql"
        )
        for name, verb, condition in (
            ("ended", "UPDATE OF state, ended_at", _ENDS_ANEW),
            ("refused", "INSERT", _ENDS),
        ):
            execute(
                f"CREATE TRIGGER jobs_{name} AFTER {verb} ON jobs FOR EACH ROW "
                f"WHEN ({condition}) EXECUTE FUNCTION sisgate_job_ended()"
            )
        return
    for name, verb, condition, at in (
        ("ended", "UPDATE OF state, ended_at", _ENDS_ANEW, _AT_UPDATE),
        ("refused", "INSERT", _ENDS, "NEW.ended_at"),
    ):
        execute(
            f"CREATE TRIGGER jobs_{name} AFTER {verb} ON jobs WHEN {condition} "
            f"BEGIN {_insert(at)} END"
        )
