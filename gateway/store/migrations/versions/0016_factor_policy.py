"""What a tenant demands of its people's factors. A change takes effect on the next request, so it raises the revision.

A version from before this step doesn't know the policy, and admits people as before it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

CHANGED = "NEW.slug <> OLD.slug OR NEW.status <> OLD.status OR NEW.factor_policy <> OLD.factor_policy"
SQLITE = f"""CREATE TRIGGER tenants_update_revision AFTER UPDATE ON tenants WHEN {CHANGED} BEGIN
    UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));
    INSERT INTO changes (number, stamp, account, tenant, at)
        SELECT number, stamp, '', OLD.slug, CAST(strftime('%s', 'now') AS INTEGER) FROM revision; END"""  # noqa: S608 - nothing of it comes from outside
POSTGRESQL = f"""CREATE TRIGGER tenants_update_revision AFTER UPDATE ON tenants FOR EACH ROW WHEN ({CHANGED})
    EXECUTE FUNCTION note_change('', 'slug')"""


def upgrade() -> None:
    op.add_column("tenants", sa.Column("factor_policy", sa.String(200), nullable=False, server_default=""))
    op.add_column("tenants", sa.Column("passkey_models", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql(f"DROP TRIGGER tenants_update_revision{'' if is_sqlite else ' ON tenants'}")
    connection.exec_driver_sql(SQLITE if is_sqlite else POSTGRESQL)
