"""Which factors an account has set up: one value in its row, which every request reads with the session.

It is written in the transaction that sets a factor up or takes it away. The account's row is locked for it, and that
comes before any row of the factor's own: everybody locks in this order, or two could wait for each other.
"""

from __future__ import annotations

from sqlalchemy import select, update

from gateway.model.factor import Enrolled, Factor, read_enrolled
from gateway.store import Transaction
from gateway.store.schema import accounts


async def find(tx: Transaction, account: str) -> Enrolled:
    query = select(accounts.c.enrolled).where(accounts.c.id == account)
    return read_enrolled((await tx.execute(query)).scalar_one_or_none() or "")


async def add(tx: Transaction, account: str, factor: Factor) -> None:
    """The account has set `factor` up, and has to prove it from now on."""
    await write(tx, account, (await lock(tx, account)).having(factor))


async def demand(tx: Transaction, account: str, factor: Factor) -> None:
    """The account has to set `factor` up at the next sign-in."""
    await write(tx, account, (await lock(tx, account)).demanding(factor))


async def remove(tx: Transaction, account: str, factor: Factor) -> bool:
    """Return whether it was set up."""
    before = await lock(tx, account)
    await write(tx, account, before.without(factor))
    return factor in before


async def lock(tx: Transaction, account: str) -> Enrolled:
    query = select(accounts.c.enrolled).where(accounts.c.id == account).with_for_update()
    return read_enrolled((await tx.execute(query)).scalar_one())


async def write(tx: Transaction, account: str, enrolled: Enrolled) -> None:
    await tx.execute(update(accounts).where(accounts.c.id == account).values(enrolled=enrolled.text))
