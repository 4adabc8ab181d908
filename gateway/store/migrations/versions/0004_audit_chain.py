"""The audit log becomes a chain: rows numbered without gaps, each with a hash over the one before; attacks, blocks.

What the rows say already is chained here, in the order of their numbers, by the rules of the day: a later change of
the program's own code does not change what this step writes.
"""

import hmac
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

RowNumber = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BATCH = 1_000
PLAIN = ("id", "at", "event", "outcome", "tenant", "account", "session", "request_id", "details")
FACTS = {"method", "reason", "factor", "proved", "next", "role", "how", "where", "breach_api", "failures"}


def upgrade() -> None:
    move_aside()
    create_tables()
    chain_existing()
    op.drop_table("audit_before")


def move_aside() -> None:
    op.drop_index("ix_audit_tenant_id", "audit")
    op.drop_index("ix_audit_at", "audit")
    op.rename_table("audit", "audit_before")
    if op.get_bind().dialect.name == "postgresql":  # where the names of keys are unique in the whole schema
        op.execute("ALTER TABLE audit_before RENAME CONSTRAINT pk_audit TO pk_audit_before")


def create_tables() -> None:
    op.create_table(
        "audit",
        sa.Column("id", RowNumber, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(63)),
        sa.Column("account", sa.String(40)),
        sa.Column("session", sa.String(40)),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("identifier", sa.String(254), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(512), nullable=False),
        sa.Column("personal", sa.Text(), nullable=False),
        sa.Column("who_salt", sa.LargeBinary(16)),
        sa.Column("who_commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("actor", sa.String(254), nullable=False),
        sa.Column("actor_salt", sa.LargeBinary(16)),
        sa.Column("actor_commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    for column in ("tenant", "event", "identifier", "address", "actor"):
        op.create_index(f"ix_audit_{column}_at", "audit", [column, "at"])
    op.create_index("ix_audit_tenant_event_at", "audit", ["tenant", "event", "at"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "audit_marks",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", RowNumber, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("signature", sa.LargeBinary(64), nullable=False),
        sa.CheckConstraint("kind IN ('checkpoint', 'anchor')", name="kind"),
        sa.PrimaryKeyConstraint("kind", "number", name="pk_audit_marks"),
    )
    op.create_table(
        "failed_passwords",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "tag", name="pk_failed_passwords"),
    )
    op.create_table(
        "alarms",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_alarms"),
    )
    op.create_table(
        "blocks",
        sa.Column("network", sa.String(49), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.PrimaryKeyConstraint("network", name="pk_blocks"),
    )


def chain_existing() -> None:
    connection = op.get_bind()
    before = sa.Table("audit_before", sa.MetaData(), autoload_with=connection)
    audit = sa.Table("audit", sa.MetaData(), autoload_with=connection)
    head = sa.Table("audit_head", sa.MetaData(), autoload_with=connection)
    number, last_hash, last_id = 0, bytes(32), 0
    while True:
        query = sa.select(before).where(before.c.id > last_id).order_by(before.c.id).limit(BATCH)
        found = connection.execute(query).all()
        if not found:
            break
        rows = []
        for old in found:
            row = chained(old._asdict(), number + 1, last_hash)
            number, last_hash, last_id = row["id"], row["hash"], old.id
            rows.append(row)
        connection.execute(sa.insert(audit), rows)
    connection.execute(sa.insert(head).values(id=1, number=number, hash=last_hash))


def chained(old: Mapping[str, Any], number: int, previous: bytes) -> dict[str, Any]:
    details = json.loads(old["details"])
    actor = str(details.pop("by", ""))
    personal = {key: value for key, value in details.items() if isinstance(value, str) and key not in FACTS}
    facts = {key: value for key, value in details.items() if key not in personal}
    row: dict[str, Any] = {
        "id": number,
        **{key: old[key] for key in ("at", "event", "outcome", "tenant", "account", "session", "request_id")},
        "details": json.dumps(facts, sort_keys=True),
        **{key: old[key] for key in ("identifier", "address", "user_agent")},
        "personal": json.dumps(personal, sort_keys=True) if personal else "",
        "who_salt": os.urandom(16),
        "actor": actor,
        "actor_salt": os.urandom(16) if actor else None,
    }
    who = [row["identifier"], row["address"], row["user_agent"], row["personal"]]
    row["who_commitment"] = hmac.digest(row["who_salt"], canonical(who), "sha256")
    row["actor_commitment"] = hmac.digest(row["actor_salt"], canonical([actor]), "sha256") if actor else b""
    content = [
        *(
            row[key]
            for key in ("id", "at", "event", "outcome", "tenant", "account", "session", "request_id", "details")
        ),
        row["who_commitment"].hex(),
        row["actor_commitment"].hex(),
    ]
    row["hash"] = sha256(previous + canonical(content)).digest()
    return row


def canonical(values: list[Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode("ascii")
