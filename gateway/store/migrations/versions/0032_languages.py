"""The language and time zone of people, and the language of tenants.

A choice takes effect on the next page, so it raises the revision, by triggers beside those of 0013. What the last
sign-in's browser had is for mails only, and raises nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

ACCOUNT = ("language", 8), ("zone", 40), ("last_language", 8), ("last_zone", 40)
# Table, what is watched, the account and the tenant that a change is about: for SQLite, and for PostgreSQL.
WATCHED = (
    ("accounts", "NEW.language <> OLD.language OR NEW.zone <> OLD.zone", "OLD.id", "''", "'id', ''"),
    ("tenants", "NEW.language <> OLD.language", "''", "OLD.slug", "'', 'slug'"),
)
SQLITE = """CREATE TRIGGER {table}_language_revision AFTER UPDATE ON {table} WHEN {changed} BEGIN
    UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));
    INSERT INTO changes (number, stamp, account, tenant, at)
        SELECT number, stamp, {account}, {tenant}, CAST(strftime('%s', 'now') AS INTEGER) FROM revision; END"""
POSTGRESQL = """CREATE TRIGGER {table}_language_revision AFTER UPDATE ON {table} FOR EACH ROW WHEN ({changed})
    EXECUTE FUNCTION note_change({arguments})"""


def upgrade() -> None:
    for name, length in ACCOUNT:
        op.add_column("accounts", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    op.add_column("tenants", sa.Column("language", sa.String(8), nullable=False, server_default=""))
    connection = op.get_bind()
    statement = SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL
    for table, changed, account, tenant, arguments in WATCHED:
        filled = statement.format(table=table, changed=changed, account=account, tenant=tenant, arguments=arguments)
        connection.exec_driver_sql(filled)
