"""Indexes that find the last sync of a dataset, of an app or of any, without reading all others

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index(
        "ix_jobs_provider_resource_ended_at", "jobs", ["provider", "resource", "ended_at"]
    )
    op.create_index(
        "ix_jobs_app_provider_resource_ended_at",
        "jobs",
        ["app", "provider", "resource", "ended_at"],
    )
