"""Devices that were revoked: they are not known any more."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "forgotten_devices",
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_forgotten_devices_account"),
        sa.PrimaryKeyConstraint("account", "device", name="pk_forgotten_devices"),
    )
