"""Accounts that follow the application's own users: what the last import saw of each."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "imported",
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("identifier", sa.String(254), nullable=False),
        sa.Column("hash_digest", sa.LargeBinary(32)),
        sa.Column("was_created", sa.Boolean(), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_imported_account"),
        sa.PrimaryKeyConstraint("account", "source", name="pk_imported"),
    )
