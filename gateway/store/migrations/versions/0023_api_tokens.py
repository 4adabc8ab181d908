"""API tokens, and the networks from which each has been used.

A token that ends or changes raises the revision, as a session does (0013): lookups have it in memory.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

CHANGED = """OLD.revoked_at IS NULL AND (NEW.revoked_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.digest <> OLD.digest
    OR NEW.account <> OLD.account OR NEW.role <> OLD.role OR NEW.methods <> OLD.methods OR NEW.paths <> OLD.paths
    OR NEW.networks <> OLD.networks OR NEW.expires_at < OLD.expires_at)"""
# One that has expired gives no right that could be in memory.
GONE = "OLD.revoked_at IS NULL AND OLD.expires_at > {now}"
NOW = {"sqlite": "CAST(strftime('%s', 'now') AS INTEGER)", "postgresql": "extract(epoch FROM clock_timestamp())"}
RAISE = "UPDATE revision SET number = number + 1, stamp = lower(hex(randomblob(8)));"
NOTE = """INSERT INTO changes (number, stamp, account, tenant, at)
    SELECT number, stamp, {account}, '', CAST(strftime('%s', 'now') AS INTEGER) FROM revision"""
FORMER = "former.id = NEW.id OR former.digest = NEW.digest"
SQLITE = (
    *(
        f"""CREATE TRIGGER api_tokens_{event.lower()}_revision AFTER {event} ON api_tokens WHEN {matters} BEGIN
            {RAISE} {NOTE.format(account="OLD.account")}; END"""
        for event, matters in (("UPDATE", CHANGED), ("DELETE", GONE.format(now=NOW["sqlite"])))
    ),
    f"""CREATE TRIGGER api_tokens_replace_revision BEFORE INSERT ON api_tokens
        WHEN EXISTS (SELECT 1 FROM api_tokens AS former WHERE {FORMER}) BEGIN
        {RAISE} {NOTE.format(account="former.account")}, api_tokens AS former WHERE {FORMER}; END""",  # noqa: S608 - nothing of it comes from outside
)
POSTGRESQL = (
    *(
        f"""CREATE TRIGGER api_tokens_{event.lower()}_revision AFTER {event} ON api_tokens FOR EACH ROW WHEN ({matters})
            EXECUTE FUNCTION note_change('account', '')"""
        for event, matters in (("UPDATE", CHANGED), ("DELETE", GONE.format(now=NOW["postgresql"])))
    ),
    """CREATE TRIGGER api_tokens_truncate_revision AFTER TRUNCATE ON api_tokens FOR EACH STATEMENT
        EXECUTE FUNCTION note_everything()""",
)


def upgrade() -> None:
    connection = op.get_bind()
    # A backup from before this step leaves these tables of the store that it is restored over.
    connection.exec_driver_sql("DROP TABLE IF EXISTS api_tokens")
    connection.exec_driver_sql("DROP TABLE IF EXISTS api_token_networks")
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("methods", sa.String(200), nullable=False),
        sa.Column("paths", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("used_from", sa.String(45)),
        sa.Column("used_by", sa.String(512)),
    )
    op.create_index("ix_api_tokens_account", "api_tokens", ["account"])
    op.create_index("ix_api_tokens_expires_at", "api_tokens", ["expires_at"])
    op.create_table(
        "api_token_networks",
        sa.Column("token", sa.String(40), primary_key=True),
        sa.Column("network", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(40), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_api_token_networks_account", "api_token_networks", ["account"])
    for statement in SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL:
        connection.exec_driver_sql(statement)
