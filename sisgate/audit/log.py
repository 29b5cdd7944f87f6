"""Writing the audit log; `sisgate.ledger.audit_log` reads it."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.content import compact_json
from sisgate.audit.writers import writers_of

REASON_LIMIT = 500


def record(
    session: Session,
    now: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str | None = None,
    provider: str | None = None,
    job: str | None = None,
    request_id: str | None = None,
    **detail: Any,
) -> None:
    """Add an event to the transaction of what it is about: both are committed, or neither.

    `action` is `source:subject:action`, for instance `limits:provider:set`. Events can be searched
    by `provider` and `job`; `request_id` is the app's own id of its request, None for that of the
    job. Neither secrets nor student data belong in any of it: a person is named by a pseudonym
    (`sisgate.privacy.suppression`). Without an audit key the commit raises and is undone.
    """
    detail = {name: value for name, value in detail.items() if value is not None}
    draft = (
        now, _clean(actor, 100), _clean(action, 100), _clean(subject, 255),
        _clean(reason, REASON_LIMIT) if reason else None,
        _clean(provider, 63) if provider else None, _clean(job, 36) if job else None,
        _clean(request_id, 100) if request_id else None,
        _clean(compact_json(detail), None) if detail else None,
    )  # fmt: skip
    writers_of(session).add(session, draft)


def _clean(text: str, limit: int | None) -> str:
    # PostgreSQL stores no NUL, and no half of a surrogate pair is UTF-8.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
