"""Alembic's entry: runs the migrations over the connection that `migrate.upgrade` hands in."""

from alembic import context

from sisgate.ledger.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
