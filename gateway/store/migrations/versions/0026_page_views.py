"""Page views, and the switch of each tenant. A change of the switch takes effect on the next request: it raises the
revision, as what a tenant demands does (0016).
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

SQLITE = """CREATE TRIGGER tenants_page_views_revision AFTER UPDATE ON tenants
    WHEN NEW.page_views_since IS NOT OLD.page_views_since BEGIN
    UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));
    INSERT INTO changes (number, stamp, account, tenant, at)
        SELECT number, stamp, '', OLD.slug, CAST(strftime('%s', 'now') AS INTEGER) FROM revision; END"""
POSTGRESQL = """CREATE TRIGGER tenants_page_views_revision AFTER UPDATE ON tenants FOR EACH ROW
    WHEN (NEW.page_views_since IS DISTINCT FROM OLD.page_views_since) EXECUTE FUNCTION note_change('', 'slug')"""


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("tenants", sa.Column("page_views_since", sa.BigInteger))
    op.add_column("tenants", sa.Column("page_views_reason", sa.String(200), nullable=False, server_default=""))
    connection.exec_driver_sql(SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL)
    # A backup from before this step leaves this table of the store that it is restored over.
    connection.exec_driver_sql("DROP TABLE IF EXISTS page_views")
    op.create_table(
        "page_views",
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("session", sa.String(40), primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("views", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_page_views_at", "page_views", ["at"])
