"""Creates, lists and revokes API tokens: a person's own, and for administrators those of their tenant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts import rows as account_rows
from gateway.accounts.authors import find_author
from gateway.actions.action import Action, Actions, requester
from gateway.model.account import Account, Role
from gateway.model.api_token import Grant, Kind, digest_of, is_token, make_token
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.moment import Day
from gateway.model.networks import Network
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import new_id
from gateway.store import Store, Transaction
from gateway.throttle.limits import address_bucket
from gateway.tokens import rows
from gateway.tokens.mails import tell
from gateway.tokens.rows import TokenRow

MAX_LIVE = 50  # of one account
MAX_A_DAY = 100  # made for one account, each with a mail
MAX_SHOWN = 500  # of a tenant
RANKS = tuple(Role)


class NotCreated(Enum):
    TOO_MANY = "too_many"
    TOO_MANY_TODAY = "too_many_today"
    OWNER = "owner"  # an owner proves three factors, and a token none of them
    ROLE = "role"  # above one's own


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that is asked for. Empty means no limit."""

    name: str
    days: int
    role: Role
    methods: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Created:
    """A new token; `secret` is shown once."""

    row: TokenRow
    secret: Secret[str]


@dataclass(frozen=True, slots=True)
class Held:
    """A token of a tenant, with name and email of its account."""

    row: TokenRow
    name: str
    identifier: str


class APITokens:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def list_own(self, session: Session, now: int) -> list[TokenRow]:
        async with self._store.reading() as tx:
            return await rows.list_of(tx, session.account, now)

    async def list_of_people(self, tenant: str, now: int) -> list[Held]:
        async with self._store.reading() as tx:
            return [Held(*found) for found in await rows.list_of_people(tx, tenant, now, MAX_SHOWN)]

    async def create(self, session: Session, wanted: Wanted, inbound: Inbound, now: int) -> Created | NotCreated | None:
        """Make a token of the signed-in person, and mail that there is one. None if the session has ended."""
        if session.is_owner:
            return NotCreated.OWNER
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            account = await find_author(action.tx, session)
            if account is None:
                return None
            return await issue(action, account, wanted)

    async def revoke(self, session: Session, token: str, inbound: Inbound, now: int) -> bool:
        """End a token of the signed-in person."""
        async with self._actions.begin(requester(inbound, session.id), now) as action:
            found = await rows.find(action.tx, token)
            account = await account_rows.find(action.tx, session.account)
            if found is None or account is None or found.account != account.id:
                return False
            return await end(action, account, found)

    async def revoke_in_tenant(self, author: Session, token: str, inbound: Inbound, now: int) -> bool:
        """End a token of a person or service account in the administrator's tenant, and mail that."""
        actor = requester(inbound, author.id, by=author.identifier, name=author.name)
        async with self._actions.begin(actor, now) as action:
            found = await rows.find(action.tx, token)
            account = await account_rows.find_in_tenant(action.tx, found.account, author.tenant) if found else None
            if found is None or account is None or not await end(action, account, found):
                return False
            await tell(action, account, "token_revoked", token=found.name)
            return True

    async def revoke_found(self, text: str, inbound: Inbound, now: int) -> bool:
        """End a token that was found somewhere, and mail its owner. Possession of the token is enough."""
        written = text.strip().encode("ascii", "replace")
        if not is_token(written):
            return False
        digest = digest_of(written)
        # A checksum is easily made up. A token that was never issued takes no writer's turn.
        async with self._store.reading() as tx:
            if await rows.find_by_digest(tx, digest) is None:
                return False
        async with self._actions.begin(requester(inbound), now) as action:
            found = await rows.find_by_digest(action.tx, digest)
            account = await account_rows.find(action.tx, found.account) if found else None
            if found is None or account is None or not await end(action, account, found, "found"):
                return False
            await tell(action, account, "token_revoked", token=found.name)
            return True


async def find_excess(tx: Transaction, account: Account, now: int) -> NotCreated | None:
    """Return why the account, which is locked, can't have one more token at this time; None if it can."""
    if await rows.count_live(tx, account.id, now) >= MAX_LIVE:
        return NotCreated.TOO_MANY
    return NotCreated.TOO_MANY_TODAY if await rows.count_made(tx, account.id, now - DAY) >= MAX_A_DAY else None


async def issue(action: Action, account: Account, wanted: Wanted) -> Created | NotCreated:
    """Add a token to an account, which is active and locked, unless it would outrank the account or be one too many."""
    if outranks(wanted.role, account.role):
        return NotCreated.ROLE
    return await find_excess(action.tx, account, action.now) or await add(action, account, wanted)


async def add(action: Action, account: Account, wanted: Wanted) -> Created:
    """Add a token. The network of a person counts as one where the token was used; that of a program isn't known."""
    kind = Kind.SERVICE if account.is_service else Kind.PERSONAL
    secret, token = make_token(kind), new_id("tok")
    grant = Grant(token, action.now + wanted.days * DAY, wanted.methods, wanted.paths, wanted.networks)
    row = TokenRow(token, account.id, kind, wanted.name, wanted.role, grant, action.now, None, None, "", "")
    await rows.add(action.tx, row, digest_of(secret.reveal().encode()))
    here = address_bucket(action.actor.address)
    if here and not account.is_service:
        await rows.add_network(action.tx, token, account.id, here, action.now)
    details = {"token": wanted.name, "role": wanted.role.value, "days": wanted.days}
    await action.record(Event.TOKEN_CREATED, account, details)
    await tell(action, account, "token_created", token=wanted.name, until=Day(grant.expires_at))
    return Created(row, secret)


def outranks(role: Role, other: Role) -> bool:
    return RANKS.index(role) > RANKS.index(other)


async def end(action: Action, account: Account, row: TokenRow, how: str = "") -> bool:
    if not await rows.revoke(action.tx, row.id, action.now):
        return False
    await action.record(Event.TOKEN_REVOKED, account, {"token": row.name, **({"how": how} if how else {})})
    return True
