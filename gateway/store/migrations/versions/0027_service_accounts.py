"""Service accounts: accounts of a tenant that are no person's, and act by API tokens only.

The check holds for programs of before too, which know nothing of the column: they give no such account a password or a
factor, and so no way to sign in.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

FALSE = {"sqlite": "0", "postgresql": "false"}
COLUMN = """is_service BOOLEAN DEFAULT {false} NOT NULL
    CONSTRAINT ck_accounts_service CHECK (NOT is_service OR (password_hash IS NULL AND enrolled = ''))"""


def upgrade() -> None:
    connection = op.get_bind()
    column = " ".join(COLUMN.format(false=FALSE[connection.dialect.name]).split())
    connection.exec_driver_sql(f"ALTER TABLE accounts ADD COLUMN {column}")
