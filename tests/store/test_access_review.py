"""Who is found in an access review, and which unused accounts are disabled, on both engines."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from gateway.access_review import lines
from gateway.access_review.export import COLUMNS, as_csv
from gateway.access_review.lines import Line, Sort, Wanted
from gateway.access_review.service import AccessReviews, Review
from gateway.access_review.unused import Kept
from gateway.accounts import rows as account_rows
from gateway.accounts.directory import HAS_PASSWORD
from gateway.accounts.people import Administrator
from gateway.app.services import Services
from gateway.factors import enrolment
from gateway.model.account import Account, Role, State, Status
from gateway.model.api_token import Grant, Kind
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.model.token import new_id
from gateway.sessions import rows as session_rows
from gateway.settings import Settings
from gateway.settings.record import Access
from gateway.store import Store
from gateway.store.schema import accounts, tenants
from gateway.tokens import rows as token_rows
from gateway.tokens.rows import TokenRow
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, person, sign_in
from tests.store.test_compromised import events

DAY = 86_400
LONG_AGO = NOW - 400 * DAY
ADMIN = "adam@acme.example"
OWNER = "olga@acme.example"


async def add(store: Store, email: str, seen_at: int | None = None, **changes: object) -> Account:
    account = await add_person(store, replace(person(email), **{"created_at": LONG_AGO, **changes}))  # type: ignore[arg-type]
    if seen_at is not None:
        await add_session(store, account, seen_at)
    return account


async def add_token(store: Store, account: Account, used_at: int | None = None, made_at: int = NOW) -> None:
    grant = Grant(new_id("tok"), NOW + DAY, frozenset(), (), ())
    row = TokenRow(grant.token, account.id, Kind.PERSONAL, "x", Role.EMPLOYEE, grant, made_at, None, used_at, "", "")
    async with store.transaction() as tx:
        await token_rows.add(tx, row, new_id("dig").encode().ljust(32, b"0")[:32])
        if used_at is not None:
            await token_rows.note_use(tx, row.id, used_at, "192.0.2.7", "")


@pytest.fixture
async def admin(store: Store) -> Administrator:
    account = await add(store, ADMIN, role=Role.ADMIN)
    session_id, _ = await add_session(store, account, NOW)
    session = Session(
        session_id, account.id, ADMIN, "Adam", "acme", Role.ADMIN, frozenset(), False, (), NOW, NOW,
    )  # fmt: skip
    return Administrator(session, "acme", inbound_of(), NOW)


@pytest.fixture
def reviews(store: Store) -> AccessReviews:
    settings = Settings(secrets=(Secret(b"s" * 48),), access=Access(owners=frozenset({OWNER})))
    return Services(settings, store).access_reviews


async def found(store: Store, wanted: Wanted, tenant: str | None = "acme") -> list[str]:
    async with store.reading() as tx:
        page, _ = await lines.find_page(tx, tenant, wanted, NOW, HAS_PASSWORD)
    return [line.account.name for line in page]


async def test_people_are_found_by_every_filter(store: Store) -> None:
    ann = await add(store, "ann@acme.example", NOW, name="ann", role=Role.ADMIN)
    bob = await add(store, "bob@acme.example", NOW - 100 * DAY, name="bob")
    await add(store, "cem@acme.example", name="cem", password_hash=None, created_at=NOW - DAY)
    await add(store, "dan@acme.example", name="dan", status=Status.DISABLED)
    await add(store, "eve@beta.example", name="eve", tenant="beta")
    await add_token(store, bob)
    async with store.transaction() as tx:
        await enrolment.add(tx, ann.id, Factor.PASSKEY)
        await enrolment.demand(tx, bob.id, Factor.TOTP)
        await enrolment.exempt(tx, bob.id, True)
    assert await found(store, Wanted()) == ["ann", "bob", "cem", "dan"]
    assert await found(store, Wanted(role=Role.ADMIN)) == ["ann"]
    assert await found(store, Wanted(state=State.INVITED)) == ["cem"]
    assert await found(store, Wanted(lacks_second=True)) == ["bob", "cem", "dan"]
    assert await found(store, Wanted(has_tokens=True)) == ["bob"]
    assert await found(store, Wanted(unseen_days=90)) == ["bob", "dan"]
    assert await found(store, Wanted(unseen_days=90, is_enabled=True)) == ["bob"]
    assert await found(store, Wanted(sort=Sort.SEEN)) == ["dan", "bob", "cem", "ann"]
    assert await found(store, Wanted(), "beta") == ["eve"]
    assert await found(store, Wanted(), None) == ["ann", "bob", "cem", "dan", "eve"]


async def test_what_is_shown_of_a_person(store: Store) -> None:
    ann = await add(store, "ann@acme.example", NOW - 2 * DAY)
    await add_session(store, ann, NOW - DAY)
    await add_token(store, ann, NOW - 60)
    async with store.transaction() as tx:
        await enrolment.add(tx, ann.id, Factor.TOTP)
        await enrolment.add(tx, ann.id, Factor.PASSKEY)
    async with store.reading() as tx:
        ((line,), _) = await lines.find_page(tx, "acme", Wanted(), NOW, HAS_PASSWORD)
    assert line.second_steps == [Factor.PASSKEY, Factor.TOTP]
    assert (line.state, line.seen_at, line.tokens, line.token_used_at) == (State.ACTIVE, NOW - DAY, 1, NOW - 60)
    assert not line.is_linked
    assert line.active_at == NOW - DAY


async def test_a_service_account_is_shown_as_seen_when_its_token_is_used(store: Store) -> None:
    service = await add(store, "export.1f0c9a7e@service.invalid", is_service=True, password_hash=None)
    async with store.reading() as tx:
        ((before,), _) = await lines.find_page(tx, "acme", Wanted(), NOW, HAS_PASSWORD)
    await add_token(store, service, NOW - 60)
    async with store.reading() as tx:
        ((line,), _) = await lines.find_page(tx, "acme", Wanted(), NOW, HAS_PASSWORD)
    assert (before.active_at, line.active_at) == (None, NOW - 60)


@pytest.mark.parametrize("sort", Sort)
async def test_pages_of_either_order_show_everybody_once(store: Store, sort: Sort) -> None:
    """Also those who were last seen in the same second."""
    for number in range(7):
        await add(store, f"p{number}@acme.example", NOW - (number // 3) * DAY, name=f"p{number}")
    seen, after, pages = list[Line](), "", 0
    async with store.reading() as tx:
        while True:
            page, after = await lines.find_page(tx, "acme", Wanted(sort=sort, after=after), NOW, HAS_PASSWORD, 2)
            seen, pages = [*seen, *page], pages + 1
            if not after:
                break
    assert pages == 4
    assert sorted(line.account.name for line in seen) == [f"p{number}" for number in range(7)]
    wanted = [line.idle_since for line in seen] if sort is Sort.SEEN else [line.account.identifier for line in seen]
    assert wanted == sorted(wanted)  # type: ignore[type-var]


@pytest.mark.parametrize("after", ["x", "-", "9" * 16 + "-a", "²-a", "-1-a"])
async def test_a_place_that_can_not_be_read_is_the_start(store: Store, after: str) -> None:
    await add(store, "ann@acme.example", name="ann")
    assert await found(store, Wanted(sort=Sort.SEEN, after=after)) == ["ann"]


async def test_networks_that_limit_an_account_are_shown(store: Store) -> None:
    for name in ("ann", "bob", "exempt"):
        await add(store, f"{name}@acme.example", name=name, role=Role.ADMIN if name == "ann" else Role.EMPLOYEE)
    await add(store, OWNER, name="owner", role=Role.ADMIN)
    async with store.transaction() as tx:
        await tx.execute(update(tenants).values(networks="[admin]\n203.0.113.0/24 Office"))
        for name, rule in (("bob", "198.51.100.7"), ("exempt", "[exempt]")):
            await tx.execute(update(accounts).where(accounts.c.name == name).values(networks=rule))
    async with store.reading() as tx:
        page, _ = await lines.find_page(tx, "acme", Wanted(), NOW, HAS_PASSWORD)
    assert {line.account.name for line in page if line.is_limited({OWNER})} == {"ann", "bob"}
    assert len(page) == 4


# Unused accounts.


async def unused(reviews: AccessReviews, admin: Administrator) -> dict[str, Kept | None]:
    judged, _ = await reviews.list_unused(admin, 90)
    return {one.line.account.identifier.partition("@")[0]: one.kept for one in judged}


async def test_the_list_has_the_unused_and_says_which_of_them_stay(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    await add(store, "ann@acme.example", NOW - 91 * DAY)
    await add(store, "ben@acme.example", NOW - 89 * DAY)
    await add(store, "invited@acme.example", password_hash=None)
    await add(store, "new@acme.example", password_hash=None, created_at=NOW - DAY)
    await add(store, "gone@acme.example", status=Status.DISABLED)
    await add(store, OWNER)
    glass, program = await add(store, "glass@acme.example"), await add(store, "program@acme.example")
    fresh, former = await add(store, "fresh@acme.example"), await add(store, "former@acme.example")
    await add_token(store, program, NOW - DAY)
    await add_token(store, fresh)  # made today, and not used yet
    await add_token(store, former, NOW - DAY)
    async with store.transaction() as tx:
        await token_rows.revoke_all(tx, former.id, NOW)
    await add(store, "eve@beta.example", tenant="beta")
    async with store.transaction() as tx:
        await enrolment.exempt(tx, glass.id, True)
    assert await unused(reviews, admin) == {
        "ann": None,
        "invited": None,
        "olga": Kept.OWNER,
        "glass": Kept.BREAK_GLASS,
        "program": Kept.TOKEN,
        "fresh": Kept.TOKEN,
        "former": None,
    }


async def test_the_viewer_stays_however_old_their_session_is(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    later = replace(admin, now=NOW + 100 * DAY)
    assert (await unused(reviews, later))["adam"] is Kept.SELF


async def test_disabling_ends_sessions_and_tokens_and_is_recorded_for_each(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    ann = await add(store, "ann@acme.example", NOW - 100 * DAY)
    bob = await add(store, "bob@acme.example")
    await add_token(store, ann, made_at=NOW - 100 * DAY)
    assert await reviews.disable(admin, [ann.id, bob.id], 90) == (2, [])
    recorded = {entry.account: entry for entry in await events(store, Event.ACCOUNT_DISABLED)}
    assert set(recorded) == {ann.id, bob.id}
    assert dict(recorded[ann.id].details) == {
        "by": ADMIN, "sessions_ended": 1, "tokens_ended": 1, "unseen_days": 90,
    }  # fmt: skip
    async with store.reading() as tx:
        assert await session_rows.list_open(tx, ann.id) == []
        assert await token_rows.count_live(tx, ann.id, NOW) == 0
        assert {row.status for row in await account_rows.list_all(tx, "acme") if row.identifier != ADMIN} == {
            Status.DISABLED
        }


async def test_a_person_who_signed_in_meanwhile_is_left_and_named(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    ann, bob = await add(store, "ann@acme.example"), await add(store, "bob@acme.example")
    assert await unused(reviews, admin) == {"ann": None, "bob": None}
    await add_session(store, ann, NOW + 60)
    assert await reviews.disable(admin, [ann.id, bob.id], 90) == (1, [ann.id])
    (judged,) = await reviews.judge(admin, [ann.id], 90)
    assert (judged.line.account.id, judged.kept) == (ann.id, Kept.SEEN)
    assert [entry.account for entry in await events(store, Event.ACCOUNT_DISABLED)] == [bob.id]


async def test_a_sign_in_at_the_same_moment_comes_first_or_is_refused(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    """Disabling waits for the lock of a sign-in under way, and then sees its session."""
    ann = await add(store, "ann@acme.example")
    async with store.transaction() as tx:
        await account_rows.find(tx, ann.id, lock=True)
        disabling = asyncio.create_task(reviews.disable(admin, [ann.id], 90))
        await sign_in(tx, ann, NOW + 1)
        await asyncio.wait([disabling], timeout=0.1)
        assert not disabling.done()
    assert await disabling == (0, [ann.id])


async def test_no_account_that_stays_can_be_disabled_by_its_id(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    glass, seen = await add(store, "glass@acme.example"), await add(store, "seen@acme.example", NOW)
    owner, other = await add(store, OWNER), await add(store, "eve@beta.example", tenant="beta")
    async with store.transaction() as tx:
        await enrolment.exempt(tx, glass.id, True)
    ids = [glass.id, seen.id, owner.id, other.id, admin.session.account, "acc_none"]
    assert await reviews.disable(admin, ids, 90) == (0, ids)
    assert await events(store, Event.ACCOUNT_DISABLED) == []


async def test_another_tenants_people_are_not_even_named(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    other = await add(store, "eve@beta.example", tenant="beta")
    assert await reviews.judge(admin, [other.id], 90) == []


async def test_the_only_admin_who_could_sign_in_stays(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    """Even if the administrator who asks has lost that role in the meantime."""
    last = await add(store, "last@acme.example", role=Role.ADMIN)
    async with store.transaction() as tx:
        await tx.execute(update(accounts).where(accounts.c.identifier == ADMIN).values(role="employee"))
    assert await reviews.disable(admin, [last.id], 90) == (0, [last.id])


# Reviews and exports.


async def test_the_last_review_is_that_of_the_own_tenant(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    assert await reviews.find_review("acme") is None
    await add(store, "bob@acme.example", status=Status.DISABLED)
    await reviews.note_review(admin)
    await reviews.note_review(replace(admin, now=NOW + 5))
    assert await reviews.find_review("acme") == Review(NOW + 5, ADMIN, 1)
    assert await reviews.find_review("beta") is None


async def test_the_export_has_everybody_of_the_tenant_and_no_formula(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    await add(store, "ann@acme.example", NOW, name="=1+1")
    await add(store, "eve@beta.example", tenant="beta")
    pieces = [piece async for piece in as_csv(reviews.every_page("acme", Wanted(), NOW), {OWNER})]
    header, *rows = csv.reader(io.StringIO(b"".join(pieces).decode()))
    assert tuple(header) == COLUMNS
    assert [(row[0], row[1]) for row in rows] == [(ADMIN, "Ann Example"), ("ann@acme.example", "'=1+1")]
    kept = ["manager", "hr,legal", "active", "none", "no", "0", "", "no", "2027-01-15", "2025-12-11", "person", "any"]
    assert rows[1][2:] == kept


async def test_ten_thousand_people_are_exported_in_pieces(
    store: Store, reviews: AccessReviews, admin: Administrator
) -> None:
    async with store.transaction() as tx:
        await tx.execute(insert(tenants).values(slug="large", name="Large", status="active"))
        await tx.execute(
            insert(accounts),
            [
                {
                    "id": f"acc_{n}", "identifier": f"p{n:05}@large.example", "name": "P", "tenant": "large",
                    "role": "employee", "modules": "", "status": "active", "created_at": LONG_AGO,
                }
                for n in range(10_000)
            ],
        )  # fmt: skip
    pieces = [piece async for piece in as_csv(reviews.every_page("large", Wanted(), NOW), ())]
    assert len(pieces) == 51
    assert b"".join(pieces).count(b"\r\n") == 10_001
    large = replace(admin, tenant="large")
    listed, has_more = await reviews.list_unused(large, 90)
    assert (len(listed), has_more) == (500, True)
