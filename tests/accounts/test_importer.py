"""Inviting many in the background: nothing twice, nothing half, and nothing for who may not invite any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from gateway.accounts import claims, rows
from gateway.accounts.claims import Claim
from gateway.accounts.csv_import import rows as imports
from gateway.accounts.csv_import.file import UnreadableFile
from gateway.accounts.csv_import.importer import (
    MAX_ROWS,
    NOT_ANY_MORE,
    NOT_INVITABLE,
    OWNER,
    ROWS_AT_ONCE,
    SUSPENDED,
    Importer,
    OverQuota,
    Quota,
    judge_file,
)
from gateway.accounts.csv_import.record import ELSEWHERE, HAS_ACCOUNT, Asked, Import, ImportRow, RowState
from gateway.accounts.csv_import.tables import import_rows
from gateway.accounts.invitations import FROM_TENANT, Invitations, TooManyMails, count_mail
from gateway.accounts.links import mailed_links
from gateway.accounts.people import Administrator
from gateway.actions.action import Actor
from gateway.crypto.sealing import Sealer
from gateway.languages.reader import Readers
from gateway.mail.outbox import Outbox
from gateway.model.account import Account, Role, Status
from gateway.model.clock import DAY
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.store import Store
from gateway.store.schema import accounts, audit, email_changes, outbox
from tests.login.people import inbound_of
from tests.mail.conftest import make_composer
from tests.store.people import NOW, add_person, person
from tests.support.actions import actions_of
from tests.support.statements import noted

OWNER_EMAIL = "otto@otium.example"
OWNERS = frozenset((OWNER_EMAIL,))
AMPLE = Quota(20, 10_000_000)
COUNT = 2 * ROWS_AT_ONCE + 3
HEADER = b"email,name,department,role,tenant\n"


def importer(store: Store, quota: Quota = AMPLE) -> Importer:
    sealer = Sealer((Secret(bytes(range(48))),))
    invitations = Invitations(Outbox(make_composer(), sealer, Readers()), sealer, "https://app.example.com/invite/")
    return Importer(store, actions_of(store), invitations, OWNERS, quota)


def asked_by(admin: Account) -> Asked:
    return Asked(admin.id, Actor(admin.identifier, admin.name, "ses_1", "192.0.2.7", "Browser/1.0", "req-1"))


def file_of(*emails: str, tenant: str = "acme") -> bytes:
    return HEADER + "".join(f"{email},P,hr,employee,{tenant}\n" for email in emails).encode()


EVERYBODY = file_of(*(f"p{n}@acme.example" for n in range(COUNT)))


async def started(store: Store, admin: Account, tenant: str | None = "acme", content: bytes = EVERYBODY) -> str:
    async with store.transaction() as tx:
        import_id = await imports.add(tx, tenant, 1, judge_file(content, tenant, OWNERS).rows, NOW)
        await imports.start(tx, import_id, asked_by(admin), NOW)
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


async def report(store: Store, import_id: str, tenant: str | None = "acme") -> tuple[Import, list[ImportRow]]:
    """Return a finished import and what was left out."""
    async with store.reading() as tx:
        found = await imports.find(tx, import_id, tenant)
        assert found is not None
        assert found.finished_at is not None
        return found, list((await imports.find_left_out(tx, found)).rows)


async def test_every_row_is_invited_once_and_nothing_of_the_file_is_kept(store: Store) -> None:
    import_id = await started(store, await an_admin(store))
    await importer(store).run_once(lambda: NOW)
    assert await counts(store) == (COUNT, COUNT)
    found, left_out = await report(store, import_id)
    assert (found.invited, left_out) == (COUNT, [])
    async with store.reading() as tx:
        assert (await tx.execute(select(func.count()).select_from(import_rows))).scalar_one() == 0


async def test_a_step_is_a_few_statements_however_many_it_invites(store: Store) -> None:
    admin = await an_admin(store)
    asked: dict[int, int] = {}
    for count in (2, ROWS_AT_ONCE):
        await started(store, admin, content=file_of(*(f"p{n}@{count}.example" for n in range(count))))
        work = await claimed(store)
        with noted(store) as statements:
            after = await importer(store).go_on(work, NOW)
        assert after is not None
        assert after.invited == count
        asked[count] = len(statements)
        await importer(store).run_once(lambda: NOW + 61)
    assert asked[2] == asked[ROWS_AT_ONCE] < 30


async def test_of_a_step_whoever_can_be_invited_is(store: Store) -> None:
    """Too many mails, a company that has claimed the domain, a former email that is reserved: the others come through."""
    admin = await an_admin(store)
    mailed, claimed_by, reserved = "mailed@acme.example", "x@claimed.example", "former@acme.example"
    async with store.transaction() as tx:
        await rows.add_tenant(tx, "beta", "Beta")
        await claims.add(tx, Claim("claimed.example", "beta"), OWNER_EMAIL, NOW)
        for _ in range(FROM_TENANT.failures):
            await count_mail(tx, "acme", mailed, NOW)
        values = {"id": "emc_1", "account": admin.id, "old": reserved, "new": admin.identifier, "asked_by": ""}
        await tx.execute(email_changes.insert().values(**values, asked_at=NOW, due_at=NOW, done_at=NOW))
    good = [f"p{n}@acme.example" for n in range(3)]
    content = file_of(good[0], mailed, claimed_by, good[1], reserved, good[2])
    import_id = await started(store, admin, content=content)
    await importer(store).run_once(lambda: NOW)
    found, left_out = await report(store, import_id)
    assert [(row.email, row.reason) for row in left_out] == [
        (mailed, TooManyMails.sentence), (claimed_by, NOT_INVITABLE), (reserved, NOT_INVITABLE),
    ]  # fmt: skip
    assert (found.invited, await counts(store)) == (3, (3, 3))
    async with store.reading() as tx:
        recipients = (await tx.execute(select(outbox.c.recipient).order_by(outbox.c.recipient))).scalars()
        links = (await tx.execute(select(mailed_links.c.identifier).order_by(mailed_links.c.identifier))).scalars()
    assert list(recipients) == list(links) == good


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
    """S23: whoever pressed the button counts, at each step."""
    admin = await an_admin(store)
    import_id = await started(store, admin)
    work = await importer(store).go_on(await claimed(store), NOW)
    assert work is not None
    async with store.transaction() as tx:
        match change:
            case "demoted":
                await rows.set_role(tx, admin.id, Role.MANAGER, frozenset())
            case "disabled":
                await rows.set_status(tx, admin.id, Status.DISABLED)
            case "suspended":
                await rows.set_tenant_status(tx, "acme", is_active=False)
            case _:
                await rows.add_tenant(tx, "beta", "Beta")
                await tx.execute(accounts.update().where(accounts.c.id == admin.id).values(tenant="beta"))
    ended = await importer(store).go_on(work, NOW)
    assert ended is not None
    assert await counts(store) == (ROWS_AT_ONCE, ROWS_AT_ONCE)
    found, left_out = await report(store, import_id)
    assert (found, found.invited, found.refused) == (ended, ROWS_AT_ONCE, COUNT - ROWS_AT_ONCE)
    assert {row.reason for row in left_out} == {NOT_ANY_MORE}


async def test_all_that_were_started_are_completed(store: Store) -> None:
    """A worker is told once of several imports that were started at the same time, and looks again much later."""
    admin = await an_admin(store)
    emails = [f"p{n}@acme.example" for n in range(3)]
    begun = [await started(store, admin, content=file_of(email)) for email in emails]
    await importer(store).run_due(lambda: NOW)
    assert [(await report(store, import_id))[0].invited for import_id in begun] == [1, 1, 1]


async def test_an_import_across_tenants_is_the_owners_alone(store: Store) -> None:
    owner = await add_person(store, replace(person(OWNER_EMAIL), role=Role.ADMIN))
    theirs = await started(store, owner, tenant=None)
    await importer(store).run_once(lambda: NOW)
    assert (await report(store, theirs, None))[0].invited == COUNT


async def test_who_is_taken_off_the_list_of_owners_goes_on_with_nothing(store: Store) -> None:
    owner = await add_person(store, replace(person(OWNER_EMAIL), role=Role.ADMIN))
    theirs, job = await started(store, owner, tenant=None), importer(store)
    job.adopt(frozenset())
    await job.run_once(lambda: NOW)
    assert (await report(store, theirs, None))[0].refused == COUNT


async def test_an_admin_does_not_import_across_tenants(store: Store) -> None:
    admin = await an_admin(store)
    import_id = await started(store, admin, tenant=None)
    await importer(store).run_once(lambda: NOW)
    assert (await report(store, import_id, None))[0].refused == COUNT
    assert await counts(store) == (0, 0)


async def test_addresses_outside_the_own_company_get_one_neutral_answer(store: Store) -> None:
    """S12: an account elsewhere, a platform owner and a domain of another company are refused in the same words."""
    admin = await an_admin(store)
    await add_person(store, person("olga@beta.example", tenant="beta"))
    async with store.transaction() as tx:
        await claims.add(tx, Claim("claimed.example", "beta"), OWNER_EMAIL, NOW)
    emails = ("olga@beta.example", OWNER_EMAIL, "x@claimed.example", "adam@acme.example", "new@acme.example")
    import_id = await started(store, admin, content=file_of(*emails))
    await importer(store).run_once(lambda: NOW)
    found, left_out = await report(store, import_id)
    assert [row.reason for row in left_out] == [NOT_INVITABLE, NOT_INVITABLE, NOT_INVITABLE, HAS_ACCOUNT]
    assert (found.invited, found.skipped, found.refused) == (1, 1, 3)


async def test_the_owner_is_told_why_and_invites_nobody_into_a_suspended_company(store: Store) -> None:
    owner = await add_person(store, replace(person(OWNER_EMAIL), role=Role.ADMIN, tenant="otium"))
    await add_person(store, person("olga@beta.example", tenant="beta"))
    async with store.transaction() as tx:
        await rows.add_tenant(tx, "gone", "Gone")
        await rows.set_tenant_status(tx, "gone", is_active=False)
    content = file_of("olga@beta.example", OWNER_EMAIL) + file_of("x@gone.example", tenant="gone").removeprefix(HEADER)
    import_id = await started(store, owner, tenant=None, content=content)
    await importer(store).run_once(lambda: NOW)
    _, left_out = await report(store, import_id, None)
    assert [row.reason for row in left_out] == [ELSEWHERE, OWNER, SUSPENDED]


@pytest.mark.parametrize("quota", [Quota(2, 1_000), Quota(9, 2 * len(EVERYBODY) + 1)])
async def test_uploads_have_a_quota_per_tenant_and_day(store: Store, quota: Quota) -> None:
    """S13: refused before anything is read, and there is room again when the oldest is a day old."""
    job = importer(store, Quota(quota.files, max(quota.bytes, 2 * len(EVERYBODY) + 1)))
    admin = Administrator(session_of(await an_admin(store)), "acme", inbound_of(), NOW)
    for second in range(2):
        await job.keep(replace(admin, now=NOW + second), EVERYBODY)
    later = replace(admin, now=NOW + 60)
    with pytest.raises(OverQuota) as refused:
        await job.keep(later, EVERYBODY)
    assert refused.value.seconds == DAY - 60
    await job.keep(replace(later, tenant="beta"), EVERYBODY)
    await job.keep(replace(admin, now=NOW + DAY), EVERYBODY)


def session_of(account: Account) -> Session:
    return Session(
        id="ses_1",
        account=account.id,
        identifier=account.identifier,
        name=account.name,
        tenant=account.tenant,
        role=account.role,
        modules=account.modules,
        is_owner=False,
        proofs=(),
        started_at=NOW,
        seen_at=NOW,
    )


# Reading.


def test_rows_that_repeat_each_other_are_all_refused_and_say_where() -> None:
    """S5, O5."""
    judged = judge_file(
        file_of("Wanda@acme.example", "x@acme.example", "wanda@acme.example", "WANDA@acme.example."), "acme", OWNERS
    ).rows
    assert [(row.state, row.other_line) for row in judged] == [
        (RowState.REFUSED, 4), (RowState.WAITING, None), (RowState.REFUSED, 2), (RowState.REFUSED, 2),
    ]  # fmt: skip


def test_an_owner_is_refused_to_the_owner_and_not_told_to_an_admin() -> None:
    for tenant, state in ((None, RowState.REFUSED), ("acme", RowState.WAITING)):
        (row,) = judge_file(file_of("OTTO@otium.example"), tenant, OWNERS).rows
        assert row.state is state


WIDE = b"email,name,department,role"
UNREADABLE = [
    (WIDE + b"," * 201, "more than 200 columns"),
    (WIDE + b";" * 1_900_000, "longer than 20000"),
    (HEADER + b"," * 1_900_000, "longer than 20000"),
    (HEADER + b'"' + b"x\n" * 900_000, "longer than 20000"),
    (HEADER + b"\n" * 1_900_000, "lines"),
    (HEADER + b"\r" * 1_900_000, "lines"),
    (HEADER + b"x\n" * (MAX_ROWS + 1), "at most 5000"),
    (WIDE + b",email\n", "names the column email twice"),
    ("email,name,department,role\n".encode("utf-16"), "no rows"),
    ("email,name,department,role\n".encode("utf-16")[:-1], "isn’t UTF-8"),
    (HEADER + b"\x81\n", "isn’t UTF-8"),
    (b"PK\x03\x04" + HEADER, "isn’t UTF-8"),
    (b"\0" * 1_900_000, "longer than 20000"),
    (HEADER, "no rows"),
]


@pytest.mark.parametrize(("content", "said"), UNREADABLE)
def test_a_file_that_is_no_list_is_refused_early(content: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        judge_file(content, "acme", OWNERS)


ODD_CELLS = [
    b"a\0b@acme.example,A,,employee,\n",
    b"x@acme.example," + "\u0301".encode() * 1_001 + b",,employee,\n",
    b"a" * 5_000 + b",A,,employee,\n",
    b"x@acme.example,A,,employee,beta\n",
    b"x@acme.example,A\0,,employee,\n",
]


@pytest.mark.parametrize("line", ODD_CELLS)
def test_an_odd_row_is_refused_and_fits_its_columns(line: bytes) -> None:
    (row,) = judge_file(HEADER + line, "acme", OWNERS).rows
    assert row.state is RowState.REFUSED
    assert len(row.email) <= 320
    assert "\0" not in row.email
    assert row.reason
