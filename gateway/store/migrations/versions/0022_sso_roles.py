"""What the app roles and groups of a tenant's identity provider give people here."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS sso_role_maps")
    op.add_column("sso_links", sa.Column("asserted", sa.Text))
    op.create_table(
        "sso_role_maps",
        sa.Column(
            "provider", sa.String(40), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("claim", sa.String(100), nullable=False),
        sa.Column("default_role", sa.String(16), nullable=False),
        sa.Column("names_follow", sa.Boolean, nullable=False),
        sa.Column("roles_follow", sa.Boolean, nullable=False),
        sa.Column("told_at", sa.BigInteger),
    )
