"""How often codes may be guessed: by the account and address, by the address, and in a row from anywhere."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gateway.factors.contract import Reason, Wrong
from gateway.login.guard import MOST_FAILURES, Admitted, Guard, wait_after
from gateway.login.outcome import Blocked, LockedOut
from gateway.model.account import Account
from gateway.model.factor import Factor, Proof
from gateway.model.inbound import Inbound
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.schema import audit
from gateway.throttle import streaks
from gateway.throttle.limits import Limit
from tests.login.people import BROWSER, HOME, inbound_of
from tests.store.people import NOW, add_person, person
from tests.support.actions import action_from

GUARD = Guard(Limit(failures=5, window_seconds=900, lock_seconds=900))
DAY = 86_400
TOTP = Factor.TOTP
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"


@pytest.fixture
async def ann(store: Store) -> Account:
    return await add_person(store)


async def admit(
    store: Store, account: Account, inbound: Inbound, now: int = NOW, factor: Factor = TOTP
) -> Admitted | LockedOut | Blocked:
    """Ask, and take back that it was asked."""
    async with store.transaction() as tx:
        verdict = await GUARD.admit(action_from(tx, inbound, now), factor, account)
        await tx.rollback()
    return verdict


async def fail(
    store: Store,
    account: Account,
    inbound: Inbound,
    now: int = NOW,
    why: Reason = Reason.WRONG,
    factor: Factor = TOTP,
) -> Admitted | LockedOut | Blocked:
    """Give a wrong code, if one may be given."""
    async with store.transaction() as tx:
        verdict = await GUARD.admit(action_from(tx, inbound, now), factor, account)
        if isinstance(verdict, Admitted):
            await GUARD.refuse(action_from(tx, inbound, now), factor, account, verdict, Wrong(why))
    return verdict


async def succeed(store: Store, account: Account, inbound: Inbound, now: int = NOW, factor: Factor = TOTP) -> None:
    async with store.transaction() as tx:
        verdict = await GUARD.admit(action_from(tx, inbound, now), factor, account)
        assert isinstance(verdict, Admitted)
        await GUARD.forgive(action_from(tx, inbound, now), factor, account, verdict)


async def fail_in_a_row(store: Store, account: Account, times: int, now: int = NOW, *, with_each: bool = False) -> int:
    """Guess from ever other addresses, each time as soon as that is possible. Returns the time of the last one.

    Unless `with_each`, only the last ones are guessed: of those before, the count is written as they would have left it.
    """
    async with store.transaction() as tx:
        before = 0 if with_each else max(0, times - 5)
        if before:
            await streaks.write(tx, account.id, TOTP, "", before, now + wait_after(before))
        for number in range(before, times):
            there = inbound_of(f"198.51.{number // 250}.{number % 250}", "curl/8")
            verdict = await GUARD.admit(action_from(tx, there, now), TOTP, account)
            if isinstance(verdict, LockedOut):
                now = verdict.until
                verdict = await GUARD.admit(action_from(tx, there, now), TOTP, account)
            assert isinstance(verdict, Admitted), number
            await GUARD.refuse(action_from(tx, there, now), TOTP, account, verdict, Wrong())
    return now


async def sign_in(store: Store, account: Account, now: int, address: str = HOME, user_agent: str = BROWSER) -> None:
    async with store.transaction() as tx:
        await session_rows.add(
            tx,
            token_key=f"{account.id}{address}{now}".encode(),
            account_id=account.id,
            proofs=(Proof(Factor.PASSWORD, now),),
            address=address,
            user_agent=user_agent,
            now=now,
        )


async def events(store: Store) -> list[str]:
    async with store.reading() as tx:
        return list((await tx.execute(select(audit.c.event).order_by(audit.c.id))).scalars())


# Waits.


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (0, 0), (1, 0), (4, 0), (5, 15), (6, 30), (7, 60), (8, 120), (9, 240), (10, 480), (11, 960), (12, 1920),
        (13, 3600), (14, 3600), (99, 3600), (100, 3600), (10_000, 3600),
    ],
)  # fmt: skip
def test_waits_double_from_the_fifth_failure_to_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures) == seconds


# Account and address.


async def test_five_wrong_codes_lock_an_account_for_an_address(store: Store, ann: Account) -> None:
    verdicts = [await fail(store, ann, inbound_of()) for _ in range(5)]
    assert all(isinstance(verdict, Admitted) for verdict in verdicts)
    assert isinstance(await fail(store, ann, inbound_of()), LockedOut)


@pytest.mark.parametrize(("later", "is_locked"), [(15, True), (899, True), (900, False)])
async def test_the_lock_holds_for_a_quarter_of_an_hour(store: Store, ann: Account, later: int, is_locked: bool) -> None:
    for _ in range(5):
        await fail(store, ann, inbound_of())
    verdict = await admit(store, ann, inbound_of(), NOW + later)
    assert verdict == LockedOut(NOW + 900) if is_locked else isinstance(verdict, Admitted)


async def test_the_lock_holds_for_every_factor_of_the_account(store: Store, ann: Account) -> None:
    for _ in range(5):
        await fail(store, ann, inbound_of())
    assert await admit(store, ann, inbound_of(), NOW + 20, Factor.BACKUP_CODE) == LockedOut(NOW + 900)


async def test_another_address_is_free_once_the_wait_is_over(store: Store, ann: Account) -> None:
    for _ in range(5):
        await fail(store, ann, inbound_of())
    elsewhere = inbound_of("198.51.100.1")
    assert await admit(store, ann, elsewhere, NOW + 14) == LockedOut(NOW + 15)
    assert isinstance(await admit(store, ann, elsewhere, NOW + 15), Admitted)


async def test_another_account_is_free_at_the_same_address(store: Store, ann: Account) -> None:
    bob = await add_person(store, person("bob@example.com"))
    for _ in range(5):
        await fail(store, ann, inbound_of())
    assert isinstance(await admit(store, bob, inbound_of()), Admitted)


async def test_addresses_of_one_ipv6_network_count_as_one(store: Store, ann: Account) -> None:
    for number in range(5):
        await fail(store, ann, inbound_of(f"2001:db8::{number}"))
    assert await admit(store, ann, inbound_of("2001:db8::ffff"), NOW + 15) == LockedOut(NOW + 900)


async def test_guesses_from_ever_other_addresses_wait_longer_each_time(store: Store, ann: Account) -> None:
    now, waits = NOW, []
    for number in range(10):
        verdict = await fail(store, ann, inbound_of(f"198.51.100.{number}"), now)
        if isinstance(verdict, LockedOut):
            waits.append(verdict.until - now)
            now = verdict.until
            await fail(store, ann, inbound_of(f"198.51.100.{number}"), now)
    assert waits == [15, 30, 60, 120, 240]


async def test_tries_that_were_not_checked_make_no_wait_longer(store: Store, ann: Account) -> None:
    for _ in range(5):
        await fail(store, ann, inbound_of())
    for number in range(20):
        await fail(store, ann, inbound_of(f"198.51.100.{number}"), NOW + 14)
    assert isinstance(await admit(store, ann, inbound_of("198.51.100.1"), NOW + 15), Admitted)


async def test_a_right_code_begins_the_count_anew(store: Store, ann: Account) -> None:
    for _ in range(4):
        await fail(store, ann, inbound_of())
    await succeed(store, ann, inbound_of())
    verdicts = [await fail(store, ann, inbound_of()) for _ in range(5)]
    assert [isinstance(verdict, Admitted) for verdict in verdicts] == [True] * 5


async def test_the_fifth_code_may_be_right_and_then_locks_nobody_out(store: Store, ann: Account) -> None:
    for _ in range(4):
        await fail(store, ann, inbound_of())
    await succeed(store, ann, inbound_of())
    assert isinstance(await admit(store, ann, inbound_of()), Admitted)


@pytest.mark.parametrize("why", [Reason.USED, Reason.EXPIRED, Reason.SUPERSEDED])
async def test_what_is_no_guess_costs_nothing(store: Store, ann: Account, why: Reason) -> None:
    for _ in range(4):
        await fail(store, ann, inbound_of())
    for _ in range(20):
        assert isinstance(await fail(store, ann, inbound_of(), why=why), Admitted)
    async with store.reading() as tx:
        assert (await streaks.read(tx, ann.id, TOTP, ""))[0] == 4


async def test_what_is_no_guess_forgives_nothing(store: Store, ann: Account) -> None:
    for _ in range(4):
        await fail(store, ann, inbound_of())
    await fail(store, ann, inbound_of(), why=Reason.USED)
    await fail(store, ann, inbound_of())
    assert isinstance(await admit(store, ann, inbound_of()), LockedOut)


async def test_a_late_code_costs_a_try(store: Store, ann: Account) -> None:
    for _ in range(5):
        await fail(store, ann, inbound_of(), why=Reason.LATE)
    assert await admit(store, ann, inbound_of(), NOW + 15) == LockedOut(NOW + 900)


# The audit log.


async def test_every_refused_code_is_written_down_and_the_lockout_once(store: Store, ann: Account) -> None:
    for _ in range(8):
        await fail(store, ann, inbound_of())
    assert await events(store) == [*["login_2fa_failed"] * 5, "login_lockout"]


async def test_a_used_code_is_written_down_too(store: Store, ann: Account) -> None:
    await fail(store, ann, inbound_of(), why=Reason.USED)
    assert await events(store) == ["login_2fa_failed"]


# A hundred in a row.


async def test_after_a_hundred_failures_the_factor_is_not_asked_for_any_more(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES, with_each=True)
    for there in (inbound_of(), inbound_of("203.0.113.9")):
        assert await admit(store, ann, there, last + 1_000 * DAY) == Blocked()


async def test_ninety_nine_failures_do_not_block(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES - 1)
    assert isinstance(await admit(store, ann, inbound_of(), last + 3_600), Admitted)


async def test_a_right_code_after_ninety_nine_failures_begins_the_count_anew(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES - 1)
    await succeed(store, ann, inbound_of("203.0.113.9"), last + 3_600)
    await fail_in_a_row(store, ann, 4, now=last + 10_000)
    assert isinstance(await admit(store, ann, inbound_of(), last + 10_000), Admitted)


async def test_what_is_blocked_is_free_once_it_was_reset(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    async with store.transaction() as tx:
        assert await streaks.reset_all(tx, ann.id) == 1
    assert isinstance(await admit(store, ann, inbound_of(), last + 1), Admitted)


async def test_one_factor_that_is_blocked_leaves_another(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    assert isinstance(await admit(store, ann, inbound_of(), last, Factor.BACKUP_CODE), Admitted)


async def test_a_right_code_of_one_factor_forgives_nothing_to_another(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    await succeed(store, ann, inbound_of(), last, Factor.BACKUP_CODE)
    assert await admit(store, ann, inbound_of(), last + DAY) == Blocked()


async def test_one_account_that_is_blocked_leaves_others(store: Store, ann: Account) -> None:
    bob = await add_person(store, person("bob@example.com"))
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    assert isinstance(await admit(store, bob, inbound_of(), last), Admitted)


# Known devices.


@pytest.mark.parametrize(
    ("ago", "address", "user_agent", "is_known"),
    [
        (DAY, HOME, BROWSER, True),
        (90 * DAY, HOME, BROWSER, True),
        (90 * DAY + 1, HOME, BROWSER, False),
        (DAY, "192.0.2.8", BROWSER, False),
        (DAY, HOME, PHONE, False),
        (DAY, HOME, BROWSER.replace("140", "141"), True),
    ],
)
async def test_a_device_is_known_by_address_and_browser_for_ninety_days(
    store: Store, ann: Account, ago: int, address: str, user_agent: str, is_known: bool
) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    await sign_in(store, ann, last - ago)
    verdict = await admit(store, ann, inbound_of(address, user_agent), last)
    assert isinstance(verdict, Admitted if is_known else Blocked)


async def test_a_known_device_goes_on_while_elsewhere_waits(store: Store, ann: Account) -> None:
    await sign_in(store, ann, NOW - DAY)
    last = await fail_in_a_row(store, ann, 12)
    assert isinstance(await admit(store, ann, inbound_of("203.0.113.9"), last + 1), LockedOut)
    assert isinstance(await admit(store, ann, inbound_of(), last + 1), Admitted)


async def test_the_device_of_another_account_is_not_known(store: Store, ann: Account) -> None:
    bob = await add_person(store, person("bob@example.com"))
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    await sign_in(store, bob, last)
    assert await admit(store, ann, inbound_of(), last) == Blocked()


async def test_a_device_is_known_also_once_its_session_has_ended(store: Store, ann: Account) -> None:
    last = await fail_in_a_row(store, ann, MOST_FAILURES)
    await sign_in(store, ann, last)
    async with store.transaction() as tx:
        await session_rows.end_all(tx, ann.id, last)
    assert isinstance(await admit(store, ann, inbound_of(), last), Admitted)


async def test_failures_of_a_known_device_do_not_count_elsewhere(store: Store, ann: Account) -> None:
    await sign_in(store, ann, NOW - DAY)
    for _ in range(5):
        await fail(store, ann, inbound_of())
    assert isinstance(await admit(store, ann, inbound_of("203.0.113.9")), Admitted)


async def test_a_known_device_waits_and_locks_like_any_other(store: Store, ann: Account) -> None:
    await sign_in(store, ann, NOW - DAY)
    for _ in range(5):
        await fail(store, ann, inbound_of())
    assert await admit(store, ann, inbound_of(), NOW + 14) == LockedOut(NOW + 15)
    assert await admit(store, ann, inbound_of(), NOW + 15) == LockedOut(NOW + 900)


async def test_a_right_code_from_a_known_device_gives_a_guesser_no_more_tries(store: Store, ann: Account) -> None:
    await sign_in(store, ann, NOW - DAY)
    last = await fail_in_a_row(store, ann, MOST_FAILURES - 1)
    await succeed(store, ann, inbound_of(), last)
    await fail(store, ann, inbound_of("203.0.113.9"), last + 3_600)
    assert await admit(store, ann, inbound_of("203.0.113.10"), last + DAY) == Blocked()


# The address.


async def fill(store: Store, address: str, accounts: int = 10) -> None:
    for number in range(accounts):
        account = await add_person(store, person(f"victim{number}@example.com"))
        for _ in range(5):
            assert isinstance(await fail(store, account, inbound_of(address)), Admitted)


async def test_an_address_may_fail_ten_times_as_often_over_all_accounts(store: Store, ann: Account) -> None:
    await fill(store, HOME)
    assert await admit(store, ann, inbound_of()) == LockedOut(NOW + 900)
    assert isinstance(await admit(store, ann, inbound_of("203.0.113.9")), Admitted)


async def test_right_codes_do_not_count_for_the_address(store: Store, ann: Account) -> None:
    for _ in range(60):
        await succeed(store, ann, inbound_of())
    assert isinstance(await admit(store, ann, inbound_of()), Admitted)


async def test_a_right_code_gives_an_address_none_of_its_failures_back(store: Store, ann: Account) -> None:
    await fill(store, HOME, 9)
    bob = await add_person(store, person("bob@example.com"))
    for _ in range(4):
        await fail(store, bob, inbound_of())
    await succeed(store, ann, inbound_of())
    await fail(store, ann, inbound_of())
    assert await admit(store, ann, inbound_of()) == LockedOut(NOW + 900)


async def test_where_no_address_is_known_accounts_do_not_concern_each_other(store: Store, ann: Account) -> None:
    await fill(store, "", 12)
    assert isinstance(await admit(store, ann, inbound_of("")), Admitted)


async def test_where_no_address_is_known_an_account_is_locked_and_freed_all_the_same(
    store: Store, ann: Account
) -> None:
    for _ in range(4):
        await fail(store, ann, inbound_of(""))
    await succeed(store, ann, inbound_of(""))
    for _ in range(5):
        await fail(store, ann, inbound_of(""))
    assert await admit(store, ann, inbound_of(""), NOW + 15) == LockedOut(NOW + 900)


async def test_tries_that_an_address_was_not_let_through_with_cost_the_account_nothing(
    store: Store, ann: Account
) -> None:
    """ "Nothing was checked" (outcome.LockedOut): when the address is free again, so is everybody behind it."""
    await fill(store, HOME)
    for _ in range(5):
        assert await fail(store, ann, inbound_of(), NOW + 800) == LockedOut(NOW + 900)
    assert isinstance(await admit(store, ann, inbound_of(), NOW + 900), Admitted)
