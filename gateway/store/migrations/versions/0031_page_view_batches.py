"""What a worker has written of page views, until it is moved to the rows of its sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS page_view_batches")
    op.create_table(
        "page_view_batches",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
    )
    waiting = sa.text("size > 0")
    op.create_index(
        "ix_page_view_batches_at", "page_view_batches", ["at"], sqlite_where=waiting, postgresql_where=waiting
    )
