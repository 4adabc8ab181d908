"""Which user of the application an account follows: its id there, or its email as it is spelled there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("imported", sa.Column("user_key", sa.String(320)))
