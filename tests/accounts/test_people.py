"""What administrators do to people, on both engines: nothing once their own right has ended while the request waited."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gateway.accounts import rows
from gateway.accounts.csv_import.reading import Create
from gateway.accounts.edit import Edit, Part, Saved
from gateway.accounts.people import Administrator, Result
from gateway.app.services import Services
from gateway.model.account import Role, Status
from gateway.model.factor_policy import FactorPolicy, Second, TenantPolicy
from gateway.model.secret import Secret
from gateway.settings import Settings
from gateway.settings.record import Access
from gateway.store import Store
from gateway.tenants.sign_in import SignIn, SignInService
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import actions_of

OWNER = "otto@acme.example"
ENDS = {
    "signed out": "UPDATE sessions SET ended_at = 1",
    "disabled": "UPDATE accounts SET status = 'disabled' WHERE role = 'admin'",
    "demoted": "UPDATE accounts SET role = 'manager' WHERE role = 'admin'",
}


async def enter(store: Store, store_url: str, email: str) -> Administrator:
    """Return an administrator, or the owner, who is signed in."""
    _, key = await add_session(store, await add_person(store, person(email, role=Role.ADMIN)))
    async with worker(store_url, OWNER) as lookup:
        session = await look(lookup, key)
    assert session is not None
    return Administrator(session, None if email == OWNER else "acme", inbound_of(), NOW)


@pytest.mark.parametrize(
    ("email", "how"),
    [*(("adam@acme.example", how) for how in ENDS), (OWNER, "signed out"), (OWNER, "disabled")],
)
async def test_an_administrator_whose_right_ended_meanwhile_changes_nobody_and_invites_nobody(
    store: Store, store_url: str, email: str, how: str
) -> None:
    people = Services(Settings(secrets=(Secret(b"s" * 48),), access=Access(owners=frozenset({OWNER}))), store).people
    admin = await enter(store, store_url, email)
    ann = await add_person(store, person("ann@acme.example"))
    assert await people.save(admin, ann.id, Edit(rights=(Role.MANAGER, frozenset()))) == Saved((Part.RIGHTS,))
    async with store.transaction() as tx:
        await tx.execute(text(ENDS[how]))
    assert await people.save(admin, ann.id, Edit(rights=(Role.ADMIN, frozenset()))) is Result.NOT_THERE
    assert await people.set_status(admin, ann.id, Status.DISABLED) is Result.NOT_THERE
    wanted = Create(1, "mallory@acme.example", "Mallory", "acme", Role.ADMIN, frozenset(), None)
    assert await people.invite(admin, wanted) is Result.NOT_THERE
    async with store.reading() as tx:
        found = await rows.find(tx, ann.id)
        assert await rows.find_by_identifier(tx, wanted.identifier) is None
    assert found is not None
    assert (found.role, found.status) == (Role.MANAGER, Status.ACTIVE)


@pytest.mark.parametrize("how", ENDS)
async def test_an_administrator_whose_right_ended_meanwhile_demands_nothing_else_of_sign_ins(
    store: Store, store_url: str, how: str
) -> None:
    service = SignInService(store, actions_of(store), FactorPolicy())
    admin = await enter(store, store_url, "adam@acme.example")
    strict, lax = (SignIn(TenantPolicy({Role.EMPLOYEE: level})) for level in (Second.REQUIRED, Second.OPTIONAL))
    await service.change(admin.session, strict, inbound_of(), NOW)
    async with store.transaction() as tx:
        await tx.execute(text(ENDS[how]))
    await service.change(admin.session, lax, inbound_of(), NOW)
    async with store.reading() as tx:
        assert await rows.find_factor_policy(tx, "acme") == strict.policy
