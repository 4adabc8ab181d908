"""Proving a domain: whose it becomes, and what nobody can prove. On both engines, with a real DNS server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from gateway.accounts import claims
from gateway.accounts import rows as account_rows
from gateway.accounts.claims import Claim
from gateway.model.account import Role
from gateway.model.factor import Factor, Proof
from gateway.model.session import Session
from gateway.sessions import rows as session_rows
from gateway.settings.record import Signup
from gateway.sso.domains.lookup import Lookup, record_name
from gateway.sso.domains.service import CHECKS, MOST_DOMAINS, Checked, DomainService, Result
from gateway.sso.domains.shared import is_shared
from gateway.store import Store
from gateway.store.schema import audit
from tests.login.people import inbound_of
from tests.store.people import NOW, add_person, add_session, person
from tests.support.actions import actions_of
from tests.support.name_server import NameServer, txt

OWNER = "otto@otium.example"
DOMAIN = "acme.example"


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer().running() as running:
        yield running


@pytest.fixture(autouse=True)
async def tenants(store: Store) -> None:
    async with store.transaction() as tx:
        for tenant in ("acme", "beta"):
            await account_rows.add_tenant(tx, tenant, tenant)


@pytest.fixture
def service(store: Store, server: NameServer) -> DomainService:
    return service_of(store, server)


def service_of(store: Store, server: NameServer, signup: Signup | None = None) -> DomainService:
    return DomainService(store, actions_of(store), Lookup(server.address, seconds=120), signup or Signup())


@pytest.fixture
async def adam(store: Store) -> Session:
    return await admin_of(store, "acme")


@pytest.fixture
async def bea(store: Store) -> Session:
    return await admin_of(store, "beta")


async def admin_of(store: Store, tenant: str) -> Session:
    account = person(f"admin@{tenant}.example", tenant=tenant, role=Role.ADMIN)
    async with store.transaction() as tx:
        assert await account_rows.add(tx, account)
    session, _ = await add_session(store, account)
    return Session(
        session, account.id, account.identifier, account.name, tenant, account.role, account.modules, False,
        (Proof(Factor.PASSWORD, NOW),), NOW, NOW,
    )  # fmt: skip


async def publish(service: DomainService, server: NameServer, tenant: str, domain: str = DOMAIN) -> str:
    """Begin to prove a domain, and publish its value. Returns the value."""
    assert await service.begin(tenant, domain, NOW) is Result.DONE
    (value,) = [each.value for each in (await service.look(tenant)).waiting if each.domain == domain]
    server.answers[record_name(domain)] = txt(value)
    return value


async def check(service: DomainService, author: Session, domain: str = DOMAIN, now: int = NOW) -> Result:
    return (await service.check(author, domain, inbound_of(), now)).result


async def test_a_published_value_makes_the_domain_the_tenants(
    store: Store, service: DomainService, server: NameServer, adam: Session
) -> None:
    await publish(service, server, "acme")
    assert await check(service, adam) is Result.DONE
    held = await service.look("acme")
    assert ([(claim.domain, claim.is_proved) for claim in held.claims], held.waiting) == ([(DOMAIN, True)], [])
    assert (await service.look("beta")).claims == []
    async with store.reading() as tx:
        assert await claims.find(tx, "team.acme.example") == Claim(DOMAIN, "acme")
        query = select(audit.c.event, audit.c.tenant).where(audit.c.event.like("domain_%"))
        assert [tuple(row) for row in await tx.execute(query)] == [("domain_claimed", "acme")]


async def test_an_administrator_whose_right_ended_while_the_name_servers_answered_claims_nothing(
    store: Store, service: DomainService, server: NameServer, adam: Session
) -> None:
    await publish(service, server, "acme")
    async with store.transaction() as tx:
        assert await session_rows.end(tx, adam.id, NOW)
    assert await check(service, adam) is Result.NOT_THERE
    assert (await service.look("acme")).claims == []


async def test_a_value_proves_nothing_for_another_tenant_or_domain(
    service: DomainService, server: NameServer, adam: Session, bea: Session
) -> None:
    value = await publish(service, server, "acme")
    other = await publish(service, server, "beta")
    assert len({value, other}) == 2
    server.answers[record_name(DOMAIN)] = txt(value)
    assert await service.check(bea, DOMAIN, inbound_of(), NOW) == Checked(Result.OTHER, [value])
    await publish(service, server, "acme", "other.example")
    server.answers[record_name("other.example")] = txt(value)
    assert await check(service, adam, "other.example") is Result.OTHER


async def test_a_value_stays_the_same_until_it_is_given_up(service: DomainService, server: NameServer) -> None:
    first = await publish(service, server, "acme")
    assert await publish(service, server, "acme") == first
    assert await service.drop("acme", DOMAIN) is Result.DONE
    assert await service.drop("acme", DOMAIN) is Result.NOT_THERE
    assert await publish(service, server, "acme") != first


async def test_of_two_tenants_that_publish_the_first_gets_it(
    service: DomainService, server: NameServer, adam: Session, bea: Session
) -> None:
    values = [await publish(service, server, tenant) for tenant in ("acme", "beta")]
    server.answers[record_name(DOMAIN)] = txt(*values)
    assert await check(service, adam) is Result.DONE
    assert await check(service, bea) is Result.TAKEN
    assert (await service.look("beta")).claims == []
    assert await service.begin("beta", DOMAIN, NOW) is Result.TAKEN
    assert await service.begin("beta", "team.acme.example", NOW) is Result.TAKEN
    assert await service.begin("acme", "team.acme.example", NOW) is Result.OWN


async def test_pressed_many_times_at_once_it_is_claimed_once(
    store: Store, service: DomainService, server: NameServer, adam: Session
) -> None:
    await publish(service, server, "acme")
    results = await asyncio.gather(*(check(service, adam) for _ in range(4)))
    assert results.count(Result.DONE) == 1
    assert set(results) <= {Result.DONE, Result.NOT_THERE}


async def test_it_is_looked_up_a_few_times_a_minute(
    service: DomainService, server: NameServer, adam: Session, bea: Session
) -> None:
    await service.begin("acme", DOMAIN, NOW)
    await publish(service, server, "beta", "beta.example")
    results = [await check(service, adam) for _ in range(CHECKS.failures + 2)]
    assert results == [Result.MISSING] * CHECKS.failures + [Result.BUSY] * 2
    assert [name for name, _ in server.asked].count(record_name(DOMAIN)) == CHECKS.failures
    assert await check(service, bea, "beta.example") is Result.DONE
    assert await check(service, adam, now=NOW + CHECKS.lock_seconds) is Result.MISSING


async def test_a_tenant_has_so_many_domains_and_no_more(service: DomainService) -> None:
    results = [await service.begin("acme", f"d{at}.example", NOW) for at in range(MOST_DOMAINS + 1)]
    assert results == [Result.DONE] * MOST_DOMAINS + [Result.TOO_MANY]
    assert await service.begin("beta", "d0.example", NOW) is Result.DONE


async def test_a_domain_of_the_settings_of_sign_up_is_taken(store: Store, server: NameServer, adam: Session) -> None:
    """The owner gave it to the tenant: proving it must not end the sign-ups there."""
    signup = Signup(mode="domains", domains={"mail.beta.example": "beta", DOMAIN: "acme"})
    service = service_of(store, server, signup)
    assert await service.begin("acme", "mail.beta.example", NOW) is Result.TAKEN
    assert await service.begin("acme", "beta.example", NOW) is Result.TAKEN
    assert await service.begin("acme", DOMAIN, NOW) is Result.DONE
    assert await service_of(store, server).begin("acme", "beta.example", NOW) is Result.DONE


async def test_a_tenant_gives_up_what_it_proved_and_not_what_it_was_granted(
    store: Store, service: DomainService, server: NameServer, adam: Session, bea: Session
) -> None:
    await publish(service, server, "acme")
    assert await check(service, adam) is Result.DONE
    await add_person(store, person("ann@team.acme.example"))
    await add_person(store, person("x@notacme.example"))
    async with store.transaction() as tx:
        await claims.add(tx, Claim("granted.example", "acme"), OWNER, NOW)
    assert await service.count_people("acme", DOMAIN) == 2
    for domain in ("granted.example", "team.acme.example", "nobodys.example"):
        assert await service.count_people("acme", domain) is None
        assert await service.release(adam, domain, inbound_of(), NOW) is Result.NOT_THERE
    assert await service.release(bea, DOMAIN, inbound_of(), NOW) is Result.NOT_THERE
    assert await service.release(adam, DOMAIN, inbound_of(), NOW) is Result.DONE
    assert [claim.domain for claim in (await service.look("acme")).claims] == ["granted.example"]
    async with store.reading() as tx:
        assert await claims.is_open_to(tx, "beta", "x@acme.example")


async def test_what_was_granted_stays_granted_when_it_is_granted_again(store: Store, service: DomainService) -> None:
    async with store.transaction() as tx:
        await claims.add(tx, Claim(DOMAIN, "acme"), OWNER, NOW)
        held = await claims.add(tx, Claim(DOMAIN, "acme", is_proved=True), "adam@acme.example", NOW)
        assert not held.is_proved


SHARED = [
    "gmail.com", "googlemail.com", "outlook.com", "mail.gmail.com", "yahoo.co.uk", "t-online.de", "co.uk", "com.au",
    "org.br", "ac.jp", "go.jp", "nhs.uk", "github.io", "onmicrosoft.com",
]  # fmt: skip
OWN = [
    "acme.example", "acme.co.uk", "notgmail.com", "gmail.com.acme.example", "co.example", "acme.github.io", "bbc.co.uk",
    "net.com", "ox.ac.uk",
]  # fmt: skip


@pytest.mark.parametrize("domain", SHARED)
async def test_a_domain_of_many_belongs_to_nobody(service: DomainService, domain: str) -> None:
    assert await service.begin("acme", domain, NOW) is Result.SHARED


@pytest.mark.parametrize("domain", OWN)
def test_a_domain_of_a_company_is_not_taken_for_one_of_many(domain: str) -> None:
    assert not is_shared(domain)


async def test_a_name_that_is_too_long_for_a_record_is_refused(service: DomainService) -> None:
    longest = ".".join(("a" * 57, "b" * 57, "c" * 57, "d" * 50, "example"))[:232]
    assert len(record_name(longest)) == 253
    assert await service.begin("acme", longest, NOW) is Result.DONE
    assert await service.begin("acme", f"x{longest}", NOW) is Result.TOO_LONG
