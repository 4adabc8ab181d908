"""The rows of the nodes that hold leases, and the statements on them (see store/lease.py). PostgreSQL only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, delete, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.schema import metadata
from gateway.store.stored import IMPERSONAL, Kept, Stored

CHANNEL = "otium_gateway"
ANSWER_SECONDS = 2.0  # for one statement; a lease has ended by then

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(40), primary_key=True),  # a new one each time that a worker joins
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("renewal", String(36), nullable=False),  # random, another one after each renewal
    Column("is_lapsed", Boolean, nullable=False),
    Column("joined_at", BigInteger, nullable=False),  # by the database's clock, and only to be looked at
    Column("renewed_at", BigInteger, nullable=False),
)

STORED = (
    Stored(
        nodes,
        stale=Kept("a node that is gone is forgotten after a minute (sessions/leaseholder.py)"),
        restored=lambda now: delete(nodes),  # a worker that still runs joins again, with an empty memory
        erased=IMPERSONAL,
        is_copied=False,
    ),
)

JOIN = """
WITH latest AS (SELECT number, stamp FROM revision),
joined AS (
    INSERT INTO nodes (id, host, pid, version, applied, renewal, is_lapsed, joined_at, renewed_at)
    SELECT $1, $2, $3, $4, number, $1, false, extract(epoch FROM now())::bigint, extract(epoch FROM now())::bigint
    FROM latest RETURNING id
)
SELECT number, stamp FROM latest, joined
"""
# A renewal that is lost in a crash of the server only makes revokers wait, so it doesn't wait for the disk.
RENEW = """
WITH unhurried AS (SELECT set_config('synchronous_commit', 'off', true)),
renewed AS (
    UPDATE nodes SET applied = $2, renewal = gen_random_uuid()::text, renewed_at = extract(epoch FROM now())::bigint
    FROM unhurried
    WHERE id = $1 AND NOT is_lapsed AND EXISTS (SELECT 1 FROM changes WHERE number = $2 AND stamp = $3) RETURNING id
)
SELECT number, stamp, account, tenant FROM renewed LEFT JOIN changes ON number > $2 ORDER BY number LIMIT $4
"""
NOTIFY = f"SELECT pg_notify('{CHANNEL}', $1)"
LEAVE = "DELETE FROM nodes WHERE id = $1"
LOOK = "SELECT id, renewal FROM nodes"
FORGET = "DELETE FROM nodes WHERE id = $1 AND renewal = $2"
BEHIND = "SELECT id, applied, renewal FROM nodes WHERE NOT is_lapsed AND applied < $1"
MARK = "UPDATE nodes SET is_lapsed = true WHERE id = $1 AND renewal = $2"
STATES = text("""
SELECT host, pid, version, greatest(number - applied, 0), (extract(epoch FROM now()) - renewed_at)::integer, is_lapsed
  FROM nodes, revision ORDER BY host, joined_at, nodes.id
""")


@dataclass(frozen=True, slots=True)
class NodeState:
    """A worker with its own memory. `behind` revisions, it is waited for; `renewed` is seconds ago.

    `is_lapsed`: its lease ran out while somebody waited for it, and it has to join again.
    """

    host: str
    pid: int
    version: str
    behind: int
    renewed: int
    is_lapsed: bool

    def describe(self) -> dict[str, object]:
        return asdict(self)


async def list_states(tx: AsyncConnection) -> list[NodeState]:
    """Return all nodes; none on SQLite, where workers share a file (store/generation.py)."""
    if tx.dialect.name == "sqlite":
        return []
    return [NodeState(*row) for row in await tx.execute(STATES)]
