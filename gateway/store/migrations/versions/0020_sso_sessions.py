"""Which sign-in at a provider a session came from, and the sign-outs that providers have sent."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS sso_logouts")
    op.create_table(
        "sso_sessions",
        sa.Column("holder", sa.String(40), primary_key=True),
        sa.Column("provider", sa.String(40), primary_key=True),
        sa.Column("sid", sa.String(256), primary_key=True),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("hint", sa.String(256), nullable=False),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_sso_sessions_account", "sso_sessions", ["account"])
    op.create_index("ix_sso_sessions_at", "sso_sessions", ["at"])
    op.create_index("ix_sso_sessions_provider_sid", "sso_sessions", ["provider", "sid"])
    op.create_index("ix_sso_sessions_provider_subject", "sso_sessions", ["provider", "subject"])
    op.create_table(
        "sso_logouts",
        sa.Column("provider", sa.String(40), primary_key=True),
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("sid", sa.String(256), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_sso_logouts_at", "sso_logouts", ["at"])
