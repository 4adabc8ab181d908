"""What each machine depends on, whether it works, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    # A backup from before this step leaves this table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS conditions")
    op.create_table(
        "conditions",
        sa.Column("machine", sa.String(255), primary_key=True),
        sa.Column("part", sa.String(16), primary_key=True),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
    )
