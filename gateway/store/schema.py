"""The tables. Times are integer UTC seconds; enumerations are text with a check; tokens are SHA-256 digests."""

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

# SQLite numbers rows by itself only where the key is called INTEGER; PostgreSQL needs eight bytes for the same.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, values: type[Role] | type[Status]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


tenants = Table(
    "tenants",
    metadata,
    Column("slug", String(63), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("status", String(16), nullable=False),
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

forgotten_devices = Table(
    "forgotten_devices",  # devices that were revoked: no session of before makes one of them known
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("proofs", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger),
)

totp = Table(
    "totp",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("secret", LargeBinary),  # sealed; none while it is only demanded
    Column("demanded_at", BigInteger),  # an admin reset it: it has to be set up again at the next sign-in
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

kept_forms = Table(
    "kept_forms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("account", String(40), ForeignKey("accounts.id"), index=True),  # none: another site sent it
    Column("source", String(50)),  # the address that sent it, where there is no account
    Column("browser_key", LargeBinary(32), nullable=False),
    Column("content", LargeBinary, nullable=False),  # sealed
    Column("kept_at", BigInteger, nullable=False, index=True),
    Column("sent_at", BigInteger),
)

browsers = Table(
    "browsers",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of its cookie
    Column("account", String(40), ForeignKey("accounts.id"), nullable=False, index=True),  # signed in last
    Column("seen_at", BigInteger, nullable=False, index=True),  # signed in then
)

browser_cookies = Table(
    "browser_cookies",
    metadata,
    Column("browser", LargeBinary(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("domain", String(256), primary_key=True),  # "" for the host that set it
    Column("path", String(256), primary_key=True),
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

mailed_links = Table(
    "mailed_links",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_key", LargeBinary(32), nullable=False, unique=True),
    Column("purpose", String(16), nullable=False),
    Column("account", String(40), ForeignKey("accounts.id"), index=True),
    Column("identifier", String(254), nullable=False, index=True),  # where it was mailed to
    Column("content", LargeBinary, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    Column("superseded_at", BigInteger),
)

domain_claims = Table(
    "domain_claims",  # email domains that belong to a tenant
    metadata,
    Column("domain", String(253), primary_key=True),  # in its ASCII form
    Column("tenant", String(63), ForeignKey("tenants.slug"), nullable=False, index=True),
    Column("claimed_at", BigInteger, nullable=False),
    Column("claimed_by", String(254), nullable=False),
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
    Column("due_at", BigInteger, nullable=False),  # until then the old address has to agree
    Column("old_agreed_at", BigInteger),
    Column("new_agreed_at", BigInteger),
    Column("done_at", BigInteger),
    Column("ended_at", BigInteger),  # stopped, replaced by a later one, or undone
)

imports = Table(
    "imports",  # files of people; the counts are those of its rows that were worked through
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63)),  # none: the owner's, each row names its own
    Column("asked", Text),  # who started it, from where: for the audit log
    Column("bytes", Integer, nullable=False),  # of the file
    Column("total", Integer, nullable=False),
    Column("invited", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger, nullable=False),  # the end of a lease
    Column("finished_at", BigInteger),
)

import_rows = Table(
    "import_rows",  # what waits to be invited, and what was left out; who is invited has an account instead
    metadata,
    Column("import_id", String(40), ForeignKey("imports.id"), primary_key=True),
    Column("line", Integer, primary_key=True),  # in the file
    Column("state", String(8), nullable=False),
    Column("email", String(320), nullable=False),  # as it stood in the file, cut off
    Column("identifier", String(254), nullable=False),  # "" for what is no email
    Column("name", String(200), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("role", String(16), nullable=False),
    Column("modules", String(64), nullable=False),
    Column("department", String(64), nullable=False),  # one that gives no module
    Column("reason", Text, nullable=False),
    Column("other_line", Integer),  # which has the same email
)

imported = Table(
    "imported",  # accounts that follow the application's own users
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("identifier", String(254), nullable=False),  # the email there
    Column("hash_digest", LargeBinary(32)),  # SHA-256 of the password hash there
    Column("was_created", Boolean, nullable=False),  # by the import, and not there before
    Column("imported_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),  # by the import, because it was gone there
    Column("user_key", String(320)),  # the user's id there, or the email as it is spelled there
)

streaks = Table(
    "streaks",
    metadata,
    Column("account", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("factor", String(16), primary_key=True),
    Column("origin", String(64), primary_key=True),  # a known device, or "" for everywhere else
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
    Column("id", RowNumber, primary_key=True, autoincrement=False),  # its number in the chain: there are no gaps
    Column("at", BigInteger, nullable=False),
    Column("event", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("tenant", String(63)),
    Column("account", String(40)),
    Column("session", String(40)),
    Column("request_id", String(64), nullable=False),
    Column("details", Text, nullable=False),  # facts that tell nothing about a person
    # What is personal is chained through a commitment. Once it is erased, it is "" and its salt is gone.
    Column("identifier", String(254), nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(512), nullable=False),
    Column("personal", Text, nullable=False),  # the other details
    Column("who_salt", LargeBinary(16)),
    Column("who_commitment", LargeBinary(32), nullable=False),
    Column("actor", String(254), nullable=False),  # who did it, where that is somebody else
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

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, 1: whoever adds to the chain locks it
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_marks = Table(
    "audit_marks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("number", RowNumber, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("key", String(16), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    CheckConstraint("kind IN ('checkpoint', 'anchor')", name="kind"),
)

audit_counts = Table(
    "audit_counts",  # what is counted rather than listed, until its minute is over
    metadata,
    Column("key", String(64), primary_key=True),  # a SHA-256, in hexadecimal
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("times", Integer, nullable=False),
    Column("entry", Text, nullable=False),  # what its row will say; "" for a count that is never told
)

failed_passwords = Table(
    "failed_passwords",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("tag", Integer, primary_key=True, autoincrement=False),
    Column("accounts", BigInteger, nullable=False),  # a bit for each of 62 groups of accounts that it failed for
)

alarms = Table(
    "alarms",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("network", String(49), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(254), nullable=False),
)
