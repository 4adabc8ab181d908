"""Finding people, files of many, mailed links and tenants in the store, on both engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.accounts import directory, links, rows
from gateway.accounts.csv_import import rows as imports
from gateway.accounts.csv_import.record import (
    ELSEWHERE,
    HAS_ACCOUNT,
    Asked,
    Departments,
    ImportRow,
    Listing,
    RowState,
    Usage,
)
from gateway.accounts.directory import HAS_PASSWORD, PAGE_SIZE, Wanted
from gateway.accounts.links import LIFE_SECONDS, LinkState, MailedLink, Purpose
from gateway.actions.action import Actor
from gateway.app.nouns import SEALED
from gateway.crypto.sealing import Sealer, reseal
from gateway.factors import enrolment
from gateway.model.account import Account, Module, Role, State, Status
from gateway.model.clock import DAY
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.sessions import rows as session_rows
from gateway.store import Store
from tests.store.people import NOW, add_person, add_session, person

SEALER = Sealer((Secret(bytes(range(48))),))
ASKED = Asked("acc_adam", Actor("adam@acme.example", "Adam", "ses_1", "192.0.2.7", "Browser/1.0", "req-1"))


async def emails(store: Store, wanted: Wanted, tenant: str | None = "acme") -> list[str]:
    async with store.reading() as tx:
        found, _ = await directory.find_page(tx, tenant, wanted, NOW)
    return [member.account.identifier for member in found]


async def add(store: Store, email: str, **changes: object) -> str:
    account = replace(person(email), tenant="acme", **changes)  # type: ignore[arg-type]
    async with store.transaction() as tx:
        assert await rows.add(tx, account)
    return account.id


async def test_people_are_found_by_every_filter(store: Store) -> None:
    ann = await add(store, "ann@acme.example", name="Ann 50%_off", role=Role.ADMIN)
    await add(store, "bob@acme.example", name="Bob", password_hash=None)
    await add(store, "cem@acme.example", name="Cem", status=Status.DISABLED)
    async with store.transaction() as tx:
        await rows.add(tx, replace(person("dan@beta.example"), tenant="beta"))
        await enrolment.add(tx, ann, Factor.TOTP)
        await session_rows.add(
            tx, token_key=b"k" * 32, account_id=ann, proofs=(), address="", user_agent="", now=NOW - 40 * DAY
        )
    everybody = ["ann@acme.example", "bob@acme.example", "cem@acme.example"]
    assert await emails(store, Wanted()) == everybody
    assert await emails(store, Wanted(words="ANN 50%_O")) == everybody[:1]
    assert await emails(store, Wanted(words="5_%")) == []
    assert await emails(store, Wanted(role=Role.ADMIN)) == everybody[:1]
    assert await emails(store, Wanted(state=State.ACTIVE)) == everybody[:1]
    assert await emails(store, Wanted(state=State.INVITED)) == everybody[1:2]
    assert await emails(store, Wanted(state=State.DISABLED)) == everybody[2:]
    assert await emails(store, Wanted(has_two_step=True)) == everybody[:1]
    assert await emails(store, Wanted(has_two_step=False)) == everybody[1:]
    assert await emails(store, Wanted(unseen_days=30)) == everybody
    assert await emails(store, Wanted(unseen_days=90)) == everybody[1:]
    assert await emails(store, Wanted(after="ann@acme.example")) == everybody[1:]
    assert await emails(store, Wanted(tenant="beta")) == []
    assert await emails(store, Wanted(tenant="beta"), tenant=None) == ["dan@beta.example"]
    async with store.reading() as tx:
        assert await directory.find_member(tx, "beta", ann) is None
        member = await directory.find_member(tx, "acme", ann)
        assert member is not None
        assert (member.has_two_step, member.seen_at, member.state) == (True, NOW - 40 * DAY, State.ACTIVE)
        assert await directory.find_taken(tx, [*everybody[:1], "x@y.example"]) == {"ann@acme.example": "acme"}


async def test_pages_go_on_where_the_one_before_ended(store: Store) -> None:
    wanted = [f"p{n:03}@acme.example" for n in range(2 * PAGE_SIZE + 1)]
    async with store.transaction() as tx:
        for email in wanted:
            await rows.add(tx, replace(person(email), tenant="acme"))
    seen: list[str] = []
    after, pages = "", 0
    while True:
        async with store.reading() as tx:
            found, after = await directory.find_page(tx, "acme", Wanted(after=after), NOW)
        seen += [member.account.identifier for member in found]
        pages += 1
        if not after:
            break
    assert (seen, pages) == (wanted, 3)


async def test_an_email_is_taken_by_one_account_alone(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@example.com"))
    async with store.transaction() as tx:
        assert not await rows.set_identifier(tx, ann.id, bob.identifier)
        assert await rows.set_identifier(tx, ann.id, "new@example.com")
        found = await rows.find(tx, ann.id)
    assert found is not None
    assert found.identifier == "new@example.com"


async def test_two_who_take_one_email_at_once_do_not_both_get_it(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@example.com"))

    async def take(account: Account) -> bool:
        async with store.transaction() as tx:
            is_theirs = await rows.set_identifier(tx, account.id, "new@example.com")
            await rows.set_status(tx, account.id, Status.DISABLED)  # the transaction goes on
            return is_theirs

    async with store.transaction() as tx:
        assert await rows.set_identifier(tx, ann.id, "new@example.com")
        second = asyncio.create_task(take(bob))
        while tx.dialect.name == "postgresql":  # SQLite has one writer at a time
            waiting = await tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            if waiting.scalar_one():
                break
    assert not await second
    async with store.reading() as tx:
        found = await rows.find(tx, bob.id)
    assert found is not None
    assert (found.identifier, found.status) == ("bob@example.com", Status.DISABLED)


async def test_tenants_are_counted_suspended_and_signed_out(store: Store) -> None:
    ann = await add_person(store, replace(person("ann@acme.example"), tenant="acme", role=Role.ADMIN))
    bob = await add_person(store, replace(person("bob@beta.example"), tenant="beta"))
    await add_session(store, ann)
    await add_session(store, ann)
    kept, _ = await add_session(store, bob)
    async with store.transaction() as tx:
        assert await rows.add_tenant(tx, "gamma", "Gamma")
        assert not await rows.add_tenant(tx, "gamma", "Again")
        assert await rows.rename_tenant(tx, "acme", "Acme AG")
        assert not await rows.rename_tenant(tx, "none", "None")
        await rows.lock_tenant(tx, "acme")
        assert await rows.count_admins(tx, "acme", but="somebody", has_way_in=HAS_PASSWORD) == 1
        assert await rows.count_admins(tx, "acme", but=ann.id, has_way_in=HAS_PASSWORD) == 0
        assert await session_rows.end_tenant(tx, "acme", NOW) == 2
        assert await session_rows.is_open(tx, kept)
        assert await rows.set_tenant_status(tx, "acme", is_active=False)
        assert await rows.find_tenant_name(tx, "acme") == "Acme AG"
        assert await rows.find_tenant_name(tx, "none") == "none"
        await rows.set_role(tx, ann.id, ann.role, frozenset((Module.HR, Module.FINANCE)))
        await rows.set_name(tx, ann.id, "Ann")
        told = await directory.list_tenants(tx)
    assert [(tenant.slug, tenant.is_active, tenant.count) for tenant in told] == [
        ("acme", False, 1),
        ("beta", True, 1),
        ("gamma", True, 0),
    ]


# Mailed links.


async def issue(store: Store, account: str | None, purpose: Purpose = Purpose.RESET, at: int = NOW) -> str:
    async with store.transaction() as tx:
        token = await links.issue(
            tx, SEALER, purpose, account=account, identifier="ann@example.com", now=at, content={"name": "Ann"}
        )
    return token.reveal()


async def find(store: Store, token: str, purpose: Purpose = Purpose.RESET) -> MailedLink:
    async with store.reading() as tx:
        found = await links.find(tx, SEALER, purpose, token)
    assert found is not None
    return found


@pytest.mark.usefixtures("unhurried")
async def test_a_link_is_used_once_by_any_number_of_equal_requests(store: Store) -> None:
    ann = await add_person(store)
    link = await find(store, await issue(store, ann.id))
    assert link.content == {"name": "Ann"}

    async def use() -> bool:
        async with store.transaction() as tx:
            return await links.consume(tx, link, NOW)

    assert sorted(await asyncio.gather(*(use() for _ in range(20)))) == [False] * 19 + [True]
    assert (await find(store, await issue(store, ann.id))).state(NOW) is LinkState.GOOD


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_link_lives_as_long_as_its_purpose_says(store: Store, purpose: Purpose) -> None:
    ann = await add_person(store)
    link = await find(store, await issue(store, ann.id, purpose), purpose)
    life = LIFE_SECONDS[purpose]
    assert link.state(NOW + life - 1) is LinkState.GOOD
    assert link.state(NOW + life) is LinkState.EXPIRED
    async with store.transaction() as tx:
        assert not await links.consume(tx, link, NOW + life)
        assert await links.consume(tx, link, NOW + life - 1)


async def test_a_newer_link_kills_the_older_of_its_purpose_alone(store: Store) -> None:
    ann = await add_person(store)
    first = await issue(store, ann.id)
    other = await issue(store, ann.id, Purpose.EMAIL_CHANGE)
    await issue(store, ann.id)
    assert (await find(store, first)).state(NOW) is LinkState.SUPERSEDED
    assert (await find(store, other, Purpose.EMAIL_CHANGE)).state(NOW) is LinkState.GOOD
    async with store.transaction() as tx:
        assert await links.find(tx, SEALER, Purpose.RESET, other) is None
        assert await links.void_all(tx, ann.id, NOW) == 2


async def test_the_content_of_links_is_sealed_anew_with_a_newer_key(store: Store) -> None:
    ann = await add_person(store)
    token = await issue(store, ann.id)
    newer = Secret(bytes(reversed(range(48))))
    both = Sealer((newer, Secret(bytes(range(48)))))
    async with store.transaction() as tx:
        assert await reseal(tx, both, SEALED["links"]) == 1
        assert await reseal(tx, both, SEALED["links"]) == 0
        found = await links.find(tx, Sealer((newer,)), Purpose.RESET, token)
    assert found is not None
    assert found.content == {"name": "Ann"}


# Files of many.


WAITING = ImportRow(2, RowState.WAITING, "p2@acme.example", "p2@acme.example", "P", "acme", "employee")


def waiting(*lines: int) -> list[ImportRow]:
    emails = [(line, f"p{line}@acme.example") for line in lines]
    return [replace(WAITING, line=line, email=email, identifier=email) for line, email in emails]


def told(rows: list[ImportRow], state: RowState) -> list[ImportRow]:
    return [replace(row, state=state, reason="" if state is RowState.INVITED else "a reason") for row in rows]


async def test_an_import_is_worked_on_by_one_worker_and_goes_on_where_it_ended(store: Store) -> None:
    given = waiting(2, 3, 4, 5)
    async with store.transaction() as tx:
        import_id = await imports.add(tx, "acme", 100, given, NOW)
        assert await imports.find(tx, import_id, "beta") is None
        assert await imports.find(tx, import_id, None) is None
        assert await imports.claim(tx, NOW, 60) is None
        assert not await imports.is_any_due(tx, NOW)
        assert await imports.start(tx, import_id, ASKED, NOW)
        assert not await imports.start(tx, import_id, replace(ASKED, account="acc_else"), NOW)
        assert await imports.is_any_due(tx, NOW)
    async with store.transaction() as tx:
        work = await imports.claim(tx, NOW, 60)
    assert work is not None
    assert work.asked == ASKED
    async with store.transaction() as tx:
        assert await imports.claim(tx, NOW + 59, 60) is None
        assert await imports.list_waiting(tx, work, 2) == given[:2]
    async with store.transaction() as tx:
        assert await imports.hold(tx, work, NOW + 10, 60)
        half = await imports.advance(tx, work, told(given[:2], RowState.INVITED), NOW + 10)
    assert half.finished_at is None
    async with store.transaction() as tx:
        assert not await imports.hold(tx, work, NOW + 10, 60)
    async with store.transaction() as tx:
        taken_over = await imports.claim(tx, NOW + 71, 60)
    assert taken_over == half
    left_out = told(given[2:], RowState.SKIPPED)
    async with store.transaction() as tx:
        assert await imports.hold(tx, half, NOW + 72, 60)
        more = await imports.advance(tx, half, left_out, NOW + 72)
        whole = await imports.advance(tx, more, [], NOW + 73)
        assert not await imports.hold(tx, whole, NOW + 74, 60)
    async with store.reading() as tx:
        found = await imports.find(tx, import_id, "acme")
        assert not await imports.is_any_due(tx, NOW + 999)
        assert await imports.find_left_out(tx, whole) == Listing(left_out, 2)
    assert found == whole
    assert (whole.done, whole.invited, whole.skipped, whole.finished_at) == (4, 2, 2, NOW + 73)


async def test_the_owners_import_is_found_under_no_tenant(store: Store) -> None:
    async with store.transaction() as tx:
        import_id = await imports.add(tx, None, 100, waiting(2), NOW)
        assert await imports.find(tx, import_id, None) is not None
        assert await imports.find(tx, import_id, "acme") is None


async def test_an_old_import_is_not_started_any_more(store: Store) -> None:
    async with store.transaction() as tx:
        import_id = await imports.add(tx, "acme", 100, waiting(2), NOW)
        assert not await imports.start(tx, import_id, ASKED, NOW + imports.KEEP_SECONDS)
        assert await imports.start(tx, import_id, ASKED, NOW + imports.KEEP_SECONDS - 1)


async def test_uploads_are_counted_for_a_tenant_and_a_day(store: Store) -> None:
    async with store.transaction() as tx:
        for tenant, size, at in (("acme", 7, NOW), ("acme", 5, NOW + 60), ("beta", 3, NOW), (None, 2, NOW)):
            await imports.add(tx, tenant, size, [], at)
        assert await imports.measure(tx, "acme", NOW + 60) == Usage(2, 12, NOW + DAY)
        assert await imports.measure(tx, "acme", NOW + DAY) == Usage(1, 5, NOW + 60 + DAY)
        assert await imports.measure(tx, "beta", NOW) == Usage(1, 3, NOW + DAY)
        assert await imports.measure(tx, None, NOW) == Usage(1, 2, NOW + DAY)
        assert await imports.measure(tx, "gamma", NOW) == Usage(0, 0, NOW + DAY)


async def test_a_preview_counts_all_rows_and_shows_a_few(store: Store) -> None:
    await add_person(store, person("p2@acme.example"))
    given = [*waiting(*range(2, 400)), *told(waiting(*range(400, 500)), RowState.REFUSED)]
    async with store.transaction() as tx:
        import_id = await imports.add(tx, "acme", 100, [replace(row, department="sales") for row in given], NOW)
        work = await imports.find(tx, import_id, "acme")
        assert work is not None
        preview = await imports.preview(tx, work, "acme.example")
    counts = [preview.invite.count, preview.skip.count, preview.refuse.count]
    assert counts == [397, 1, 100]
    assert [row.line for row in preview.invite.rows] == list(range(3, 3 + imports.SHOWN))
    assert preview.invite.more == 397 - imports.SHOWN
    assert preview.departments == Departments(["sales"], 1, 398)


async def test_a_preview_points_out_administrators_and_other_domains(store: Store) -> None:
    first, second, third = waiting(2, 3, 4)
    given = [replace(first, role="admin"), replace(second, identifier="p3@notacme.example"), third]
    async with store.transaction() as tx:
        work = await imports.find(tx, await imports.add(tx, "acme", 100, given, NOW), "acme")
        assert work is not None
        preview = await imports.preview(tx, work, "acme.example")
    found = [([row.line for row in listing.rows], listing.count) for listing in (preview.admins, preview.outsiders)]
    assert found == [([2], 1), ([3], 1)]


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_a_preview_says_nothing_to_an_admin_of_other_companies(store: Store, tenant: str | None) -> None:
    """S12: whether another company has an account makes no difference; the owner is told."""
    for identifier, whose in (("p2@acme.example", "beta"), ("p3@acme.example", "acme")):
        await add_person(store, person(identifier, tenant=whose))
    async with store.transaction() as tx:
        work = await imports.find(tx, await imports.add(tx, tenant, 100, waiting(2, 3, 4), NOW), tenant)
        assert work is not None
        preview = await imports.preview(tx, work, "acme.example")
    assert {row.reason for row in preview.skip.rows} == {HAS_ACCOUNT}
    assert {row.reason for row in preview.refuse.rows} <= {ELSEWHERE}
    lines = [[row.line for row in listing.rows] for listing in (preview.invite, preview.skip, preview.refuse)]
    assert lines == ([[2, 4], [3], []] if tenant else [[4], [3], [2]])
