"""The tables of files of people."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table, Text

from gateway.store.schema import metadata

imports = Table(
    "imports",  # files of people; the counts are those of its rows that were worked through
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63)),  # none: the owner's, each row names its own
    Column("asked", Text),  # who started it, from where: for the audit log
    Column("bytes", Integer, nullable=False),  # of the file
    Column("total", Integer, nullable=False),
    Column("invited", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger, nullable=False),  # the end of a lease
    Column("finished_at", BigInteger),
)

import_rows = Table(
    "import_rows",  # what waits to be invited, and what was left out; who is invited has an account instead
    metadata,
    Column("import_id", String(40), ForeignKey("imports.id"), primary_key=True),
    Column("line", Integer, primary_key=True),  # in the file
    Column("state", String(8), nullable=False),
    Column("email", String(320), nullable=False),  # as it stood in the file, cut off
    Column("identifier", String(254), nullable=False),  # "" for what is no email
    Column("name", String(200), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("role", String(16), nullable=False),
    Column("modules", String(64), nullable=False),
    Column("department", String(64), nullable=False),  # one that gives no module
    Column("reason", Text, nullable=False),
    Column("other_line", Integer),  # which has the same email
)
