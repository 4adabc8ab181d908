"""Engines, transactions, schema and migrations, on SQLite and PostgreSQL."""

from gateway.store.engine import Store, StoreUnavailable, Transaction

__all__ = ["Store", "StoreUnavailable", "Transaction"]
