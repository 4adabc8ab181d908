"""Signing in from outside the account's networks: refused at every step that is right, and nothing is used up or set up."""

from __future__ import annotations

import json

from gateway.login.outcome import Gone, GoOn, OtherNetwork, SignedIn
from gateway.model.account import Account
from gateway.model.factor import Factor
from gateway.networks import rows
from tests.login.people import Browser
from tests.login.world import WRONG, World, code

ELSEWHERE = "198.51.100.7"
HERE = "192.0.2.0/24"
BACKUP = Factor.BACKUP_CODE


async def limit(world: World, account: Account, own: str = HERE, tenant: str = "") -> None:
    async with world.store.transaction() as tx:
        await rows.set_of_account(tx, account.id, own)
        await rows.set_of_tenant(tx, account.tenant, tenant)


async def test_a_first_proof_from_elsewhere_opens_nothing_and_is_audited(world: World) -> None:
    member, browser = await world.member(), Browser(address=ELSEWHERE)
    await limit(world, member)
    assert await world.begin(browser, member) == OtherNetwork()
    assert await world.open_sessions(member) == 0
    assert await world.events() == ["network_refused"]
    assert json.loads((await world.details("network_refused"))[0])["where"] == "sign-in"
    assert await world.mails() == []


async def test_a_first_proof_from_elsewhere_begins_no_attempt(world: World) -> None:
    member, browser = await world.member(totp=True), Browser(address=ELSEWHERE)
    await limit(world, member, own="", tenant=HERE)
    assert await world.begin(browser, member) == OtherNetwork()
    assert await world.prove(browser, code()) == Gone()


async def test_a_browser_that_moves_between_the_steps_uses_no_code_up(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    (backup, *_) = await world.give_backup_codes(member)
    await limit(world, member)
    assert isinstance(await world.begin(browser, member), GoOn)
    browser.address = ELSEWHERE
    assert await world.prove(browser, code()) == OtherNetwork()
    assert await world.prove(browser, backup, BACKUP) == OtherNetwork()
    for _ in range(10):  # nor are wrong ones counted
        assert await world.prove(browser, WRONG) == OtherNetwork()
    browser.address = "192.0.2.8"
    assert await world.prove(browser, WRONG) != OtherNetwork()
    assert isinstance(await world.prove(browser, code()), SignedIn)


async def test_a_mailed_link_from_elsewhere_is_not_used_up(world: World) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    await limit(world, owner)
    first = await world.begin(browser, owner)
    assert isinstance(first, GoOn)
    await world.prove(browser, code())
    token = await world.mail_link(owner, first.holder)
    browser.address = ELSEWHERE
    assert await world.open_link(browser, token) == OtherNetwork()
    browser.address = "192.0.2.9"
    assert isinstance(await world.open_link(browser, token), SignedIn)


async def test_nothing_is_set_up_from_elsewhere(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    await limit(world, owner)
    first = await world.begin(browser, owner)
    assert isinstance(first, GoOn)
    await world.open_link(browser, await world.mail_link(owner, first.holder))
    phone, offered = world.offer(owner)
    browser.address = ELSEWHERE
    assert await world.enrol(browser, offered, code(phone=phone)) == OtherNetwork()
    assert not (await world.enrolment(owner)).is_enrolled


async def test_a_session_gains_no_proof_from_elsewhere(world: World) -> None:
    member, browser = await world.member(), Browser()
    await world.begin(browser, member)
    await limit(world, member)
    browser.address = ELSEWHERE
    assert await world.begin(browser, member) == OtherNetwork()
    assert await world.events() == ["login", "network_refused"]
    browser.address = "192.0.2.7"
    assert isinstance(await world.begin(browser, member), SignedIn)


async def test_a_tenants_rule_is_not_its_owners(world: World) -> None:
    owner, browser = await world.owner(totp=True), Browser(address=ELSEWHERE)
    await limit(world, owner, own=f"[administrator]\n{HERE}", tenant=HERE)
    assert isinstance(await world.begin(browser, owner), GoOn)
    await limit(world, owner)
    assert await world.prove(browser, code()) == OtherNetwork()
