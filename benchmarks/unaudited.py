"""`celery -A benchmarks.unaudited`: the workers as they are, but nothing reaches the audit log."""

from sqlalchemy.orm import Session

from sisgate.audit.writers import Writers
from workers import celery


def _drop(_self: Writers, session: Session) -> None:
    session.info.clear()


Writers.before_commit = _drop  # type: ignore[method-assign,assignment]

__all__ = ["celery"]
