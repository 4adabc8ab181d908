"""Which factors an account has set up, in its own row: a session is found without asking each factor's table.

Programs of before write the table `totp` alone, and may still run when this step is taken: on another machine, or
until they are restarted. Triggers keep the new column right for what they write: whoever sets TOTP up there is asked
for it here, and nobody is asked for what was taken away. They may go once no such program can run any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OTHERS = "replace(replace(' ' || enrolled || ' ', ' totp ', ' '), ' !totp ', ' ')"
IS_SET_UP = "CASE WHEN NEW.secret IS NOT NULL THEN 'totp' ELSE '' END"
IS_DEMANDED = "CASE WHEN NEW.secret IS NULL AND NEW.demanded_at IS NOT NULL THEN '!totp' ELSE '' END"
WITH_TOTP = f"trim({IS_SET_UP} || {OTHERS} || {IS_DEMANDED})"
WITHOUT_TOTP = f"trim({OTHERS})"
SET = f"UPDATE accounts SET enrolled = {WITH_TOTP} WHERE id = NEW.account AND enrolled <> {WITH_TOTP}"  # noqa: S608
CLEAR = f"UPDATE accounts SET enrolled = {WITHOUT_TOTP} WHERE id = OLD.account"  # noqa: S608

SQLITE = (
    f"CREATE TRIGGER totp_added AFTER INSERT ON totp BEGIN {SET}; END",
    f"CREATE TRIGGER totp_changed AFTER UPDATE OF secret, demanded_at ON totp BEGIN {SET}; END",
    f"CREATE TRIGGER totp_removed AFTER DELETE ON totp BEGIN {CLEAR}; END",
)
# The functions may be there already: a dump of before that is restored over this schema leaves them.
POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION note_totp() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {SET}; RETURN NULL; END $$""",
    f"""CREATE OR REPLACE FUNCTION note_no_totp() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {CLEAR}; RETURN NULL; END $$""",
    """CREATE TRIGGER totp_changed AFTER INSERT OR UPDATE OF secret, demanded_at ON totp
        FOR EACH ROW EXECUTE FUNCTION note_totp()""",
    "CREATE TRIGGER totp_removed AFTER DELETE ON totp FOR EACH ROW EXECUTE FUNCTION note_no_totp()",
)
FILL = (
    "UPDATE accounts SET enrolled = 'totp' WHERE id IN (SELECT account FROM totp WHERE secret IS NOT NULL)",
    """UPDATE accounts SET enrolled = '!totp'
        WHERE id IN (SELECT account FROM totp WHERE secret IS NULL AND demanded_at IS NOT NULL)""",
)


def upgrade() -> None:
    """The triggers come before the filling: on PostgreSQL they wait for whoever is writing to `totp` just now."""
    op.add_column("accounts", sa.Column("enrolled", sa.String(200), nullable=False, server_default=""))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in (*(SQLITE if is_sqlite else POSTGRESQL), *FILL):
        op.get_bind().exec_driver_sql(statement)
