"""What a tenant's identity provider is asked for when it asks people for two factors."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("identity_providers", sa.Column("acr_values", sa.String(200), nullable=False, server_default=""))
