"""Inviting many in the background: nothing twice, nothing half, and nothing for who may not invite any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from gateway.accounts import imports, rows
from gateway.accounts.importer import ROWS_AT_ONCE, Importer
from gateway.accounts.imports import Asked, Import
from gateway.accounts.invitations import Invitations
from gateway.accounts.record import Account, Role, Status
from gateway.mail.outbox import Outbox
from gateway.sealing import Sealer
from gateway.secret import Secret
from gateway.store import Store
from gateway.store.schema import accounts, audit
from tests.mail.conftest import make_composer
from tests.store.people import NOW, add_person, person

OWNER = "otto@otium.example"
COUNT = 2 * ROWS_AT_ONCE + 3


def importer(store: Store) -> Importer:
    sealer = Sealer((Secret(bytes(range(48))),))
    invitations = Invitations(Outbox(make_composer(), sealer), sealer, "https://app.example.com/invite/")
    return Importer(store, invitations, frozenset((OWNER,)))


async def started(store: Store, admin: Account, tenant: str | None = "acme") -> str:
    asked = Asked(admin.id, admin.name, admin.identifier, "ses_1", "192.0.2.7", "Browser/1.0", "req-1")
    given = [
        (n + 2, {"email": f"p{n}@acme.example", "name": f"P {n}", "role": "employee", "tenant": "acme"})
        for n in range(COUNT)
    ]
    async with store.transaction() as tx:
        import_id = await imports.add(tx, tenant, asked, given, NOW)
        await imports.start(tx, import_id, NOW)
    return import_id


async def claimed(store: Store) -> Import:
    async with store.transaction() as tx:
        work = await imports.claim(tx, NOW, 60)
    assert work is not None
    return work


async def counts(store: Store) -> tuple[int, int]:
    """Return how many were invited, and how many audit rows tell of it."""
    async with store.reading() as tx:
        people = select(func.count()).select_from(accounts).where(accounts.c.password_hash.is_(None))
        told = select(func.count()).select_from(audit).where(audit.c.event == "account_invited")
        return (await tx.execute(people)).scalar_one(), (await tx.execute(told)).scalar_one()


async def an_admin(store: Store) -> Account:
    return await add_person(store, person("adam@acme.example", role=Role.ADMIN))


async def report(store: Store, import_id: str, tenant: str | None = "acme") -> list[str]:
    async with store.reading() as tx:
        found = await imports.find(tx, import_id, tenant)
    assert found is not None
    assert found.finished_at is not None
    return [told.word for told in found.report]


async def test_every_row_is_invited_once(store: Store) -> None:
    import_id = await started(store, await an_admin(store))
    await importer(store).run_once(lambda: NOW)
    assert await counts(store) == (COUNT, COUNT)
    assert await report(store, import_id) == ["invited"] * COUNT


async def test_who_comes_back_too_late_leaves_nothing_behind(store: Store) -> None:
    await started(store, await an_admin(store))
    late = await claimed(store)
    assert await importer(store).go_on(late, NOW) is not None
    before = await counts(store)
    assert before == (ROWS_AT_ONCE, ROWS_AT_ONCE)
    assert await importer(store).go_on(late, NOW + 1) is None
    assert await counts(store) == before


@pytest.mark.parametrize("change", ["demoted", "disabled", "suspended", "moved"])
async def test_it_stops_when_its_admin_may_not_invite_any_more(store: Store, change: str) -> None:
    admin = await an_admin(store)
    import_id = await started(store, admin)
    work = await importer(store).go_on(await claimed(store), NOW)
    assert work is not None
    async with store.transaction() as tx:
        match change:
            case "demoted":
                await rows.set_role(tx, admin.id, Role.MANAGER)
            case "disabled":
                await rows.set_status(tx, admin.id, Status.DISABLED)
            case "suspended":
                await rows.set_tenant_status(tx, "acme", is_active=False)
            case _:
                await rows.add_tenant(tx, "beta", "Beta")
                await tx.execute(accounts.update().where(accounts.c.id == admin.id).values(tenant="beta"))
    while work is not None and work.finished_at is None:
        work = await importer(store).go_on(work, NOW)
    assert await counts(store) == (ROWS_AT_ONCE, ROWS_AT_ONCE)
    assert await report(store, import_id) == ["invited"] * ROWS_AT_ONCE + ["refused"] * (COUNT - ROWS_AT_ONCE)


async def test_an_import_across_tenants_is_the_owners_alone(store: Store) -> None:
    owner = await add_person(store, replace(person(OWNER), role=Role.ADMIN))
    theirs = await started(store, owner, tenant=None)
    await importer(store).run_once(lambda: NOW)
    assert await report(store, theirs, None) == ["invited"] * COUNT


async def test_an_admin_does_not_import_across_tenants(store: Store) -> None:
    admin = await an_admin(store)
    import_id = await started(store, admin, tenant=None)
    await importer(store).run_once(lambda: NOW)
    assert await report(store, import_id, None) == ["refused"] * COUNT
    assert await counts(store) == (0, 0)
