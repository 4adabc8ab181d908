"""Attempts, factors, kept forms and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_key", sa.LargeBinary(32), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("proofs", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_attempts_account"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("token_key", name="uq_attempts_token_key"),
    )
    op.create_index("ix_attempts_account", "attempts", ["account"])
    op.create_index("ix_attempts_started_at", "attempts", ["started_at"])
    op.create_table(
        "totp",
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("secret", sa.LargeBinary()),
        sa.Column("demanded_at", sa.BigInteger()),
        sa.Column("confirmed_at", sa.BigInteger()),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("drift", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_totp_account"),
        sa.PrimaryKeyConstraint("account", name="pk_totp"),
    )
    op.create_table(
        "backup_codes",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_backup_codes_account"),
        sa.PrimaryKeyConstraint("id", name="pk_backup_codes"),
    )
    op.create_index("ix_backup_codes_account", "backup_codes", ["account"])
    op.create_table(
        "magic_links",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_key", sa.LargeBinary(32), nullable=False),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("superseded_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_magic_links_account"),
        sa.PrimaryKeyConstraint("id", name="pk_magic_links"),
        sa.UniqueConstraint("token_key", name="uq_magic_links_token_key"),
    )
    op.create_index("ix_magic_links_account", "magic_links", ["account"])
    op.create_index("ix_magic_links_created_at", "magic_links", ["created_at"])
    op.create_index("ix_magic_links_holder", "magic_links", ["holder"])
    op.create_table(
        "kept_forms",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_key", sa.LargeBinary(32), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
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
        "outbox",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("account", sa.String(40)),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("abandoned_at", sa.BigInteger()),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_account", "outbox", ["account"])
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.create_table(
        "streaks",
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("factor", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("wait_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_streaks_account"),
        sa.PrimaryKeyConstraint("account", "factor", "origin", name="pk_streaks"),
    )
