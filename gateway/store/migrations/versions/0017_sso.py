"""Identity providers of tenants, the accounts linked to them, and sign-ins that wait for one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS sso_waits")
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.slug"), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("client_secret", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.String(500), nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("creates_accounts", sa.Boolean, nullable=False),
        sa.Column("counts_for_two", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger),
    )
    op.create_table(
        "sso_links",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("provider", sa.String(40), sa.ForeignKey("identity_providers.id"), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_sso_links_account", "sso_links", ["account"])
    op.create_index("uq_sso_links_provider_subject", "sso_links", ["provider", "subject"], unique=True)
    op.create_index("uq_sso_links_provider_account", "sso_links", ["provider", "account"], unique=True)
    op.create_table(
        "sso_waits",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("browser", sa.LargeBinary(32), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("session", sa.String(40), nullable=False),
        sa.Column("is_trial", sa.Boolean, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_sso_waits_began_at", "sso_waits", ["began_at"])
