"""Which account signed in last in which browser, and which cookies the application has set there; kept forms belong to
a browser. Those of before waited for ten minutes at most, and are let go."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.drop_table("kept_forms")
    op.create_table(
        "kept_forms",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_key", sa.LargeBinary(32), nullable=False),
        sa.Column("account", sa.String(40)),
        sa.Column("source", sa.String(50)),
        sa.Column("browser_key", sa.LargeBinary(32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_kept_forms_account"),
        sa.PrimaryKeyConstraint("id", name="pk_kept_forms"),
        sa.UniqueConstraint("token_key", name="uq_kept_forms_token_key"),
    )
    op.create_index("ix_kept_forms_account", "kept_forms", ["account"])
    op.create_index("ix_kept_forms_kept_at", "kept_forms", ["kept_at"])
    op.create_table(
        "browsers",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_browsers_account"),
        sa.PrimaryKeyConstraint("key", name="pk_browsers"),
    )
    op.create_index("ix_browsers_account", "browsers", ["account"])
    op.create_index("ix_browsers_seen_at", "browsers", ["seen_at"])
    op.create_table(
        "browser_cookies",
        sa.Column("browser", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("domain", sa.String(256), nullable=False),
        sa.Column("path", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("browser", "name", "domain", "path", name="pk_browser_cookies"),
    )
