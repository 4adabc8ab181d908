"""When administrators were warned that the certificate of a key of ours expires."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.add_column("sso_keys", sa.Column("warned_at", sa.BigInteger))
