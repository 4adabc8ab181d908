"""From which networks a tenant's people, and an account, may sign in and send requests (model.network_rule).

A change takes effect on the next request, so it raises the revision, by triggers beside those of 0013. A version from
before this step doesn't know the rules, and admits people as before it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

CHANGED = "NEW.networks <> OLD.networks"
# Table, the account and the tenant that a change is about: for SQLite, and for PostgreSQL.
WATCHED = (
    ("accounts", "OLD.id", "''", "'id', ''"),
    ("tenants", "''", "OLD.slug", "'', 'slug'"),
)
SQLITE = """CREATE TRIGGER {table}_networks_revision AFTER UPDATE ON {table} WHEN {changed} BEGIN
    UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));
    INSERT INTO changes (number, stamp, account, tenant, at)
        SELECT number, stamp, {account}, {tenant}, CAST(strftime('%s', 'now') AS INTEGER) FROM revision; END"""
POSTGRESQL = """CREATE TRIGGER {table}_networks_revision AFTER UPDATE ON {table} FOR EACH ROW WHEN ({changed})
    EXECUTE FUNCTION note_change({arguments})"""


def upgrade() -> None:
    connection = op.get_bind()
    statement = SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL
    for table, account, tenant, arguments in WATCHED:
        op.add_column(table, sa.Column("networks", sa.Text, nullable=False, server_default=""))
        filled = statement.format(table=table, changed=CHANGED, account=account, tenant=tenant, arguments=arguments)
        connection.exec_driver_sql(filled)
