"""Blocked networks, from which sign-ins are refused for a time. The list is in the store, shared by all machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from sqlalchemy import BigInteger, Column, String, Table, delete, select

from gateway.model.networks import Network, is_within
from gateway.model.networks import read_network as parse_network
from gateway.store import Transaction
from gateway.store.schema import metadata
from gateway.store.stored import AS_IT_WAS, EXPIRING, Stored
from gateway.store.upsert import upsert
from gateway.throttle.limits import address_bucket

blocks = Table(
    "blocks",
    metadata,
    Column("network", String(49), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(254), nullable=False),
)

WIDEST = {4: 16, 6: 32}  # prefix bits by IP version, so that a typo can't block everybody


@dataclass(frozen=True, slots=True)
class Block:
    """`until` and `created_at` are UTC seconds."""

    network: str
    until: int
    created_at: int
    created_by: str


def read_network(text: str) -> Network | None:
    """Parse a network, or an address as its rate-limit bucket (IPv6: its /64). None if invalid or too wide."""
    network = parse_network(text.strip())
    if network is None or network.prefixlen < WIDEST[network.version]:
        return None
    return network if network.num_addresses > 1 else ip_network(address_bucket(str(network.network_address)))


def find_block(address: str, blocked: Iterable[Block]) -> Block | None:
    """Return the block of `address` that lasts longest."""
    holding = [block for block in blocked if is_within(address, ip_network(block.network))]
    return max(holding, key=lambda block: block.until, default=None)


async def add(tx: Transaction, block: Block) -> None:
    """Block a network, or replace its block."""
    values = {"until": block.until, "created_at": block.created_at, "created_by": block.created_by}
    statement = upsert(tx, blocks).values(network=block.network, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["network"], set_=values))


async def remove(tx: Transaction, network: str) -> bool:
    """Remove a block. Returns whether the network was blocked."""
    return (await tx.execute(delete(blocks).where(blocks.c.network == network))).rowcount == 1


async def list_active(tx: Transaction, now: int) -> list[Block]:
    query = select(blocks.c.network, blocks.c.until, blocks.c.created_at, blocks.c.created_by)
    return [Block(*row) for row in await tx.execute(query.where(blocks.c.until > now).order_by(blocks.c.until.desc()))]


STORED = (Stored(blocks, lambda longest, now: blocks.c.until <= now, AS_IT_WAS, EXPIRING),)
