"""An account with a token, for the tests of lookups and uses."""

from __future__ import annotations

from gateway.model.account import Account, Role
from gateway.model.api_token import Grant, Kind, digest_of, make_token, read_authorization
from gateway.model.token import new_id
from gateway.store import Store
from gateway.tokens import rows
from gateway.tokens.rows import TokenRow
from tests.store.people import NOW, add_person

DAY = 86_400


async def add_token(store: Store, account: Account | None = None, days: int = 1) -> tuple[str, bytes, Account]:
    """Return the token's id, the credential of a request that carries it, and its account."""
    account = account or await add_person(store)
    secret = make_token(Kind.PERSONAL).reveal().encode()
    grant = Grant(new_id("tok"), NOW + days * DAY)
    row = TokenRow(grant.token, account.id, Kind.PERSONAL, "Sync", Role.ADMIN, grant, NOW, None, None, "", "")
    async with store.transaction() as tx:
        await rows.add(tx, row, digest_of(secret))
    credential = read_authorization(b"Bearer " + secret)
    assert credential
    return row.id, credential, account
