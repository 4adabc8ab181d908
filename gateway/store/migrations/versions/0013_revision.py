"""A revision: a number that is raised when a right is taken away, with whose rights they are; nodes and their leases.

Triggers write it, so that no statement can leave it out: neither one of an older version that runs beside this one, nor
one that an operator types. A new session takes no right away, and writes nothing here.

The revisions are a chain: each has a random stamp. Who has applied revision 7 with its stamp, and finds another stamp
at 7, is on another history (a restored backup, a replica that was behind), and has to forget everything.

On PostgreSQL a transaction's changes get their number as it commits: the row of `revision` is locked from then to the
commit, so numbers are committed in their order, and whoever sees a number sees every change up to it.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

SESSION = """OLD.ended_at IS NULL
    AND (NEW.ended_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.token_key <> OLD.token_key OR NEW.account <> OLD.account
         OR NEW.proofs <> OLD.proofs OR NEW.seen_at < OLD.seen_at OR NEW.started_at < OLD.started_at)"""
ACCOUNT = " OR ".join(
    f"NEW.{column} <> OLD.{column}"
    for column in ("id", "identifier", "name", "tenant", "role", "modules", "status", "enrolled")
)
TENANT = "NEW.slug <> OLD.slug OR NEW.status <> OLD.status"
# Table, what happens to a row, when it matters, the account and the tenant that it is about.
WATCHED = (
    ("sessions", "UPDATE", SESSION, "OLD.account", "''"),
    ("sessions", "DELETE", "OLD.ended_at IS NULL", "OLD.account", "''"),
    ("accounts", "UPDATE", ACCOUNT, "OLD.id", "''"),
    ("accounts", "DELETE", "OLD.status = 'active'", "OLD.id", "''"),
    ("tenants", "UPDATE", TENANT, "''", "OLD.slug"),
    ("tenants", "DELETE", "OLD.status = 'active'", "''", "OLD.slug"),
)
# SQLite's REPLACE deletes the row that is in the way of the new one without a trigger.
IN_THE_WAY = (
    ("sessions", "former.id = NEW.id OR former.token_key = NEW.token_key", "former.account", "''"),
    ("accounts", "former.id = NEW.id OR former.identifier = NEW.identifier", "former.id", "''"),
    ("tenants", "former.slug = NEW.slug", "''", "former.slug"),
)
RAISE_SQLITE = "UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));"
NOTE_SQLITE = """INSERT INTO changes (number, stamp, account, tenant, at)
    SELECT number, stamp, {account}, {tenant}, CAST(strftime('%s', 'now') AS INTEGER) FROM revision"""


def sqlite() -> list[str]:
    changed = (
        f"""CREATE TRIGGER {table}_{event.lower()}_revision AFTER {event} ON {table} WHEN {matters} BEGIN
            {RAISE_SQLITE} {NOTE_SQLITE.format(account=account, tenant=tenant)}; END"""
        for table, event, matters, account, tenant in WATCHED
    )
    replaced = (
        f"""CREATE TRIGGER {table}_replace_revision BEFORE INSERT ON {table}
            WHEN EXISTS (SELECT 1 FROM {table} AS former WHERE {same}) BEGIN
            {RAISE_SQLITE} {NOTE_SQLITE.format(account=account, tenant=tenant)}, {table} AS former WHERE {same}; END"""  # noqa: S608 - nothing of it comes from outside
        for table, same, account, tenant in IN_THE_WAY
    )
    return [*changed, *replaced]


NOTE_CHANGE = """CREATE OR REPLACE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
    AS $$
    DECLARE
        former jsonb := to_jsonb(OLD);
    BEGIN
        INSERT INTO changes (number, stamp, xact, account, tenant, at) VALUES (
            0, '', pg_current_xact_id()::text::bigint,
            coalesce(former ->> TG_ARGV[0], ''), coalesce(former ->> TG_ARGV[1], ''),
            extract(epoch FROM clock_timestamp())::bigint
        ) ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$"""
# After TRUNCATE: what nobody knows the accounts of. Whoever reads it forgets everything.
NOTE_EVERYTHING = """CREATE OR REPLACE FUNCTION note_everything() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
    BEGIN
        INSERT INTO changes (number, stamp, xact, account, tenant, at) VALUES (
            0, '', pg_current_xact_id()::text::bigint, '', '', extract(epoch FROM clock_timestamp())::bigint
        ) ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$"""
# The setting is the transaction's: it remembers the number between two statements of one transaction.
NUMBER_CHANGES = """CREATE OR REPLACE FUNCTION number_changes() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
    DECLARE
        mine bigint := nullif(current_setting('otium_gateway.revision', true), '')::bigint;
    BEGIN
        IF mine IS NULL THEN
            UPDATE revision SET number = number + 1, stamp = left(md5(random()::text || clock_timestamp()::text), 16)
                RETURNING number INTO mine;
            PERFORM set_config('otium_gateway.revision', mine::text, true);
        END IF;
        UPDATE changes SET number = mine, stamp = (SELECT stamp FROM revision), xact = NULL WHERE id = NEW.id;
        RETURN NULL;
    END $$"""
# What a transaction asks right before its commit: its revision, or NULL.
SETTLE_REVISION = """CREATE OR REPLACE FUNCTION settle_revision() RETURNS bigint LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
    BEGIN
        SET CONSTRAINTS changes_numbered IMMEDIATE;
        RETURN nullif(current_setting('otium_gateway.revision', true), '')::bigint;
    END $$"""
ARGUMENTS = {"sessions": "'account', ''", "accounts": "'id', ''", "tenants": "'', 'slug'"}


def postgresql() -> list[str]:
    return [
        NOTE_CHANGE,
        NOTE_EVERYTHING,
        NUMBER_CHANGES,
        SETTLE_REVISION,
        """CREATE CONSTRAINT TRIGGER changes_numbered AFTER INSERT ON changes
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_changes()""",
        *(
            f"""CREATE TRIGGER {table}_{event.lower()}_revision AFTER {event} ON {table} FOR EACH ROW WHEN ({matters})
                EXECUTE FUNCTION note_change({ARGUMENTS[table]})"""
            for table, event, matters, _, _ in WATCHED
        ),
        *(
            f"""CREATE TRIGGER {table}_truncate_revision AFTER TRUNCATE ON {table} FOR EACH STATEMENT
                EXECUTE FUNCTION note_everything()"""
            for table in ARGUMENTS
        ),
    ]


def upgrade() -> None:
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        connection.exec_driver_sql("LOCK TABLE accounts, sessions, tenants IN ACCESS EXCLUSIVE MODE")
    # A backup from before this step leaves the tables of the store that it is restored over.
    for table in ("nodes", "changes", "revision"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("stamp", sa.String(16), nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, index=True),
        sa.Column("stamp", sa.String(16), nullable=False),
        sa.Column("xact", sa.BigInteger),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("xact", "account", "tenant"),
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("applied", sa.BigInteger, nullable=False),
        sa.Column("renewal", sa.String(36), nullable=False),
        sa.Column("is_lapsed", sa.Boolean, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
    )
    stamp = secrets.token_hex(8)
    connection.exec_driver_sql(f"INSERT INTO revision (id, number, stamp) VALUES (1, 1, '{stamp}')")  # noqa: S608
    connection.exec_driver_sql(
        f"INSERT INTO changes (number, stamp, account, tenant, at) VALUES (1, '{stamp}', '', '', 0)"  # noqa: S608
    )
    for statement in sqlite() if is_sqlite else postgresql():
        connection.exec_driver_sql(statement)
