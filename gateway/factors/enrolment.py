"""The factors that an account has enrolled: one value in its row, which every request reads with the session.

It is written in the transaction that enrols or removes a factor. This locks the account's row, always before rows of
the factor, so that two transactions can't deadlock.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select, update

from gateway.model.factor import Enrolled, Factor, read_enrolled
from gateway.store import Transaction
from gateway.store.schema import accounts


async def find(tx: Transaction, account: str) -> Enrolled:
    query = select(accounts.c.enrolled).where(accounts.c.id == account)
    return read_enrolled((await tx.execute(query)).scalar_one_or_none() or "")


async def add(tx: Transaction, account: str, factor: Factor) -> None:
    """Mark `factor` as enrolled. The account must prove it from now on."""
    await write(tx, account, (await lock(tx, account)).having(factor))


async def demand(tx: Transaction, account: str, factor: Factor) -> None:
    """Require the account to enrol `factor` at the next sign-in."""
    await write(tx, account, (await lock(tx, account)).demanding(factor))


async def remove(tx: Transaction, account: str, factor: Factor) -> bool:
    """Mark `factor` as not enrolled. Returns whether it was."""
    before = await lock(tx, account)
    await write(tx, account, before.without(factor))
    return factor in before


async def accept_only_passkeys(tx: Transaction, account: str, is_on: bool) -> bool:
    """Note the choice. Returns whether it changed."""
    before = await lock(tx, account)
    await write(tx, account, replace(before, only_passkeys=is_on))
    return before.only_passkeys is not is_on


async def exempt(tx: Transaction, account: str, is_exempt: bool) -> bool:
    """Make it a break-glass account, or an ordinary one. Returns whether that changed."""
    before = await lock(tx, account)
    await write(tx, account, replace(before, is_exempt=is_exempt))
    return before.is_exempt is not is_exempt


async def lock(tx: Transaction, account: str) -> Enrolled:
    query = select(accounts.c.enrolled).where(accounts.c.id == account).with_for_update()
    return read_enrolled((await tx.execute(query)).scalar_one())


async def write(tx: Transaction, account: str, enrolled: Enrolled) -> None:
    await tx.execute(update(accounts).where(accounts.c.id == account).values(enrolled=enrolled.text))
