"""The cells of imported rows as they were typed, so that those with mistakes can be downloaded and corrected."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("imports", sa.Column("separator", sa.String(1), nullable=False, server_default=","))
    op.add_column("import_rows", sa.Column("cells", sa.Text, nullable=False, server_default=""))
    op.add_column("import_rows", sa.Column("wrong", sa.String(16), nullable=False, server_default=""))
