"""The steps are run by store.migrate, which brings its own connection; Alembic wants this file to exist."""
