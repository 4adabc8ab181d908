"""A factor that no other code knows by name: the contract is all that the sign-in goes by."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.accounts import change
from gateway.actions.action import requester
from gateway.crypto.sealing import Sealer
from gateway.factors import enrolment
from gateway.factors.backup_code.factor import BackupCodeFactor
from gateway.factors.contract import Asked, FactorContract, Factors, News, Right, SetUp, Wrong
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.password.factor import PasswordFactor
from gateway.factors.totp.factor import TOTPFactor
from gateway.login.outcome import Gone, GoOn, LockedOut, Refused, SignedIn
from gateway.login.security import Changed, NotAllowed, SecurityService
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Factor, Proof
from gateway.model.inbound import Inbound
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.store import StoreUnavailable, Transaction
from tests.factors.conftest import no_mail
from tests.login.people import Browser
from tests.login.world import World, code, running
from tests.store.people import NOW
from tests.support.actions import action_in

PIN, RIGHT, WRONG = Factor("pin"), "4711", "0000"
NEWS = News(Event.TWO_FACTOR_DISABLED, "totp_disabled")


class PINFactor(FactorContract):
    """One number for everybody; who has set it up stands in the account's row, and nowhere else."""

    name = PIN
    page = "login"

    label = Sentence("PIN")
    means = Sentence("a PIN")

    async def challenge(self, account: Account, holder: str, target: str, inbound: Inbound, now: int) -> str:
        return f"&for={holder}"

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        return Right() if given.reveal() == RIGHT else Wrong()

    async def enrol(
        self, tx: Transaction, account: Account, offered: str, given: Secret[str], now: int
    ) -> SetUp | Wrong:
        if given.reveal() != RIGHT:
            return Wrong()
        await enrolment.add(tx, account.id, PIN)
        return SetUp(News(Event.TWO_FACTOR_ENABLED, "totp_enabled"))

    async def forget(self, tx: Transaction, account: str) -> bool:
        return await enrolment.remove(tx, account, PIN)


@pytest.fixture
async def world(store_url: str) -> AsyncIterator[World]:
    sealer = Sealer([Secret(b"s" * 48)])
    links = MagicLinkFactor(Secret(b"k" * 32), (), no_mail)
    factors = Factors((PasswordFactor(), TOTPFactor(sealer), BackupCodeFactor(sealer), links, PINFactor()))
    async with running(store_url, factors) as found:
        yield found


async def signed_in(world: World) -> tuple[Account, Browser, SecurityService]:
    """Return somebody who has signed in with the password alone, and what changes their factors."""
    account, browser = await world.member(), Browser()
    assert isinstance(await world.begin(browser, account), SignedIn)
    security = SecurityService(store=world.store, actions=world.actions, flow=world.flow, factors=world.factors)
    return account, browser, security


async def enrol(world: World, browser: Browser, security: SecurityService, given: str) -> object:
    assert browser.session is not None
    changed = await security.enrol(browser.session, PIN, "", Secret(given), browser.visit().inbound, NOW)
    if isinstance(changed, Changed) and changed.signed_in is not None:
        await world.keep(browser, changed.signed_in, NOW)
    return changed


async def test_it_is_enrolled_and_every_session_that_never_proved_it_lacks_it(world: World) -> None:
    account, browser, security = await signed_in(world)
    other = Browser(address="192.0.2.9")
    await world.begin(other, account)
    assert await enrol(world, browser, security, WRONG) == Wrong()
    assert isinstance(await enrol(world, browser, security, RIGHT), Changed)
    assert browser.session is not None
    assert (browser.session.missing, browser.session.proofs[-1]) == (None, Proof(PIN, NOW))
    assert other.cookie is not None
    lacking = await world.session_of(other.cookie)
    assert lacking is not None
    assert lacking.missing == PIN
    assert await world.mails() == ["new_device", "new_device", "totp_enabled"]


async def test_it_is_challenged_and_verified_in_a_sign_in(world: World) -> None:
    account, browser, security = await signed_in(world)
    await enrol(world, browser, security, RIGHT)
    new = Browser()
    step = await world.begin(new, account)
    assert isinstance(step, GoOn)
    assert step.factor == PIN
    assert await world.flow.challenge(step, "/", new.visit().inbound, NOW) == f"&for={step.holder}"
    assert await world.prove(new, WRONG, PIN) == Refused(Wrong())
    assert new.session is None
    assert isinstance(await world.prove(new, RIGHT, PIN), SignedIn)
    assert new.session is not None
    assert new.session.factors == {Factor.PASSWORD, PIN}


async def test_guesses_are_limited_and_written_down_for_it_too(world: World) -> None:
    account, browser, security = await signed_in(world)
    await enrol(world, browser, security, RIGHT)
    stranger = Browser(address="203.0.113.5")
    await world.begin(stranger, account)
    refused = [await world.prove(stranger, WRONG, PIN) for _ in range(6)]
    assert refused[:4] == [Refused(Wrong())] * 4
    assert isinstance(refused[-1], LockedOut)
    assert isinstance(await world.prove(stranger, RIGHT, PIN), LockedOut)
    assert (await world.events()).count("login_2fa_failed") >= 4


async def test_it_is_asked_for_beside_totp_and_shows_nothing_of_it(world: World) -> None:
    account, browser, security = await signed_in(world)
    await enrol(world, browser, security, RIGHT)
    await world.give_phone(account)
    new = Browser()
    step = await world.begin(new, account)
    assert isinstance(step, GoOn)
    assert step.factor == Factor.TOTP
    assert await world.prove(new, RIGHT, PIN) == Refused(Wrong())
    step = await world.prove(new, code())
    assert isinstance(step, GoOn)
    assert step.factor == PIN
    assert isinstance(await world.prove(new, RIGHT, PIN), SignedIn)


async def test_who_forgets_it_signs_in_without_it(world: World) -> None:
    account, browser, security = await signed_in(world)
    await enrol(world, browser, security, RIGHT)
    assert browser.session is not None
    for expected in (Changed(), NotAllowed()):
        done = await security.remove(browser.session, PIN, NEWS, browser.visit().inbound, NOW)
        assert done == expected
    assert isinstance(await world.begin(Browser(), account), SignedIn)


async def test_a_reset_takes_it_away_and_ends_every_session(world: World) -> None:
    account, browser, security = await signed_in(world)
    await enrol(world, browser, security, RIGHT)
    async with world.store.transaction() as tx:
        await change.reset_factors(action_in(tx), world.factors, account, is_owner=False)
        assert (await enrolment.find(tx, account.id)).text == "!totp"
    assert await world.open_sessions(account) == 0


async def test_a_sign_in_begins_with_any_proof_and_needs_what_it_does_not_show(world: World) -> None:
    member = await world.member(totp=True)
    visit = Browser().visit()
    async with world.actions.begin(requester(visit.inbound), NOW) as action:
        shows_both = Proof(Factor("passkey"), NOW, (Factor.PASSWORD, Factor.TOTP))
        assert isinstance(await world.flow.begin(action, member, shows_both, visit), SignedIn)
        for proof, missing in (
            (Proof(Factor("idp"), NOW, (Factor.PASSWORD,)), Factor.TOTP),
            (Proof(Factor("passkey"), NOW), Factor.PASSWORD),
        ):
            step = await world.flow.begin(action, member, proof, visit)
            assert isinstance(step, GoOn)
            assert step.factor == missing


async def test_an_owner_proves_three_factors_whatever_the_first_proof_shows(world: World) -> None:
    owner = await world.owner(totp=True)
    proof = Proof(Factor("passkey"), NOW, (Factor.PASSWORD, Factor.TOTP))
    visit = Browser().visit()
    async with world.actions.begin(requester(visit.inbound), NOW) as action:
        step = await world.flow.begin(action, owner, proof, visit)
    assert isinstance(step, GoOn)
    assert step.factor == Factor.PASSWORD


async def test_a_sign_in_that_needs_a_factor_of_a_newer_version_leads_nowhere(world: World) -> None:
    member = await world.member()
    async with world.store.transaction() as tx:
        await enrolment.add(tx, member.id, Factor("hologram"))
    with pytest.raises(StoreUnavailable, match="has to prove hologram"):
        await world.begin(Browser(), member)
    assert await world.open_sessions(member) == 0


async def test_a_factor_that_nobody_has_set_up_is_no_way_around_what_is_missing(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    assert await world.prove(browser, RIGHT, PIN) == Refused(Wrong())
    assert await world.enrol(browser, "", RIGHT) == Gone()
    assert browser.session is None
