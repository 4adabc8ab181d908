"""Provisioning by a tenant's identity provider (SCIM): its tokens, the accounts that it manages, its groups.

`accounts.disabled_by` says who disabled an account: the provider may enable only those that it has disabled itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("disabled_by", sa.String(16), nullable=False, server_default=""))
    op.create_table(
        "scim_tokens",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.slug"), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_scim_tokens_tenant", "scim_tokens", ["tenant"])
    op.create_table(
        "scim_users",
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.slug"), nullable=False),
        sa.Column("external_id", sa.String(254), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_scim_users_tenant_external_id", "scim_users", ["tenant", "external_id"])
    op.create_table(
        "scim_groups",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.slug"), nullable=False),
        sa.Column("name", sa.String(254), nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("external_id", sa.String(254), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("uq_scim_groups_tenant_name_key", "scim_groups", ["tenant", "name_key"], unique=True)
    op.create_table(
        "scim_members",
        sa.Column("of_group", sa.String(40), sa.ForeignKey("scim_groups.id"), primary_key=True),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), primary_key=True),
    )
    op.create_index("ix_scim_members_account", "scim_members", ["account"])
