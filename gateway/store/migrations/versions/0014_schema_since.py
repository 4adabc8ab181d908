"""Who may use the store: versions from this schema on. A step that takes away what the version before reads raises it.

So a version that is older than the store can tell whether it may go on, and start again, while its successor takes
over machine by machine (docs/architecture.md, "A migration").
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    # A backup from before this step leaves the table of the store that it is restored over.
    op.get_bind().exec_driver_sql("DROP TABLE IF EXISTS schema_since")
    table = op.create_table(
        "schema_since",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.String(32), nullable=False),
    )
    op.bulk_insert(table, [{"id": 1, "revision": "0014"}])
