"""Finds the language and time zone in which a mail is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from gateway.languages.reader import Reader, Readers
from gateway.store import Transaction
from gateway.store.schema import accounts, tenants

READERS = select(
    accounts.c.id,
    accounts.c.language,
    accounts.c.last_language,
    tenants.c.language.label("of_tenant"),
    accounts.c.zone,
    accounts.c.last_zone,
).join(tenants, tenants.c.slug == accounts.c.tenant)


async def find_reader(tx: Transaction, readers: Readers, account: str | None, recipient: str) -> Reader | None:
    """Return the language and zone of a mail: those of its account; None without one.

    The account's are what the person has chosen, or else what their browser had at the last sign-in. The tenant's
    language comes last. Addresses without an account are looked up as well, so that takes as long for them.
    """
    known = accounts.c.id == account if account else accounts.c.identifier == recipient.lower()
    row = (await tx.execute(READERS.where(known))).one_or_none()
    return None if row is None else choose(readers, row)


async def find_readers(tx: Transaction, readers: Readers, account_ids: Sequence[str]) -> dict[str, Reader]:
    """Return the reader of each account."""
    rows = await tx.execute(READERS.where(accounts.c.id.in_(account_ids)))
    return {row.id: choose(readers, row) for row in rows}


def choose(readers: Readers, row: Any) -> Reader:
    return readers.choose((row.language, row.last_language, row.of_tenant), (row.zone, row.last_zone))
