"""Service accounts in the store, on both engines: they are no people, wherever people are counted, told or let in."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from gateway.access_review import export, lines
from gateway.access_review.unused import Kept, Unused
from gateway.accounts import change, claims, directory, rows
from gateway.accounts.directory import HAS_PASSWORD, Wanted
from gateway.accounts.removal import remove
from gateway.compromised.ends import Ended, secure
from gateway.factors import enrolment
from gateway.factors.contract import Factors
from gateway.factors.password.factor import PasswordFactor
from gateway.mail.outbox import outbox
from gateway.model.account import SERVICE_DOMAIN, Account, Role, State, Status, Unacceptable
from gateway.model.api_token import read_authorization
from gateway.model.clock import DAY
from gateway.model.factor import Factor
from gateway.model.factor_policy import FactorPolicy, Second, TenantPolicy
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_token
from gateway.scim.protection import find_protection
from gateway.sessions import rows as session_rows
from gateway.sessions.reach import Reaches
from gateway.store import Store, Transaction
from gateway.store.schema import accounts
from gateway.tenants.sign_in import SignInService
from gateway.tokens import rows as token_rows
from gateway.tokens.service import Created, end, issue
from gateway.tokens.service import Wanted as WantedToken
from gateway.tokens.service_accounts import MAX_ACCOUNTS, add, find, make_identifier
from tests.store.people import LIFETIMES, NOW, add_person, look, person, worker
from tests.support.actions import action_in, actions_of

Change = Callable[[Transaction, Account], Awaitable[object]]


async def add_service(store: Store, role: Role = Role.ADMIN, name: str = "Payroll export") -> Account:
    """Add one to acme, whose people are `person()` alone if there are any."""
    async with store.transaction() as tx:
        await rows.add_tenant(tx, "acme", "acme")
        account = await add(action_in(tx), "acme", name, role)
    assert account is not None
    return account


async def add_token(store: Store, account: Account) -> tuple[Created, bytes]:
    """Return a new token, and the credential of a request with it."""
    async with store.transaction() as tx:
        created = await issue(action_in(tx), account, WantedToken("Night job", 1, account.role))
        assert isinstance(created, Created)
    credential = read_authorization(b"Bearer " + created.secret.reveal().encode())
    assert credential
    return created, credential


async def mails(store: Store) -> list[tuple[str, str]]:
    async with store.reading() as tx:
        return [tuple(row) for row in await tx.execute(select(outbox.c.recipient, outbox.c.template))]  # type: ignore[misc]


# They can't sign in.

FORBIDDEN: dict[str, Change] = {
    "a password": lambda tx, account: rows.set_password_hash(tx, account.id, Secret("pbkdf2:sha256:1$a$b")),
    "a second step": lambda tx, account: enrolment.add(tx, account.id, Factor.TOTP),
    "a demand for one": lambda tx, account: enrolment.demand(tx, account.id, Factor.TOTP),
    "an exemption": lambda tx, account: enrolment.exempt(tx, account.id, True),
}


@pytest.mark.parametrize("give", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_the_database_itself_refuses_what_people_sign_in_with(store: Store, give: Change) -> None:
    account = await add_service(store)
    with pytest.raises(IntegrityError):
        async with store.transaction() as tx:
            await give(tx, account)


async def test_a_session_of_one_is_found_by_no_request(store: Store, store_url: str) -> None:
    account, token = await add_service(store), new_token()
    async with store.transaction() as tx:
        await session_rows.add(
            tx, token_key=key_of(token), account_id=account.id, proofs=(), address="", user_agent="", now=NOW
        )
    async with worker(store_url) as lookup:
        assert await look(lookup, key_of(token)) is None


async def test_it_may_neither_sign_in_nor_follow_a_mailed_link(store: Store) -> None:
    account, ann = await add_service(store), await add_person(store)
    async with store.reading() as tx:
        assert not await rows.is_welcome(tx, account)
        assert await rows.is_welcome(tx, ann)
        assert not await Factors((PasswordFactor(),)).signs_in(tx, account.id)


# Its identifier.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Payroll export", "payroll-export"),
        ("Löhne & Gehälter!", "lohne-gehalter"),
        ("給与", "service"),
        ("x" * 200, "x" * 40),
    ],
)
def test_an_identifier_tells_the_name_and_is_never_used_twice(name: str, words: str) -> None:
    found = {make_identifier(name) for _ in range(20)}  # of a hundred, two would be the same once in a million times
    assert len(found) == 20
    assert all(re.fullmatch(rf"{words}\.[0-9a-f]{{8}}@{re.escape(SERVICE_DOMAIN)}", one) for one in found)


@pytest.mark.parametrize("identifier", [f"payroll@{SERVICE_DOMAIN}", f"payroll@mail.{SERVICE_DOMAIN}"])
async def test_no_person_gets_an_identifier_like_that(store: Store, identifier: str) -> None:
    async with store.transaction() as tx:
        assert not await rows.add(tx, person(identifier))
        assert not await claims.may_have(tx, "acme", identifier, frozenset(), NOW)
        assert not await claims.is_open_to(tx, "acme", identifier)
        assert await rows.add(tx, person(f"payroll@my{SERVICE_DOMAIN}"))


@pytest.mark.parametrize("domain", [SERVICE_DOMAIN, f"x.{SERVICE_DOMAIN}", f"@{SERVICE_DOMAIN.upper()}"])
def test_no_tenant_claims_their_domain(domain: str) -> None:
    with pytest.raises(Unacceptable):
        claims.check_claim(domain)


# They count as nobody.


async def test_it_is_no_administrator_who_could_be_the_last(store: Store) -> None:
    ann, service = await add_person(store, person(role=Role.ADMIN)), await add_service(store)
    factors = Factors((PasswordFactor(),))
    async with store.transaction() as tx:
        assert await rows.list_admins(tx, "acme") == [ann]
        assert await change.is_last_admin(tx, factors, ann)
        assert await rows.count_admins(tx, "acme", but=service.id, has_way_in=HAS_PASSWORD) == 1
        assert await rows.count_admins(tx, "acme", but=ann.id, has_way_in=accounts.c.id != "") == 0


async def test_it_is_counted_as_no_person(store: Store) -> None:
    await add_person(store)
    await add_service(store)
    policy = TenantPolicy(dict.fromkeys(Role, Second.REQUIRED))
    foreseen = await SignInService(store, actions_of(store), FactorPolicy()).foresee("acme", policy)
    reach = await Reaches(store, frozenset(), LIFETIMES).of_tenant("acme", NOW)
    async with store.reading() as tx:
        (tenant,) = await directory.list_tenants(tx)
        counted = [await rows.count_active(tx, "acme"), foreseen.people, foreseen.lacking, reach.people, tenant.count]
    assert counted == [1] * 5


async def test_a_tenant_of_service_accounts_alone_has_no_people(store: Store) -> None:
    await add_service(store)
    async with store.reading() as tx:
        assert [(tenant.slug, tenant.count) for tenant in await directory.list_tenants(tx)] == [("acme", 0)]


@pytest.mark.parametrize(
    ("wanted", "is_found"),
    [
        (Wanted(), True),
        (Wanted(words="payroll"), True),
        (Wanted(role=Role.ADMIN), True),
        (Wanted(state=State.ACTIVE), True),
        (Wanted(state=State.INVITED), False),
        (Wanted(has_two_step=False), False),
        (Wanted(has_two_step=True), False),
        (Wanted(unseen_days=30), False),
    ],
)
async def test_a_list_of_people_shows_it_and_takes_it_for_none(store: Store, wanted: Wanted, is_found: bool) -> None:
    account = await add_service(store)
    async with store.reading() as tx:
        found, _ = await directory.find_page(tx, "acme", wanted, NOW)
    assert [member.account for member in found] == ([account] if is_found else [])
    assert all(member.state is State.ACTIVE and member.account.is_service for member in found)


async def test_provisioning_cant_reach_it(store: Store) -> None:
    assert find_protection(await add_service(store), frozenset()) == "service"


# It belongs to the tenant.

ENDS: dict[str, Change] = {
    "disabled": lambda tx, account: rows.set_status(tx, account.id, Status.DISABLED),
    "its tenant suspended": lambda tx, account: rows.set_tenant_status(tx, "acme", is_active=False),
    "secured": lambda tx, account: secure(action_in(tx), account, is_quiet=True),
    "removed": lambda tx, account: remove(action_in(tx), account),
    "an owner's identifier": lambda tx, account: tx.execute(
        update(accounts).where(accounts.c.id == account.id).values(identifier="owner@example.com")
    ),
}


@pytest.mark.parametrize("change_it", ENDS.values(), ids=ENDS)
async def test_what_ends_it_ends_its_tokens_at_once(store: Store, store_url: str, change_it: Change) -> None:
    account = await add_service(store)
    _, key = await add_token(store, account)
    async with worker(store_url, "owner@example.com") as lookup:
        found = await look(lookup, key)
        assert found is not None
        assert (found.identifier, found.role, found.is_owner) == (account.identifier, Role.ADMIN, False)
        async with store.transaction() as tx:
            await change_it(tx, account)
        assert await look(lookup, key) is None


async def test_it_stays_when_the_administrator_who_made_it_leaves(store: Store, store_url: str) -> None:
    ann = await add_person(store, person(role=Role.ADMIN))
    async with store.transaction() as tx:
        account = await add(action_in(tx, ann.identifier), "acme", "Payroll export", Role.ADMIN)
    assert account is not None
    _, key = await add_token(store, account)
    async with store.transaction() as tx:
        await change.set_status(action_in(tx), ann, Status.DISABLED)
    async with worker(store_url) as lookup:
        found = await look(lookup, key)
    assert found is not None
    assert found.role is Role.ADMIN


async def test_securing_the_tenant_ends_its_tokens_and_says_how_many(store: Store) -> None:
    account = await add_service(store)
    await add_token(store, account)
    async with store.transaction() as tx:
        assert await secure(action_in(tx), account, is_quiet=True) == Ended(tokens_ended=1)


async def test_removing_it_leaves_no_row(store: Store) -> None:
    account = await add_service(store)
    created, _ = await add_token(store, account)
    async with store.transaction() as tx:
        await token_rows.add_network(tx, created.row.id, account.id, "192.0.2.0", NOW)
        await remove(action_in(tx), account)
    async with store.reading() as tx:
        for table in (accounts, token_rows.api_tokens, token_rows.api_token_networks):
            assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_another_tenant_and_another_kind_of_account_are_not_there(store: Store) -> None:
    account, ann = await add_service(store), await add_person(store)
    async with store.reading() as tx:
        assert await find(tx, account.id, "acme") == account
        assert await find(tx, account.id, "beta") is None
        assert await find(tx, ann.id, "acme") is None
        assert await token_rows.list_services(tx, "beta", NOW) == []


async def test_a_list_counts_its_live_tokens(store: Store) -> None:
    account = await add_service(store)
    for _ in range(3):
        created, _ = await add_token(store, account)
    async with store.transaction() as tx:
        await end(action_in(tx), account, created.row)
    await add_person(store)
    async with store.reading() as tx:
        assert await token_rows.list_services(tx, "acme", NOW) == [(account, 2)]
        assert await token_rows.list_of_people(tx, "acme", NOW, 10) == []


async def test_a_tenant_has_a_hundred_at_most(store: Store) -> None:
    async with store.transaction() as tx:
        await rows.add_tenant(tx, "acme", "acme")
        for number in range(MAX_ACCOUNTS):
            assert await add(action_in(tx), "acme", f"x{number}", Role.EMPLOYEE) is not None
        assert await add(action_in(tx), "acme", "x", Role.EMPLOYEE) is None
        await tx.execute(delete(accounts).where(accounts.c.id == text("(SELECT min(id) FROM accounts)")))
        assert await add(action_in(tx), "acme", "x", Role.EMPLOYEE) is not None


# Mails.


async def test_mails_about_its_tokens_go_to_the_administrators_and_none_to_itself(store: Store) -> None:
    for name, role, status in (
        ("ann", Role.ADMIN, Status.ACTIVE),
        ("bob", Role.ADMIN, Status.ACTIVE),
        ("cem", Role.ADMIN, Status.DISABLED),
        ("dan", Role.MANAGER, Status.ACTIVE),
    ):
        await add_person(store, replace(person(f"{name}@acme.example"), role=role, status=status))
    account = await add_service(store)
    await add_token(store, account)
    async with store.transaction() as tx:
        await action_in(tx).notify("account_secured", account, by="x", link="")
    told = sorted(await mails(store))
    assert told == [(f"{name}@acme.example", "service_token_created") for name in ("ann", "bob")]
    async with store.transaction() as tx:
        await secure(action_in(tx), account, is_quiet=True)
        await secure(action_in(tx), account, is_quiet=True)  # there is nothing left to end
    told = sorted(set(await mails(store)) - set(told))
    assert told == [(f"{name}@acme.example", "service_secured") for name in ("ann", "bob")]


# Access reviews.


async def test_a_review_shows_what_it_has_access_to(store: Store) -> None:
    account = await add_service(store)
    await add_token(store, account)
    async with store.reading() as tx:
        (line,), _ = await lines.find_page(tx, "acme", lines.Wanted(has_tokens=True), NOW, HAS_PASSWORD)
        lacking, _ = await lines.find_page(tx, "acme", lines.Wanted(lacks_second=True), NOW, HAS_PASSWORD)
    assert (line.account, line.state, line.tokens, lacking) == (account, State.ACTIVE, 1, [])
    assert dict(zip(export.COLUMNS, export.values_of(line, ()), strict=True))["kind"] == "service account"


async def test_it_is_unused_when_its_tokens_are(store: Store) -> None:
    account = await add_service(store)
    created, _ = await add_token(store, account)
    later, unused = NOW + 100 * DAY, Unused(90, NOW + 100 * DAY, "", ())
    async with store.transaction() as tx:
        await tx.execute(update(token_rows.api_tokens).values(expires_at=later + DAY))
    for used_at, why in ((NOW, None), (later, Kept.TOKEN)):
        async with store.transaction() as tx:
            await token_rows.note_use(tx, created.row.id, used_at, "192.0.2.1", "")
            (line,), _ = await lines.find_page(tx, "acme", lines.Wanted(unseen_days=90), later, HAS_PASSWORD)
        assert unused.why_kept(line) is why
