"""When people were warned that an API token or a provisioning token expires."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    for table in ("api_tokens", "scim_tokens"):
        op.add_column(table, sa.Column("warned_at", sa.BigInteger))
