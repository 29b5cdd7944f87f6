"""What the newest verification of the audit log found, so that everybody learns of it."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sisgate.ledger.schema import AuditVerification
from sisgate.ledger.statements import change


def note(session: Session, verification: AuditVerification) -> None:
    """Note what a verification found, in place of the one before."""
    change(session, delete(AuditVerification))
    session.add(verification)


def newest(session: Session) -> AuditVerification | None:
    """Return the newest verification, None if there was none."""
    query = select(AuditVerification).order_by(AuditVerification.id.desc()).limit(1)
    return session.scalar(query)
