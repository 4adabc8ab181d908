"""Alembic loads this to run the steps, on the connection and in the transaction that store.migrate has opened."""

from alembic import context

from gateway.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
