"""How a sign-in goes on: every step with a real store, and what must not happen in between."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select, text, update

from gateway.accounts import change
from gateway.accounts import rows as account_rows
from gateway.browsers.rows import Former
from gateway.factors.backup_code.rows import count_left
from gateway.factors.contract import Reason, Wrong
from gateway.factors.magic_link.rows import State
from gateway.factors.totp.codes import code_at
from gateway.factors.totp.rows import NOT_ENROLLED, demand
from gateway.login.outcome import Gone, GoOn, LockedOut, Refused, SignedIn
from gateway.model.account import Account, Status
from gateway.model.factor import Factor, Proof
from gateway.model.secret import Secret
from gateway.model.token import new_token
from gateway.sessions import attempt as attempts
from gateway.sessions import rows as session_rows
from gateway.store import StoreUnavailable
from gateway.store.schema import audit, sessions, tenants
from tests.login.people import Browser, key_of
from tests.login.world import PHONE, STEP, WRONG, World, code
from tests.store.people import NOW
from tests.support.actions import action_in

LINK, BACKUP = Factor.MAGIC_LINK, Factor.BACKUP_CODE
Change = Callable[[World, Account], Awaitable[None]]


async def before_enrolment(world: World) -> tuple[Account, Browser, Secret[bytes], str]:
    """Return an owner without TOTP who has proved password and link, and what was offered to them."""
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.open_link(browser, await world.mail_link(owner, step.holder))
    phone, offered = world.offer(owner)
    return owner, browser, phone, offered


# Members.


async def test_a_member_without_totp_is_signed_in_by_the_password(world: World) -> None:
    member, browser = await world.member(), Browser()
    outcome = await world.begin(browser, member)
    assert outcome == SignedIn(outcome.token, is_owner=False, arrival=outcome.arrival, holder=outcome.holder)
    assert browser.session is not None
    assert browser.session.id == outcome.holder
    assert browser.session.account == member.id
    assert browser.session.missing is None


async def test_the_sign_in_of_a_member_without_totp_is_written_down_as_1fa(world: World) -> None:
    await world.begin(Browser(), await world.member())
    assert await world.events() == ["login"]
    assert json.loads((await world.details("login"))[0]) == {"method": "1fa", "proved": "password", "new_device": True}


async def test_a_member_with_totp_is_asked_for_a_code_and_has_no_session_yet(world: World) -> None:
    member = await world.member(totp=True)
    outcome = await world.begin(Browser(), member)
    assert isinstance(outcome, GoOn)
    assert outcome.factor == Factor.TOTP
    assert await world.open_sessions(member) == 0


async def test_a_member_with_totp_is_signed_in_by_the_code(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    assert isinstance(await world.prove(browser, code()), SignedIn)
    assert browser.session is not None
    assert browser.session.proofs == (Proof(Factor.PASSWORD, NOW), Proof(Factor.TOTP, NOW))
    assert browser.session.missing is None


async def test_the_steps_of_a_member_with_totp_are_written_down(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    await world.prove(browser, WRONG)
    await world.prove(browser, code())
    assert await world.events() == ["login_step", "login_2fa_failed", "login"]
    assert json.loads((await world.details("login"))[0]) == {
        "method": "2fa",
        "proved": "password totp",
        "new_device": True,
    }


async def test_a_backup_code_signs_in_like_the_phone_and_its_owner_is_told(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    codes = await world.give_backup_codes(member)
    await world.begin(browser, member)
    assert isinstance(await world.prove(browser, codes[0], BACKUP), SignedIn)
    assert await world.events() == ["login_step", "2fa_code_used", "login"]
    assert json.loads((await world.details("2fa_code_used"))[0]) == {"left": 7}
    assert await world.mails() == ["backup_code_used", "new_device"]


async def test_a_wrong_code_leaves_the_attempt_as_it_is(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    assert await world.prove(browser, WRONG) == Refused(Wrong())
    assert isinstance(await world.prove(browser, code()), SignedIn)


async def test_the_sixth_wrong_code_is_not_checked(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    outcomes = [await world.prove(browser, WRONG, now=NOW + at) for at in range(5)]
    assert outcomes == [Refused(Wrong())] * 5
    assert isinstance(await world.prove(browser, code(), now=NOW + 5), LockedOut)


async def test_a_password_given_again_opens_no_more_tries(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    for _ in range(5):
        await world.begin(browser, member)
        await world.prove(browser, WRONG)
    await world.begin(browser, member)
    assert isinstance(await world.prove(browser, code()), LockedOut)


async def test_the_code_of_another_factor_proves_nothing(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    codes = await world.give_backup_codes(member)
    await world.begin(browser, member)
    assert await world.prove(browser, codes[0], Factor.TOTP) == Refused(Wrong())
    assert await world.prove(browser, code(), BACKUP) == Refused(Wrong())
    assert await world.prove(browser, code(), LINK) == Refused(Wrong())


async def test_who_has_begun_nothing_proves_nothing(world: World) -> None:
    await world.member(totp=True)
    assert await world.prove(Browser(), code()) == Gone()


async def test_another_attempt_takes_the_place_of_the_first_one_of_a_browser(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    first = await world.begin(browser, member)
    await world.begin(browser, member)
    assert isinstance(first, GoOn)
    assert await world.prove(Browser(attempt=first.token), code()) == Gone()
    assert isinstance(await world.prove(browser, code()), SignedIn)


async def test_an_attempt_that_was_given_up_is_over(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    await world.flow.start_over(browser.visit(), NOW)
    assert await world.prove(browser, code()) == Gone()


async def test_who_signs_in_anew_loses_the_session_that_the_browser_had(world: World) -> None:
    browser = Browser()
    ann, bob = await world.member(), await world.member("bob@example.com")
    await world.begin(browser, ann)
    outcome = await world.begin(browser, bob)
    assert isinstance(outcome, SignedIn)
    assert outcome.arrival is not None
    assert outcome.arrival.former is Former.OTHER
    assert await world.open_sessions(ann) == 0
    assert await world.open_sessions(bob) == 1


# Owners.


async def test_an_owner_with_totp_proves_password_code_and_link(world: World) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    first = await world.begin(browser, owner)
    assert isinstance(first, GoOn)
    assert first.factor == Factor.TOTP
    second = await world.prove(browser, code())
    assert isinstance(second, GoOn)
    assert (second.factor, second.holder, second.token) == (LINK, first.holder, None)
    assert await world.open_sessions(owner) == 0
    third = await world.open_link(browser, await world.mail_link(owner, first.holder))
    assert isinstance(third, SignedIn)
    assert third.is_owner
    assert browser.session is not None
    assert browser.session.factors == {Factor.PASSWORD, Factor.TOTP, LINK}
    assert json.loads((await world.details("login"))[0]) == {
        "method": "3fa",
        "proved": "password totp magic_link",
        "new_device": True,
    }


async def test_an_owner_without_totp_proves_the_link_and_sets_totp_up_last(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    first = await world.begin(browser, owner)
    assert isinstance(first, GoOn)
    assert first.factor == LINK
    second = await world.open_link(browser, await world.mail_link(owner, first.holder))
    assert isinstance(second, GoOn)
    assert second.factor == Factor.TOTP
    phone, offered = world.offer(owner)
    third = await world.enrol(browser, offered, code(phone=phone))
    assert isinstance(third, SignedIn)
    assert len(third.codes) == 8
    assert (await world.enrolment(owner)).is_enrolled
    assert await world.open_sessions(owner) == 1


async def test_setting_totp_up_is_written_down_and_told_by_mail(world: World) -> None:
    _, browser, phone, offered = await before_enrolment(world)
    await world.enrol(browser, offered, code(phone=phone))
    assert await world.events() == ["login_step", "login_step", "2fa_enabled", "login"]
    assert await world.mails() == ["new_device", "totp_enabled"]


async def test_nothing_is_set_up_before_the_link_is_proved(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    await world.begin(browser, owner)
    phone, offered = world.offer(owner)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    assert await world.enrolment(owner) == NOT_ENROLLED
    async with world.store.reading() as tx:
        assert (await count_left(tx, owner.id)).count == 0


async def test_nothing_is_set_up_where_there_is_a_phone_already(world: World) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.open_link(browser, await world.mail_link(owner, step.holder))
    phone, offered = world.offer(owner)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    assert await world.prove(browser, code(phone=phone)) == Refused(Wrong())


async def test_a_member_who_need_not_sets_nothing_up_while_signing_in(world: World) -> None:
    member, browser = await world.member(), Browser()
    phone, offered = world.offer(member)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    await world.begin(browser, member)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()


async def test_what_was_offered_to_somebody_else_is_not_set_up(world: World) -> None:
    owner, browser, _, _ = await before_enrolment(world)
    phone, offered = world.offer(await world.member())
    assert await world.enrol(browser, offered, code(phone=phone)) == Refused(Wrong())
    assert await world.enrolment(owner) == NOT_ENROLLED


async def test_a_wrong_code_sets_nothing_up_and_the_offer_stays_good(world: World) -> None:
    owner, browser, phone, offered = await before_enrolment(world)
    assert await world.enrol(browser, offered, WRONG) == Refused(Wrong())
    assert await world.enrolment(owner) == NOT_ENROLLED
    assert isinstance(await world.enrol(browser, offered, code(phone=phone)), SignedIn)


async def test_of_two_set_ups_at_once_one_is_done(world: World, twin: World) -> None:
    owner, browser, phone, offered = await before_enrolment(world)
    workers = (world, twin)
    outcomes = await asyncio.gather(
        *(workers[at % 2].enrol(replace(browser), offered, code(phone=phone)) for at in range(10))
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    async with world.store.reading() as tx:
        assert (await count_left(tx, owner.id)).count == 8
    assert (await world.events()).count("2fa_enabled") == 1


async def test_who_was_told_to_sets_totp_up_after_the_password(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    async with world.store.transaction() as tx:
        await demand(tx, member.id, NOW)
    step = await world.begin(browser, member)
    assert isinstance(step, GoOn)
    assert step.factor == Factor.TOTP
    phone, offered = world.offer(member)
    assert isinstance(await world.enrol(browser, offered, code(phone=phone)), SignedIn)


async def test_a_backup_code_does_not_stand_for_setting_totp_up(world: World) -> None:
    """Written on paper for a phone that was taken away since. Otherwise the demand would never be met."""
    member, browser = await world.member(totp=True), Browser()
    codes = await world.give_backup_codes(member)
    async with world.store.transaction() as tx:
        await demand(tx, member.id, NOW)
    await world.begin(browser, member)
    assert not isinstance(await world.prove(browser, codes[0], BACKUP), SignedIn)


# Attempts.


@pytest.mark.parametrize(("later", "is_live"), [(899, True), (900, False), (901, False)])
async def test_an_attempt_lives_for_a_quarter_of_an_hour(world: World, later: int, is_live: bool) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    outcome = await world.prove(browser, code(later // 30), now=NOW + later)
    assert isinstance(outcome, SignedIn if is_live else Gone)


async def test_a_proof_does_not_make_an_attempt_live_longer(world: World) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.prove(browser, code(29), now=NOW + 870)
    token = await world.mail_link(owner, step.holder, NOW + 870)
    assert await world.open_link(browser, token, NOW + 900) == Gone()
    assert (await world.link(token)).state(NOW + 900) is State.GOOD


async def test_the_cookie_of_an_attempt_is_no_session(world: World) -> None:
    browser = Browser()
    outcome = await world.begin(browser, await world.member(totp=True))
    assert isinstance(outcome, GoOn)
    assert outcome.token is not None
    assert await world.session_of(outcome.token) is None


async def test_the_cookie_of_an_attempt_is_no_session_after_it_was_completed(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    await world.prove(browser, code())
    assert browser.attempt is not None
    assert await world.session_of(browser.attempt) is None


async def test_the_cookie_of_a_session_is_no_attempt(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member())
    async with world.store.reading() as tx:
        assert await attempts.find(tx, key_of(browser.cookie), NOW) is None


async def test_a_completed_attempt_completes_nothing_more(world: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    thief = Browser(attempt=browser.attempt)
    await world.prove(browser, code())
    assert await world.prove(thief, code(1), now=NOW + 30) == Gone()


async def test_a_code_used_in_one_browser_is_used_in_every_browser(world: World) -> None:
    member, one, two = await world.member(totp=True), Browser(), Browser("203.0.113.9")
    await world.begin(one, member)
    await world.begin(two, member)
    await world.prove(one, code())
    assert await world.prove(two, code()) == Refused(Wrong(Reason.USED))


async def test_fifty_equal_codes_on_one_attempt_open_one_session(world: World, twin: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    workers = (world, twin)
    outcomes = await asyncio.gather(*(workers[at % 2].prove(replace(browser), code()) for at in range(50)))
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await world.open_sessions(member) == 1
    assert (await world.events()).count("login") == 1


async def test_one_code_on_fifty_attempts_opens_one_session(world: World, twin: World) -> None:
    member, workers = await world.member(totp=True), (world, twin)
    browsers = [Browser(f"198.51.100.{at}") for at in range(50)]
    for browser in browsers:
        await world.begin(browser, member)
    proving = (workers[at % 2].prove(browser, code()) for at, browser in enumerate(browsers))
    outcomes = await asyncio.gather(*proving, return_exceptions=True)  # a store that is too busy refuses some
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await world.open_sessions(member) == 1


async def test_three_good_codes_at_once_on_one_attempt_open_one_session(world: World, twin: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    codes = await world.give_backup_codes(member)
    await world.begin(browser, member)
    await asyncio.gather(
        world.prove(replace(browser), code()),
        twin.prove(replace(browser), code(1)),
        world.prove(replace(browser), codes[0], BACKUP),
        twin.prove(replace(browser), codes[1], BACKUP),
    )
    assert await world.open_sessions(member) == 1
    assert (await world.events()).count("login") == 1


async def test_fifty_wrong_codes_at_once_are_five_that_were_checked(world: World, twin: World) -> None:
    browser = Browser()
    await world.begin(browser, await world.member(totp=True))
    workers = (world, twin)
    proving = (workers[at % 2].prove(replace(browser), WRONG) for at in range(50))
    outcomes = await asyncio.gather(*proving, return_exceptions=True)
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 5


# Links.


async def test_a_link_of_another_attempt_is_gone_and_unchanged(world: World) -> None:
    owner, here, there = await world.owner(totp=True), Browser(), Browser("203.0.113.9")
    await world.begin(here, owner)
    other = await world.begin(there, owner)
    assert isinstance(other, GoOn)
    token = await world.mail_link(owner, other.holder)
    assert await world.open_link(here, token) == Gone()
    assert (await world.link(token)).state(NOW) is State.GOOD


async def test_a_link_in_a_browser_that_asked_for_none_is_gone_and_unchanged(world: World) -> None:
    owner = await world.owner()
    step = await world.begin(Browser(), owner)
    assert isinstance(step, GoOn)
    token = await world.mail_link(owner, step.holder)
    assert await world.open_link(Browser(), token) == Gone()
    assert (await world.link(token)).state(NOW) is State.GOOD


async def test_a_link_of_another_account_is_gone_and_unchanged(world: World) -> None:
    owner, mine = await world.owner(), Browser()
    await world.begin(mine, await world.member(totp=True))
    step = await world.begin(Browser(), owner)
    assert isinstance(step, GoOn)
    token = await world.mail_link(owner, step.holder)
    assert await world.open_link(mine, token) == Gone()
    assert (await world.link(token)).state(NOW) is State.GOOD


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\ud800"])
async def test_what_is_no_link_is_gone(world: World, token: str) -> None:
    browser = Browser()
    await world.begin(browser, await world.owner())
    assert await world.open_link(browser, token) == Gone()


async def test_looking_at_a_link_changes_nothing(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    token = await world.mail_link(owner, step.holder)
    before = await world.link(token)
    seen = await world.opened.look(browser.visit(), token, NOW)
    elsewhere = await world.opened.look(Browser().visit(), token, NOW)
    assert seen is not None
    assert elsewhere is not None
    assert (seen.is_ours, elsewhere.is_ours) == (True, False)
    assert seen.is_awaited
    assert elsewhere.is_awaited
    assert await world.link(token) == before


async def test_an_expired_link_is_refused_and_a_new_one_goes_on(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    old = await world.mail_link(owner, step.holder)
    assert await world.open_link(browser, old, NOW + 600) == Refused(Wrong(Reason.EXPIRED))
    new = await world.mail_link(owner, step.holder, NOW + 600)
    assert isinstance(await world.open_link(browser, new, NOW + 601), GoOn)


async def test_an_older_link_is_refused(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    old = await world.mail_link(owner, step.holder)
    await world.mail_link(owner, step.holder)
    assert await world.open_link(browser, old) == Refused(Wrong(Reason.SUPERSEDED))


async def test_the_code_that_another_browser_showed_goes_on_here(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    link = await world.link(await world.mail_link(owner, step.holder))
    outcome = await world.prove(browser, world.links.code_of(link), LINK)
    assert isinstance(outcome, GoOn)
    assert outcome.factor == Factor.TOTP


async def test_the_code_of_another_attempts_link_is_wrong_here(world: World) -> None:
    owner, here, there = await world.owner(), Browser(), Browser("203.0.113.9")
    await world.begin(here, owner)
    other = await world.begin(there, owner)
    assert isinstance(other, GoOn)
    link = await world.link(await world.mail_link(owner, other.holder))
    assert await world.prove(here, world.links.code_of(link), LINK) == Refused(Wrong())


async def test_fifty_presses_of_one_link_open_one_session(world: World, twin: World) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.prove(browser, code())
    token, workers = await world.mail_link(owner, step.holder), (world, twin)
    outcomes = await asyncio.gather(*(workers[at % 2].open_link(replace(browser), token) for at in range(50)))
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await world.open_sessions(owner) == 1
    assert (await world.events()).count("login") == 1


# Step-up.


async def stepped_in(world: World, *, totp: bool = True) -> tuple[Account, Browser]:
    """Return a member who has signed in already, and the browser."""
    member, browser = await world.member(totp=totp), Browser()
    await world.begin(browser, member)
    if totp:
        await world.prove(browser, code())
    browser.attempt = None
    return member, browser


async def test_a_step_up_renews_the_cookie_and_the_old_one_is_dead(world: World) -> None:
    member, browser = await stepped_in(world)
    old, before = browser.cookie, browser.session
    assert old is not None
    assert before is not None
    outcome = await world.prove(browser, code(10), again=True, now=NOW + 300)
    assert isinstance(outcome, SignedIn)
    assert await world.session_of(old, NOW + 300) is None
    assert browser.session is not None
    assert browser.session.id == before.id
    assert await world.open_sessions(member) == 1


async def test_a_step_up_makes_its_proof_fresh_and_no_other(world: World) -> None:
    _, browser = await stepped_in(world)
    await world.prove(browser, code(10), again=True, now=NOW + 300)
    assert browser.session is not None
    assert set(browser.session.proofs) == {Proof(Factor.PASSWORD, NOW), Proof(Factor.TOTP, NOW + 300)}


async def test_a_step_up_is_written_down_and_is_no_sign_in(world: World) -> None:
    _, browser = await stepped_in(world)
    await world.prove(browser, code(10), again=True, now=NOW + 300)
    assert await world.events() == ["login_step", "login", "step_up"]


async def test_a_password_given_again_renews_the_session_too(world: World) -> None:
    member, browser = await stepped_in(world)
    old, before = browser.cookie, browser.session
    assert old is not None
    assert before is not None
    outcome = await world.begin(browser, member, NOW + 300)
    assert isinstance(outcome, SignedIn)
    assert outcome.arrival is None
    assert browser.session is not None
    assert browser.session.id == before.id
    assert set(browser.session.proofs) == {Proof(Factor.TOTP, NOW), Proof(Factor.PASSWORD, NOW + 300)}
    assert await world.session_of(old, NOW + 300) is None


async def test_a_wrong_code_leaves_the_session_and_its_cookie(world: World) -> None:
    _, browser = await stepped_in(world)
    assert await world.prove(browser, WRONG, again=True, now=NOW + 300) == Refused(Wrong())
    assert browser.cookie is not None
    assert await world.session_of(browser.cookie, NOW + 300) == browser.session


async def test_fifty_step_ups_at_once_renew_once(world: World, twin: World) -> None:
    member, browser = await stepped_in(world)
    workers = (world, twin)
    outcomes = await asyncio.gather(
        *(workers[at % 2].prove(replace(browser), code(10), again=True, now=NOW + 300) for at in range(50))
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await world.open_sessions(member) == 1
    assert (await world.events()).count("step_up") == 1


async def test_an_old_cookie_renews_nothing(world: World) -> None:
    _, browser = await stepped_in(world)
    thief = replace(browser)
    await world.prove(browser, code(10), again=True, now=NOW + 300)
    assert await world.prove(thief, code(11), again=True, now=NOW + 330) == Gone()


async def test_a_session_that_was_ended_meanwhile_steps_up_to_nothing(world: World) -> None:
    member, browser = await stepped_in(world)
    async with world.store.transaction() as tx:
        await session_rows.end_all(tx, member.id, NOW)
    assert await world.prove(browser, code(10), again=True, now=NOW + 300) == Gone()


async def test_a_session_that_was_ended_meanwhile_costs_nobody_a_backup_code(world: World) -> None:
    member, browser = await stepped_in(world)
    codes = await world.give_backup_codes(member)
    async with world.store.transaction() as tx:
        await session_rows.end_all(tx, member.id, NOW)
    await world.prove(browser, codes[0], BACKUP, again=True)
    async with world.store.reading() as tx:
        assert (await count_left(tx, member.id)).count == 8


async def made_owner(world: World) -> tuple[Account, Browser, Secret[bytes], str]:
    """Return an owner whose session is from before they were one, has the link by now, and lacks TOTP."""
    owner, browser = await world.owner(), Browser(cookie=new_token())
    key = key_of(browser.cookie)
    assert key is not None
    proofs = (Proof(Factor.PASSWORD, NOW), Proof(LINK, NOW))
    async with world.store.transaction() as tx:
        await session_rows.add(
            tx, token_key=key, account_id=owner.id, proofs=proofs, address="192.0.2.7", user_agent="x", now=NOW
        )
    assert browser.cookie is not None
    browser.session = await world.session_of(browser.cookie)
    phone, offered = world.offer(owner)
    return owner, browser, phone, offered


async def test_who_was_made_an_owner_sets_totp_up_in_the_session_they_have(world: World) -> None:
    owner, browser, phone, offered = await made_owner(world)
    assert browser.session is not None
    assert browser.session.missing == Factor.TOTP
    assert isinstance(await world.enrol(browser, offered, code(phone=phone)), SignedIn)
    assert browser.session.missing is None
    assert (await world.enrolment(owner)).is_enrolled


async def test_a_session_that_was_ended_meanwhile_sets_nothing_up(world: World) -> None:
    """It was looked up before it was ended. Its holder must not leave a phone of their own behind."""
    owner, browser, phone, offered = await made_owner(world)
    async with world.store.transaction() as tx:
        await session_rows.end_all(tx, owner.id, NOW)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    assert await world.enrolment(owner) == NOT_ENROLLED


async def test_a_cookie_that_was_renewed_meanwhile_sets_nothing_up(world: World) -> None:
    owner, browser, phone, offered = await made_owner(world)
    async with world.store.transaction() as tx:
        await tx.execute(update(sessions).values(token_key=b"another"))
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    assert await world.enrolment(owner) == NOT_ENROLLED


# What changes between the steps.


async def disable(world: World, account: Account) -> None:
    async with world.store.transaction() as tx:
        await account_rows.set_status(tx, account.id, Status.DISABLED)


async def suspend(world: World, account: Account) -> None:
    async with world.store.transaction() as tx:
        await account_rows.set_tenant_status(tx, account.tenant, is_active=False)


async def change_password(world: World, account: Account) -> None:
    async with world.store.transaction() as tx:
        await change.set_password(action_in(tx), world.factors, account, Secret("another"))


@pytest.mark.parametrize("happens", [disable, suspend, change_password])
async def test_who_may_not_sign_in_any_more_proves_nothing(world: World, happens: Change) -> None:
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    await happens(world, member)
    assert await world.prove(browser, code()) == Gone()
    assert await world.open_sessions(member) == 0


@pytest.mark.parametrize("happens", [disable, suspend, change_password])
async def test_who_may_not_sign_in_any_more_opens_no_link(world: World, happens: Change) -> None:
    owner, browser = await world.owner(totp=True), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.prove(browser, code())
    token = await world.mail_link(owner, step.holder)
    await happens(world, owner)
    assert await world.open_link(browser, token) == Gone()
    assert (await world.link(token)).state(NOW) is State.GOOD


@pytest.mark.parametrize("happens", [disable, suspend, change_password])
async def test_who_may_not_sign_in_any_more_sets_nothing_up(world: World, happens: Change) -> None:
    owner, browser, phone, offered = await before_enrolment(world)
    await happens(world, owner)
    assert await world.enrol(browser, offered, code(phone=phone)) == Gone()
    assert await world.enrolment(owner) == NOT_ENROLLED


@pytest.mark.parametrize("happens", [disable, suspend])
async def test_who_may_not_sign_in_any_more_steps_up_to_nothing(world: World, happens: Change) -> None:
    member, browser = await stepped_in(world)
    await happens(world, member)
    assert await world.prove(browser, code(10), again=True, now=NOW + 300) == Gone()


async def test_a_tenant_let_in_again_lets_its_people_go_on(world: World) -> None:
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    await suspend(world, member)
    await world.prove(browser, code())
    async with world.store.transaction() as tx:
        await tx.execute(update(tenants).values(status="active"))
    assert isinstance(await world.prove(browser, code()), SignedIn)


async def test_totp_set_up_between_the_steps_is_asked_for(world: World) -> None:
    owner, browser = await world.owner(), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    await world.give_phone(owner)
    outcome = await world.open_link(browser, await world.mail_link(owner, step.holder))
    assert isinstance(outcome, GoOn)
    assert outcome.factor == Factor.TOTP
    assert isinstance(await world.prove(browser, code()), SignedIn)


async def are_waiting(world: World, count: int = 1) -> None:
    """Return once so many wait for what another transaction holds in this database."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(120):
        while True:
            async with world.store.reading() as tx:
                if (await tx.execute(query)).scalar_one() >= count:
                    return


async def test_a_password_changed_in_the_same_moment_sets_nothing_up(world_on_postgresql: World) -> None:
    """On PostgreSQL the attempt can be read before, and the account locked after, somebody else commits."""
    world = world_on_postgresql
    owner, browser, phone, offered = await before_enrolment(world)
    async with world.store.transaction() as tx:
        await change.set_password(action_in(tx), world.factors, owner, Secret("another"))
        late = asyncio.create_task(world.enrol(browser, offered, code(phone=phone)))
        await are_waiting(world)
    assert await late == Gone()
    assert await world.enrolment(owner) == NOT_ENROLLED


async def test_a_password_changed_in_the_same_moment_opens_no_session(world_on_postgresql: World) -> None:
    world = world_on_postgresql
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    async with world.store.transaction() as tx:
        await change.set_password(action_in(tx), world.factors, member, Secret("another"))
        late = asyncio.create_task(world.prove(browser, code()))
        await are_waiting(world)
    assert await late == Gone()
    assert await world.open_sessions(member) == 0


async def test_code_and_link_of_an_owner_sent_in_the_same_moment_are_both_kept(world_on_postgresql: World) -> None:
    """Whichever is second must see what the first one proved."""
    world = world_on_postgresql
    owner, browser = await world.owner(totp=True), Browser()
    step = await world.begin(browser, owner)
    assert isinstance(step, GoOn)
    token = await world.mail_link(owner, step.holder)
    async with world.store.transaction() as tx:
        await account_rows.find(tx, owner.id, lock=True)
        first = asyncio.create_task(world.prove(replace(browser), code()))
        second = asyncio.create_task(world.open_link(replace(browser), token))
        await are_waiting(world, 2)
    assert {type(await first), type(await second)} == {GoOn, SignedIn}


# All or nothing.


async def test_a_code_is_not_used_up_if_the_session_can_not_be_opened(world: World) -> None:
    """The store breaks at the last statement."""
    member, browser = await world.member(totp=True), Browser()
    await world.begin(browser, member)
    async with world.store.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit RENAME TO audit_away"))
    with pytest.raises(StoreUnavailable):
        await world.prove(browser, code())
    async with world.store.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_away RENAME TO audit"))
    assert isinstance(await world.prove(browser, code()), SignedIn)
    assert await world.open_sessions(member) == 1


async def test_no_audit_row_and_no_mail_holds_a_code_or_a_token(world: World) -> None:
    _, browser, phone, offered = await before_enrolment(world)
    given = code_at(phone, STEP)
    outcome = await world.enrol(browser, offered, given)
    assert isinstance(outcome, SignedIn)
    async with world.store.reading() as tx:
        whole = str((await tx.execute(select(audit))).all())
    secrets = [offered, outcome.token.reveal(), *(code.reveal() for code in outcome.codes)]
    assert not [secret for secret in secrets if secret in whole]
    assert not re.search(rf"(?<![0-9a-f]){given}(?![0-9a-f])", whole)  # within ids, six digits may be so by chance


def test_the_phone_of_these_tests_is_the_one_of_the_rfc() -> None:
    assert code_at(PHONE, 1) == "287082"
