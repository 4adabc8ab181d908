"""The tables that several packages read; every other table is defined beside its rows, on the same `metadata`.

Times are integer UTC seconds; enumerations are text with a check; tokens are SHA-256 digests.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

from gateway.model.account import Role, Status

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows only if the key is called INTEGER; PostgreSQL needs eight bytes for the same.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, values: type[Role] | type[Status]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


tenants = Table(
    "tenants",
    metadata,
    Column("slug", String(63), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("factor_policy", String(200), nullable=False, server_default=""),  # see model.factor_policy.TenantPolicy
    Column("passkey_models", Text, nullable=False, server_default=""),  # AAGUIDs of the only ones to be added
    Column("networks", Text, nullable=False, server_default=""),  # see model.network_rule
    Column("page_views_since", BigInteger),  # when the owner had page views recorded; NULL if they are not
    Column("page_views_reason", String(200), nullable=False, server_default=""),
    Column("language", String(8), nullable=False, server_default=""),  # see languages.reader
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("identifier", String(254), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("modules", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("password_hash", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("enrolled", String(200), nullable=False, server_default=""),  # the factors set up (model.factor.Enrolled)
    Column("disabled_by", String(16), nullable=False, server_default=""),  # see accounts.rows.set_status
    Column("networks", Text, nullable=False, server_default=""),  # see model.network_rule
    Column("language", String(8), nullable=False, server_default=""),  # what the person has chosen, "" for nothing
    Column("zone", String(40), nullable=False, server_default=""),
    Column("last_language", String(8), nullable=False, server_default=""),  # those of the last sign-in's browser
    Column("last_zone", String(40), nullable=False, server_default=""),
    Column(
        "is_service",  # no person's: see tokens.service_accounts
        Boolean,
        CheckConstraint("NOT is_service OR (password_hash IS NULL AND enrolled = '')", name="service"),
        nullable=False,
        server_default=false(),
    ),
    one_of("role", Role),
    one_of("status", Status),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("proofs", Text, nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(512), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

totp = Table(
    "totp",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("secret", LargeBinary),  # sealed; NULL while enrolment is only demanded
    Column("demanded_at", BigInteger),  # reset by an admin: must be set up again at the next sign-in
    Column("confirmed_at", BigInteger),
    Column("used_at", BigInteger),
    Column("last_step", BigInteger, nullable=False),
    Column("drift", Integer, nullable=False),
)

backup_codes = Table(
    "backup_codes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

magic_links = Table(
    "magic_links",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("holder", String(40), nullable=False, index=True),  # the attempt or session that it completes
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    Column("superseded_at", BigInteger),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("template", String(64), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column("account", String(40), index=True),
    Column("content", LargeBinary, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),  # also the end of a lease
    Column("tries", Integer, nullable=False),
    Column("sent_at", BigInteger),
    Column("abandoned_at", BigInteger),
    Column("trouble", Text, nullable=False),
)

email_changes = Table(
    "email_changes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("old", String(254), nullable=False, index=True),
    Column("new", String(254), nullable=False),
    Column("asked_by", String(200), nullable=False),  # the name of an administrator; "" for the person themselves
    Column("asked_at", BigInteger, nullable=False, index=True),
    Column("due_at", BigInteger, nullable=False),  # the deadline for the old address to agree
    Column("old_agreed_at", BigInteger),
    Column("new_agreed_at", BigInteger),
    Column("done_at", BigInteger),
    Column("ended_at", BigInteger),  # stopped, replaced by a later one, or undone
)

streaks = Table(
    "streaks",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("factor", String(16), primary_key=True),
    Column("origin", String(64), primary_key=True),  # a known device, or "" for all others
    Column("failures", Integer, nullable=False),
    Column("wait_until", BigInteger, nullable=False),
)

limits = Table(
    "limits",
    metadata,
    Column("key", String(400), primary_key=True),
    Column("failures", Text, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=False),  # the number in the hash chain, without gaps
    Column("at", BigInteger, nullable=False),
    Column("event", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("tenant", String(63)),
    Column("account", String(40)),
    Column("session", String(40)),
    Column("request_id", String(64), nullable=False),
    Column("details", Text, nullable=False),  # details that are not personal
    # Personal columns enter the chain through a commitment. Erasure empties them and deletes the salt.
    Column("identifier", String(254), nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(512), nullable=False),
    Column("personal", Text, nullable=False),  # personal details
    Column("who_salt", LargeBinary(16)),
    Column("who_commitment", LargeBinary(32), nullable=False),
    Column("actor", String(254), nullable=False),  # the person who acted, if not the account itself
    Column("actor_salt", LargeBinary(16)),
    Column("actor_commitment", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("ix_audit_at", "at"),
    Index("ix_audit_tenant_at", "tenant", "at"),
    Index("ix_audit_event_at", "event", "at"),
    Index("ix_audit_tenant_event_at", "tenant", "event", "at"),
    Index("ix_audit_identifier_at", "identifier", "at"),
    Index("ix_audit_address_at", "address", "at"),
    Index("ix_audit_actor_at", "actor", "at"),
)
