"""Alembic loads this to run the steps, on the connection and in the transaction that store.migrate has opened."""

from alembic import context

from gateway.store.schema import metadata

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=metadata,
    version_table=given.get("version_table", "alembic_version"),
)
context.run_migrations()
