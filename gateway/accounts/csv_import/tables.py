"""Tables of CSV imports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table, Text

from gateway.store.schema import metadata

imports = Table(
    "imports",  # `invited`, `skipped` and `refused` count the processed rows
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63)),  # NULL: the owner's, each row names its tenant
    Column("asked", Text),  # JSON of record.Asked
    Column("bytes", Integer, nullable=False),  # of the file
    Column("total", Integer, nullable=False),
    Column("invited", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("separator", String(1), nullable=False, server_default=","),  # between the cells of the file
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger, nullable=False),  # the end of a lease
    Column("finished_at", BigInteger),
)

import_rows = Table(
    "import_rows",  # the rows of people who were invited are deleted
    metadata,
    Column("import_id", String(40), ForeignKey("imports.id"), primary_key=True),
    Column("line", Integer, primary_key=True),  # in the file
    Column("state", String(8), nullable=False),
    Column("email", String(320), nullable=False),  # the text in the file, truncated
    Column("identifier", String(254), nullable=False),  # "" if the email is invalid
    Column("name", String(200), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("role", String(16), nullable=False),
    Column("modules", String(64), nullable=False),
    Column("department", String(64), nullable=False),  # a department that grants no module
    Column("reason", Text, nullable=False),
    Column("other_line", Integer),  # with the same email
    Column("cells", Text, nullable=False, server_default=""),  # JSON: as typed, by column
    Column("wrong", String(16), nullable=False, server_default=""),  # the column that can't be accepted
)
