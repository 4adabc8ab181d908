"""Service accounts: a tenant's own, for programs that act for no person. They have API tokens, and nothing else.

They can't sign in. The database refuses them a password and factors (store.schema), lookups find no session of theirs,
and their identifier is in a domain that can't exist, so that no mail and no provider can reach them. They belong to the
tenant, and stay when the administrator who made them leaves.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.accounts.authors import is_admin
from gateway.accounts.removal import remove
from gateway.actions.action import Action, Actions, Actor, requester
from gateway.model.account import SERVICE_DOMAIN, Account, Module, Role, Status
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.model.token import new_id
from gateway.store import Store, Transaction
from gateway.tokens import rows
from gateway.tokens.rows import TokenRow
from gateway.tokens.service import Created, NotCreated, Wanted, issue

MAX_ACCOUNTS = 100  # of one tenant
MAX_WORDS = 40  # characters of the name in an identifier
RANDOM = 8


@dataclass(frozen=True, slots=True)
class Service:
    """A service account, and how many live tokens it has."""

    account: Account
    tokens: int


class ServiceAccounts:
    """Administration of a tenant's service accounts. An account of another tenant is not found (None, False)."""

    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def list_all(self, tenant: str, now: int) -> list[Service]:
        async with self._store.reading() as tx:
            return [Service(*found) for found in await rows.list_services(tx, tenant, now)]

    async def find(self, author: Session, account_id: str, now: int) -> tuple[Account, list[TokenRow]] | None:
        async with self._store.reading() as tx:
            account = await find(tx, account_id, author.tenant)
            return None if account is None else (account, await rows.list_of(tx, account.id, now))

    async def create(
        self, author: Session, name: str, role: Role, modules: frozenset[Module], inbound: Inbound, now: int
    ) -> Account | NotCreated:
        """`name` is validated (model.account.check_name)."""
        async with self._actions.begin(actor_of(author, inbound), now) as action:
            if not await is_admin(action.tx, author):
                return NotCreated.ROLE
            return await add(action, author.tenant, name, role, modules) or NotCreated.TOO_MANY

    async def create_token(
        self, author: Session, account_id: str, wanted: Wanted, inbound: Inbound, now: int
    ) -> Created | NotCreated | None:
        async with self._actions.begin(actor_of(author, inbound), now) as action:
            account = await find_changeable(action.tx, author, account_id)
            if account is None or account.status is not Status.ACTIVE:
                return None
            return await issue(action, account, wanted)

    async def set_status(self, author: Session, account_id: str, status: Status, inbound: Inbound, now: int) -> bool:
        """Disable, which refuses its tokens from their next request on, or enable again."""
        async with self._actions.begin(actor_of(author, inbound), now) as action:
            account = await find_changeable(action.tx, author, account_id)
            return account is not None and await change.set_status(action, account, status)

    async def remove(self, author: Session, account_id: str, inbound: Inbound, now: int) -> bool:
        """Delete it with its tokens. The audit log keeps what it did."""
        async with self._actions.begin(actor_of(author, inbound), now) as action:
            account = await find_changeable(action.tx, author, account_id)
            if account is not None:
                await remove(action, account)
            return account is not None


async def add(
    action: Action, tenant: str, name: str, role: Role, modules: frozenset[Module] = frozenset()
) -> Account | None:
    """Add a service account. None if the tenant, which exists, has as many as it can."""
    await account_rows.lock_tenant(action.tx, tenant)
    if await rows.count_services(action.tx, tenant) >= MAX_ACCOUNTS:
        return None
    account = Account(
        account_rows.new_account_id(), make_identifier(name), name, tenant, role, modules, Status.ACTIVE, None,
        action.now, is_service=True,
    )  # fmt: skip
    if not await account_rows.add(action.tx, account):
        return None
    await action.record(
        Event.ACCOUNT_ADDED, account, {"role": change.describe_rights(role, modules), "how": "service account"}
    )
    return account


async def find(tx: Transaction, account_id: str, tenant: str, *, lock: bool = False) -> Account | None:
    """Return a service account of the tenant, None for the account of a person."""
    account = await account_rows.find_in_tenant(tx, account_id, tenant, lock=lock)
    return account if account is not None and account.is_service else None


async def find_changeable(tx: Transaction, author: Session, account_id: str) -> Account | None:
    """Return a service account, locked, if the author is still an administrator of its tenant."""
    return await find(tx, account_id, author.tenant, lock=True) if await is_admin(tx, author) else None


def make_identifier(name: str) -> str:
    """Return an identifier that tells the name, and that no earlier account had: its data stays its own."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub("[^a-z0-9]+", "-", letters)[:MAX_WORDS].strip("-") or "service"
    return f"{words}.{new_id('svc')[-RANDOM:]}@{SERVICE_DOMAIN}"


def actor_of(author: Session, inbound: Inbound) -> Actor:
    return requester(inbound, author.id, by=author.identifier, name=author.name)
