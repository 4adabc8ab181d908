"""The people whom rows of the log name, as far as they still have an account that the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from gateway.audit.chain import Row
from gateway.store import Transaction
from gateway.store.schema import accounts


@dataclass(frozen=True, slots=True)
class Person:
    account: str
    identifier: str
    name: str


@dataclass(frozen=True, slots=True)
class People:
    """Accounts by their id, and by their email."""

    by_account: dict[str, Person]
    by_identifier: dict[str, Person]

    def subject_of(self, row: Row) -> Person | None:
        """Return the person whom a row is about; None for one whose data was erased."""
        if row.is_erased:
            return None
        return self.by_account.get(row.account or "") or self.by_identifier.get(row.identifier)

    def actor_of(self, row: Row) -> Person | None:
        return self.by_identifier.get(row.actor)

    def name_of(self, identifier: str) -> str:
        """Return the name, or the email of a person without an account."""
        person = self.by_identifier.get(identifier)
        return person.name if person else identifier


NO_PEOPLE = People({}, {})


async def find_people(tx: Transaction, rows: Sequence[Row], others: Iterable[str], tenant: str | None) -> People:
    """Return the people of these rows, and of the emails `others`: those of one tenant, if it is given."""
    ids = {row.account for row in rows if row.account and not row.is_erased}
    emails = {*others, *(email for row in rows for email in (row.identifier, row.actor) if email)}
    query = select(accounts.c.id, accounts.c.identifier, accounts.c.name).where(
        or_(accounts.c.id.in_(sorted(ids)), accounts.c.identifier.in_(sorted(emails)))
    )
    if tenant is not None:
        query = query.where(accounts.c.tenant == tenant)
    found = [Person(*row) for row in await tx.execute(query)]
    return People({person.account: person for person in found}, {person.identifier: person for person in found})
