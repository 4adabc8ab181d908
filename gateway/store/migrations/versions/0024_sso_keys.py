"""Keys with which the gateway proves itself to identity providers, in a client secret's place."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "sso_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("provider", sa.String(40), sa.ForeignKey("identity_providers.id"), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("algorithm", sa.String(8), nullable=False),
        sa.Column("private", sa.LargeBinary, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger),
    )
    op.create_index("uq_sso_keys_provider_state", "sso_keys", ["provider", "state"], unique=True)
    op.add_column("identity_providers", sa.Column("signs", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("sso_waits", sa.Column("client_key", sa.String(40), nullable=False, server_default=""))
