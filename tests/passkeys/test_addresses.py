"""Passkeys of an address that the site no longer has: they are counted, left out, and explained."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from playwright.sync_api import expect

from gateway.factors.contract import Asked, Reason, Right, Wrong
from gateway.factors.passkey import rows
from gateway.factors.passkey.addresses import inspect
from gateway.factors.passkey.ceremony import Key, Registered, Site
from gateway.factors.passkey.challenges import Challenges
from gateway.factors.passkey.factor import VERIFY, PasskeyFactor, handle_of
from gateway.model.secret import Secret
from gateway.settings import Settings
from gateway.settings.record import FactorSettings
from gateway.store import Store
from tests.factors.conftest import sealer_of
from tests.passkeys.conftest import MakePerson, with_passkey
from tests.store.people import NOW, add_person
from tests.store.people import person as person_of
from tests.support.authenticator import Authenticator, Said, base64url
from tests.support.gateway import Gateway

HOST, FORMER = "app.example.com", "old.example.com"
SITE = Site(HOST, frozenset({f"https://{HOST}"}))
AT_HOME = Settings(public_url=f"https://{HOST}")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = Store.open(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def factor() -> PasskeyFactor:
    return PasskeyFactor(Challenges(sealer_of("one")), SITE, "OtiumWork", is_first=True)


async def holder(store: Store, *rp_ids: str, email: str = "ann@example.com") -> tuple[str, list[Authenticator]]:
    """Return the id of an account with a passkey for each of these RP IDs, and its authenticators."""
    account = (await add_person(store, person_of(email))).id
    authenticators = [Authenticator(credential=f"{email} {at}".encode().ljust(32)) for at in range(len(rp_ids))]
    async with store.transaction() as tx:
        for at, (rp_id, device) in enumerate(zip(rp_ids, authenticators, strict=True)):
            key = Key(device.id, device.public_key, 0, True, True, "", ("usb",), True, rp_id)
            assert await rows.add(tx, account, Registered(key, is_verified=True), "Passkey", NOW + at)
    return account, authenticators


async def advise(store: Store, settings: Settings) -> Sequence[tuple[str, str]]:
    async with store.reading() as tx:
        return await inspect(tx, settings)


async def test_passkeys_of_another_address_are_counted_by_it(store: Store) -> None:
    assert await advise(store, AT_HOME) == []
    await holder(store, HOST, FORMER, FORMER)
    await holder(store, FORMER, "example.com", email="bob@example.com")
    first, second = await advise(store, AT_HOME)
    assert first[0] == second[0] == "public_url"
    assert first[1].startswith(f"1 passkey was made for example.com and can't be used with {HOST}; with factors.rp_id")
    assert second[1].startswith(f"3 passkeys were made for {FORMER} and can't be used with {HOST}; their owners")


async def test_the_key_that_was_changed_is_named(store: Store) -> None:
    await holder(store, HOST)
    settings = AT_HOME.model_copy(update={"factors": FactorSettings(rp_id="example.com")})
    ((key, reason),) = await advise(store, settings)
    assert key == "factors.rp_id"
    assert f'with factors.rp_id = "{HOST}" they work again' in reason


async def test_the_browser_is_asked_for_those_of_this_address_only(store: Store, factor: PasskeyFactor) -> None:
    account, (_, mine) = await holder(store, FORMER, HOST)
    described = [{"type": "public-key", "id": base64url(mine.id), "transports": ["usb"]}]
    async with store.reading() as tx:
        asked, _ = await factor.ask(tx, Asked(account, "att_1"), NOW)
        offered, _ = await factor.offer(tx, person_of("ann@example.com", id=account), "ses_1", NOW)
        assert await factor.find_former_address(tx, account) == ""
    assert (asked["allowCredentials"], offered["excludeCredentials"]) == (described, described)


async def test_whoever_has_only_those_is_known(store: Store, factor: PasskeyFactor) -> None:
    nobody, _ = await holder(store, email="bob@example.com")
    account, _ = await holder(store, "example.com", FORMER)
    async with store.reading() as tx:
        assert await factor.find_former_address(tx, account) == FORMER
        assert await factor.find_former_address(tx, nobody) == ""


@pytest.mark.parametrize("claimed", [HOST, FORMER])
async def test_an_answer_by_one_is_refused_whatever_it_claims(
    store: Store, factor: PasskeyFactor, claimed: str
) -> None:
    account, (former, mine) = await holder(store, FORMER, HOST)

    async def verify(device: Authenticator, rp_id: str) -> Right | Wrong:
        asking = factor.challenges.ask(VERIFY, "att_1", NOW)
        said = Said(asking.challenge, f"https://{HOST}", rp_id, handle=handle_of(account))
        given = Secret(f"{asking.sealed} {device.prove(said)}")
        async with store.transaction() as tx:
            return await factor.verify(tx, Asked(account, "att_1"), given, NOW)

    assert await verify(mine, HOST) == Right()
    assert await verify(former, claimed) == Wrong(Reason.WRONG)


def move(own: Gateway, email: str) -> None:
    """Have the passkeys of somebody be made for another address."""
    whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
    own.write(f"UPDATE passkeys SET rp_id = :former WHERE {whose}", former=FORMER, who=email)


def test_a_person_with_only_those_is_told_and_led_to_a_backup_code(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd40@acme.example", transport="usb", hasUserVerification=False)
    move(own, erin.email)
    erin.give_password()
    expect(erin.page.get_by_role("heading", name="Your passkeys don’t work here")).to_be_visible()
    expect(erin.page.get_by_role("main")).to_contain_text(FORMER)
    expect(erin.page.get_by_role("button", name="passkey")).to_have_count(0)
    expect(erin.page.get_by_role("link", name="authenticator app")).to_have_count(0)
    erin.page.get_by_role("link", name="See who can help you").click()
    expect(erin.page.locator("#lost-phone")).to_contain_text("Ask your company’s administrator")
    erin.page.go_back()
    erin.page.get_by_role("link", name="Use a backup code").click()
    expect(erin.page.get_by_label("Backup code")).to_be_visible()


def test_the_security_page_says_which_work_elsewhere_only(own: Gateway, person: MakePerson) -> None:
    erin = person("crowd41@acme.example")
    erin.plug_in()
    erin.give_password("/me/security")
    erin.add_passkey()
    erin.open("/me/security")
    said = erin.page.get_by_text(f"Made for another address, {FORMER}.")
    expect(erin.page.get_by_role("link", name="Change Passkey")).to_be_visible()
    expect(said).to_have_count(0)
    move(own, erin.email)
    erin.open("/me/security")
    expect(said).to_be_visible()


def test_check_config_counts_them(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd42@acme.example")
    move(own, erin.email)
    said = own.cli("check-config").stdout
    assert "advice: public_url: " in said
    assert f"made for {FORMER} and can't be used with localhost; their owners sign in" in said
