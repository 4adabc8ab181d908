"""Whose email it is: domains that tenants claim, changes of email that wait or can be undone, identifiers respelled.

Identifiers are spelled here by the rule of the day; a later change of the program's own code does not change what this
step writes. Where the new spelling belongs to another account, both stay as they are, and `check-config` names the one
that can't sign in: nobody is merged.
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

SPELLED = ("accounts", "imported", "mailed_links")


def upgrade() -> None:
    create_tables()
    taken = set(op.get_bind().execute(sa.text("SELECT identifier FROM accounts")).scalars())
    for table in SPELLED:
        respell_all(table, taken)


def create_tables() -> None:
    op.create_table(
        "domain_claims",
        sa.Column("domain", sa.String(253), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(254), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.slug"], name="fk_domain_claims_tenant"),
        sa.PrimaryKeyConstraint("domain", name="pk_domain_claims"),
    )
    op.create_index("ix_domain_claims_tenant", "domain_claims", ["tenant"])
    op.create_table(
        "email_changes",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("old", sa.String(254), nullable=False),
        sa.Column("new", sa.String(254), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("old_agreed_at", sa.BigInteger()),
        sa.Column("new_agreed_at", sa.BigInteger()),
        sa.Column("done_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_email_changes_account"),
        sa.PrimaryKeyConstraint("id", name="pk_email_changes"),
    )
    op.create_index("ix_email_changes_account", "email_changes", ["account"])
    op.create_index("ix_email_changes_asked_at", "email_changes", ["asked_at"])
    op.create_index("ix_email_changes_old", "email_changes", ["old"])


def respell_all(table: str, taken: set[str]) -> None:
    connection = op.get_bind()
    found = connection.execute(sa.text(f"SELECT DISTINCT identifier FROM {table}")).scalars().all()  # noqa: S608
    for old in found:
        new = respell(old)
        if new == old or (table == "accounts" and new in taken):
            continue
        statement = sa.text(f"UPDATE {table} SET identifier = :new WHERE identifier = :old")  # noqa: S608
        connection.execute(statement, {"new": new, "old": old})
        if table == "accounts":
            taken.add(new)


def respell(identifier: str) -> str:
    """Versions before left a dot behind (U+3002 at the end), and letters that were not in NFKC and lower case."""
    local, _, domain = identifier.partition("@")
    settled = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).lower())
    return f"{settled}@{domain.rstrip('.')}"
