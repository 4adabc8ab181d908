"""The accounts of the demo, one for each role and status. Their passwords are public."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from gateway.accounts import rows
from gateway.crypto.hashing import Hasher
from gateway.model.account import Account, Module, Role, Status
from gateway.model.secret import Secret
from gateway.settings.record import Limits
from gateway.store import Store

METHOD = f"pbkdf2:sha256:{Limits().hashing_iterations}"


@dataclass(frozen=True, slots=True)
class Person:
    email: str
    name: str
    tenant: str
    role: Role
    password: str
    modules: frozenset[Module] = frozenset()
    status: Status = Status.ACTIVE

    @property
    def note(self) -> str:
        """The person's role, for the printed instructions."""
        if self.email == OWNER:
            return "platform owner (password, second step and email link)"
        return f"{self.role.value} of {self.tenant}" + ("" if self.status is Status.ACTIVE else ", disabled")


OWNER = "otto@otium.example"
PEOPLE = (
    Person("erin@acme.example", "Erin Zoë", "acme", Role.EMPLOYEE, "quiet-lantern-29-orchard", frozenset((Module.HR,))),
    Person("mara@acme.example", "Mara Lindt", "acme", Role.MANAGER, "copper-meadow-71-violin"),
    Person(
        "adam@acme.example", "Adam Okoye", "acme", Role.ADMIN, "winter-harbour-48-pencil", frozenset((Module.FINANCE,))
    ),
    Person("olga@beta.example", "Olga Brandt", "beta", Role.ADMIN, "marble-thicket-15-saddle"),
    Person(OWNER, "Otto Weiss", "otium", Role.ADMIN, "ember-lattice-62-compass"),
    Person("dora@acme.example", "Dora Fink", "acme", Role.EMPLOYEE, "velvet-glacier-33-anchor", status=Status.DISABLED),
)


async def seed(store_url: str, *, method: str = METHOD) -> int:
    """Add the people who are not in the store yet. Returns how many. Existing accounts are not changed."""
    store = Store.open(store_url)
    try:
        async with store.reading() as tx:
            known = {account.identifier for account in await rows.list_all(tx)}
        missing = [person for person in PEOPLE if person.email not in known]
        if missing:
            await add(store, missing, method)
        return len(missing)
    finally:
        await store.close()


async def add(store: Store, people: list[Person], method: str) -> None:
    hasher = Hasher(method=method, threads=2, queue=len(people))
    try:
        accounts = await asyncio.gather(*(make_account(person, hasher) for person in people))
    finally:
        hasher.close()
    async with store.transaction() as tx:
        for account in accounts:
            await rows.add(tx, account)


async def make_account(person: Person, hasher: Hasher) -> Account:
    return Account(
        rows.new_account_id(),
        person.email,
        person.name,
        person.tenant,
        person.role,
        person.modules,
        person.status,
        Secret(await asyncio.to_thread(hasher.hash_now, Secret(person.password))),
        int(time.time()),
    )
