"""Email domains that tenants prove themselves, by a DNS record. Claims from before this step are the owner's grants."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS domain_challenges")
    op.add_column("domain_claims", sa.Column("is_proved", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "domain_challenges",
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.slug"), primary_key=True),
        sa.Column("domain", sa.String(253), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
