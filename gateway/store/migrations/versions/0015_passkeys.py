"""Passkeys, and the challenges that were answered, until they expire.

A version from before this step can't ask for a passkey: it refuses the requests of accounts that need one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS answered_challenges")
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("credential", sa.LargeBinary(1_023), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("is_backup_eligible", sa.Boolean, nullable=False),
        sa.Column("is_backed_up", sa.Boolean, nullable=False),
        sa.Column("is_discoverable", sa.Boolean),
        sa.Column("verifies", sa.Boolean, nullable=False),
        sa.Column("aaguid", sa.String(36), nullable=False),
        sa.Column("transports", sa.String(200), nullable=False),
        sa.Column("rp_id", sa.String(253), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_passkeys_account", "passkeys", ["account"])
    op.create_index("uq_passkeys_credential", "passkeys", ["credential"], unique=True)
    op.create_table(
        "answered_challenges",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_answered_challenges_expires_at", "answered_challenges", ["expires_at"])
