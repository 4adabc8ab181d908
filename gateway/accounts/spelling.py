"""For check-config: is every stored identifier normalised by the current rule? If not, its owner can't sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import select

from gateway.model.account import Unacceptable, normalise_identifier
from gateway.store import Transaction
from gateway.store.schema import accounts

AT_ONCE = 1_000
NAMED = 3


async def advise(tx: Transaction) -> list[str]:
    """Return a warning that names the accounts whose identifier normalising would change or reject."""
    found = [f"{identifier} ({id_})" async for id_, identifier in read_all(tx) if not is_settled(identifier)]
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return [
        f"nobody can sign in as {', '.join(found[:NAMED])}{more}: what people type becomes another spelling, which "
        "another account has. `account set-email` and `account disable` take the id in place of the email"
    ]


async def read_all(tx: Transaction) -> AsyncIterator[tuple[str, str]]:
    """Yield the id and identifier of every account, in batches, ordered by id."""
    last = ""
    while True:
        query = select(accounts.c.id, accounts.c.identifier).where(accounts.c.id > last).order_by(accounts.c.id)
        found = (await tx.execute(query.limit(AT_ONCE))).all()
        for row in found:
            yield row.id, row.identifier
        if len(found) < AT_ONCE:
            return
        last = found[-1].id


def is_settled(identifier: str) -> bool:
    try:
        return normalise_identifier(identifier) == identifier
    except Unacceptable:
        return False
