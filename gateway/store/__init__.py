"""Engines, transactions, schema and migrations, on SQLite and PostgreSQL."""
