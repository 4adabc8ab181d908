"""Engines, transactions, schema and migrations, on SQLite and PostgreSQL."""

from gateway.store.engine import Store, Transaction
from gateway.store.unavailable import StoreUnavailable

__all__ = ["Store", "StoreUnavailable", "Transaction"]
