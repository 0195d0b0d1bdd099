"""Run by Alembic: applies the migrations on the connection that `database.upgrade` (or a test) hands over."""

from __future__ import annotations

from alembic import context

from sottovoce.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
