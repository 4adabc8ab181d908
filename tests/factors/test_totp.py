"""Time-based codes: the arithmetic with the vectors of the RFCs, and the rows on both engines."""

from __future__ import annotations

import asyncio
import base64
import itertools

import pyotp
import pytest
from sqlalchemy import insert, select, update

from gateway.app.nouns import SEALED
from gateway.crypto.sealing import Sealer, Unopenable, reseal
from gateway.factors.contract import Asked, Reason, Right, Summary, Wrong
from gateway.factors.totp import rows
from gateway.factors.totp.codes import (
    SECRET_BYTES,
    Clock,
    code_at,
    find_step,
    minutes_late,
    new_secret,
    next_drift,
    provisioning_uri,
)
from gateway.factors.totp.factor import TOTPFactor
from gateway.factors.totp.rows import NOT_ENROLLED, Enrolment, find_enrolment
from gateway.model.secret import Secret
from gateway.store import Store
from gateway.store.schema import totp as table
from tests.factors.conftest import sealer_of
from tests.store.people import NOW, add_person, person

SECRET = Secret(b"12345678901234567890")  # of the RFCs' vectors
OTHER = Secret(b"09876543210987654321")  # a random one might have the same code, once in a hundred thousand times
STEP = NOW // 30
HOUR = 3_600
assert NOW % 30 == 0


@pytest.fixture
def factor(sealer: Sealer) -> TOTPFactor:
    return TOTPFactor(sealer)


async def enrolled(
    store: Store, factor: TOTPFactor, secret: Secret[bytes] = SECRET, email: str = "ann@example.com", now: int = NOW
) -> str:
    """Return the id of an account that set TOTP up an hour ago: every code from then on is unused."""
    account = (await add_person(store, person(email))).id
    then = now - HOUR
    async with store.transaction() as tx:
        assert await factor.confirm(tx, account, secret, Secret(code_at(secret, then // 30)), then)
    return account


async def verify(store: Store, factor: TOTPFactor, account: str, code: str, now: int = NOW) -> Right | Wrong:
    async with store.transaction() as tx:
        return await factor.verify(tx, Asked(account, "att_1"), Secret(code), now)


async def look(store: Store, account: str) -> Enrolment:
    async with store.reading() as tx:
        return await find_enrolment(tx, account)


# The arithmetic.


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(now: int, code: str) -> None:
    assert code_at(SECRET, now // 30) == code[-6:]
    assert find_step(SECRET, code[-6:], now) == now // 30


def test_codes_are_those_of_rfc_4226_appendix_d() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_at(SECRET, step) for step in range(10)] == codes


@pytest.mark.parametrize("second", [0, 1, 15, 29])
@pytest.mark.parametrize("off", range(-4, 5))
def test_one_step_of_drift_is_forgiven_either_way_and_two_are_not(off: int, second: int) -> None:
    expected = STEP + off if abs(off) <= 1 else None
    assert find_step(SECRET, code_at(SECRET, STEP + off), NOW + second) == expected


def test_a_new_secret_has_as_many_bits_as_the_mac() -> None:
    assert len(new_secret().reveal()) == SECRET_BYTES == 20
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    ("back", "minutes"), [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (10, 5), (39, 20), (40, 20), (41, 0), (100, 0)]
)
def test_a_code_of_a_slow_clock_is_told_from_a_wrong_one(back: int, minutes: int) -> None:
    assert minutes_late(SECRET, code_at(SECRET, STEP - back), NOW) == minutes


def test_a_code_of_the_future_is_never_confirmed() -> None:
    assert {minutes_late(SECRET, code_at(SECRET, STEP + ahead), NOW) for ahead in range(2, 200)} == {0}


@pytest.mark.parametrize("code", ["", "0", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\ud800", "💥" * 6, "0" * 10_000])
def test_what_is_no_code_is_no_error(code: str) -> None:
    assert find_step(SECRET, code, NOW) is None
    assert minutes_late(SECRET, code, NOW) == 0


def test_the_qr_code_leads_to_the_same_codes() -> None:
    uri = provisioning_uri(SECRET, "ann@example.com", "Ötium: Work & Co")
    read = pyotp.parse_uri(uri)
    assert isinstance(read, pyotp.TOTP)
    assert (read.at(NOW), read.name, read.issuer) == (code_at(SECRET, STEP), "ann@example.com", "Ötium: Work & Co")


DRIFTS = [
    (0, 0, 0), (0, 1, 1), (0, -1, -1), (2, 1, 3), (-2, -1, -3), (2, -1, -1), (-2, 1, 1), (5, 0, 0), (-5, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("drift", "offset", "expected"), DRIFTS)
def test_drift_is_counted_as_long_as_it_goes_one_way(drift: int, offset: int, expected: int) -> None:
    assert next_drift(drift, offset) == expected


# Codes.


@pytest.mark.parametrize("off", [-1, 0, 1])
async def test_a_code_is_good_once(store: Store, factor: TOTPFactor, off: int) -> None:
    account = await enrolled(store, factor)
    code = code_at(SECRET, STEP + off)
    assert await verify(store, factor, account, code) == Right()
    assert await verify(store, factor, account, code) == Wrong(Reason.USED)


async def test_after_a_code_only_later_ones_are_good(store: Store, factor: TOTPFactor) -> None:
    for number, (first, second) in enumerate(itertools.permutations((-1, 0, 1), 2)):
        account = await enrolled(store, factor, email=f"ann{number}@example.com")
        await verify(store, factor, account, code_at(SECRET, STEP + first))
        expected = Right() if second > first else Wrong(Reason.USED)
        assert await verify(store, factor, account, code_at(SECRET, STEP + second)) == expected, (first, second)


async def test_a_code_that_was_ahead_is_not_good_again_when_its_time_comes(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    code = code_at(SECRET, STEP + 1)
    await verify(store, factor, account, code)
    verdicts = [await verify(store, factor, account, code, NOW + later) for later in (30, 59, 60)]
    assert verdicts == [Wrong(Reason.USED)] * 3


@pytest.mark.parametrize("write", ["{} {}", "{}-{}", " {}{} ", "\t{}{}\r\n", "{}\u00a0{}", "{}\u2009{}", "{}\u202f{}"])
async def test_spaces_and_dashes_do_not_matter(store: Store, factor: TOTPFactor, write: str) -> None:
    account = await enrolled(store, factor)
    code = code_at(SECRET, STEP)
    assert await verify(store, factor, account, write.format(code[:3], code[3:])) == Right()


@pytest.mark.parametrize("ahead", [60, HOUR, 365 * 24 * HOUR])
async def test_what_was_used_while_the_clock_was_ahead_binds_nothing_later(
    store: Store, factor: TOTPFactor, ahead: int, capfd: pytest.CaptureFixture[str]
) -> None:
    account = await enrolled(store, factor, now=NOW + ahead + HOUR)
    code = code_at(SECRET, STEP)
    assert await verify(store, factor, account, code) == Right()
    assert await verify(store, factor, account, code) == Wrong(Reason.USED)
    assert await verify(store, factor, account, code_at(SECRET, STEP - 1)) == Wrong(Reason.USED)
    assert await verify(store, factor, account, code_at(SECRET, STEP + 1)) == Right()
    assert capfd.readouterr().out.count("totp_step_ahead") == 1


async def test_a_code_from_ahead_by_one_step_still_binds_those_before(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor, now=NOW + HOUR + 30)
    assert await verify(store, factor, account, code_at(SECRET, STEP)) == Wrong(Reason.USED)
    assert await verify(store, factor, account, code_at(SECRET, STEP + 1)) == Wrong(Reason.USED)


async def test_fifty_at_once_after_the_clock_was_ahead_are_right_once(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor, now=NOW + 2 * HOUR)
    code = code_at(SECRET, STEP)
    done = await asyncio.gather(*(verify(store, factor, account, code) for _ in range(50)))
    assert done.count(Right()) == 1


async def test_a_code_two_minutes_old_is_called_late_and_is_not_taken(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    assert await verify(store, factor, account, code_at(SECRET, STEP - 4)) == Wrong(Reason.LATE, 2)
    assert (await look(store, account)).used_at == NOW - HOUR


@pytest.mark.parametrize("ahead", [2, 3, 10])
async def test_a_code_from_ahead_is_just_wrong_and_is_still_good_when_its_time_comes(
    store: Store, factor: TOTPFactor, ahead: int
) -> None:
    account = await enrolled(store, factor)
    code = code_at(SECRET, STEP + ahead)
    assert await verify(store, factor, account, code) == Wrong()
    assert await verify(store, factor, account, code, NOW + 30 * ahead) == Right()


async def test_a_code_of_somebody_else_is_wrong(store: Store, factor: TOTPFactor) -> None:
    await enrolled(store, factor)
    account = await enrolled(store, factor, OTHER, "bob@example.com")
    assert (await verify(store, factor, account, code_at(SECRET, STEP))) == Wrong()


@pytest.mark.parametrize("is_demanded", [False, True])
async def test_who_has_no_secret_has_no_right_code(store: Store, factor: TOTPFactor, is_demanded: bool) -> None:
    account = (await add_person(store)).id
    if is_demanded:
        async with store.transaction() as tx:
            await rows.demand(tx, account, NOW)
    for code in ("", "000000", code_at(SECRET, STEP), code_at(Secret(bytes(20)), STEP)):
        assert await verify(store, factor, account, code) == Wrong()


async def test_one_code_sent_fifty_times_at_once_to_two_workers_is_right_once(
    workers: tuple[Store, Store], factor: TOTPFactor
) -> None:
    account = await enrolled(workers[0], factor)
    code = code_at(SECRET, STEP)
    verdicts = await asyncio.gather(*(verify(workers[number % 2], factor, account, code) for number in range(50)))
    assert verdicts.count(Right()) == 1
    assert verdicts.count(Wrong(Reason.USED)) == 49


async def test_of_three_good_codes_sent_at_once_none_is_right_twice_and_the_last_one_ends_all(
    workers: tuple[Store, Store], factor: TOTPFactor
) -> None:
    account = await enrolled(workers[0], factor)
    codes = [code_at(SECRET, STEP + off) for off in (-1, 0, 1)] * 10
    verdicts = await asyncio.gather(
        *(verify(workers[number % 2], factor, account, code) for number, code in enumerate(codes))
    )
    rights = [code for code, verdict in zip(codes, verdicts, strict=True) if isinstance(verdict, Right)]
    assert len(rights) == len(set(rights))
    assert codes[2] in rights


# Drift.


@pytest.mark.parametrize(("off", "clock"), [(-1, Clock.SLOW), (1, Clock.FAST), (0, Clock.RIGHT)])
async def test_a_clock_that_is_off_three_times_in_a_row_is_noticed(
    store: Store, factor: TOTPFactor, off: int, clock: Clock
) -> None:
    account = await enrolled(store, factor)
    clocks = []
    for at in (0, 10, 20, 30):
        assert await verify(store, factor, account, code_at(SECRET, STEP + at + off), NOW + 30 * at) == Right()
        clocks.append((await look(store, account)).clock)
    assert clocks == [Clock.RIGHT, Clock.RIGHT, clock, clock]
    assert (await look(store, account)).drift == 4 * off


async def test_a_code_that_is_in_time_forgets_the_drift(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    for at, off in ((0, -1), (10, -1), (20, 0), (30, -1), (40, -1)):
        assert await verify(store, factor, account, code_at(SECRET, STEP + at + off), NOW + 30 * at) == Right()


async def test_a_refused_code_does_not_count_as_drift(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    code = code_at(SECRET, STEP + 1)
    for _ in range(5):
        await verify(store, factor, account, code)
    await verify(store, factor, account, code_at(SECRET, STEP - 5))
    assert (await look(store, account)).drift == 1


# Setting up.


def test_what_was_offered_comes_back(factor: TOTPFactor) -> None:
    secret, offered = factor.offer("acc_1", NOW)
    assert factor.reopen("acc_1", offered, NOW) == secret


@pytest.mark.parametrize(("later", "is_good"), [(0, True), (HOUR - 1, True), (HOUR, False), (HOUR + 1, False)])
def test_an_offer_is_good_for_an_hour(factor: TOTPFactor, later: int, is_good: bool) -> None:
    _, offered = factor.offer("acc_1", NOW)
    assert (factor.reopen("acc_1", offered, NOW + later) is not None) == is_good


def test_an_offer_to_somebody_else_is_none(factor: TOTPFactor) -> None:
    _, offered = factor.offer("acc_1", NOW)
    assert factor.reopen("acc_2", offered, NOW) is None


def test_an_offer_of_another_key_is_none(factor: TOTPFactor) -> None:
    _, offered = TOTPFactor(sealer_of("two")).offer("acc_1", NOW)
    assert factor.reopen("acc_1", offered, NOW) is None


def test_an_offer_of_an_older_key_is_still_good() -> None:
    secret, offered = TOTPFactor(sealer_of("old")).offer("acc_1", NOW)
    assert TOTPFactor(sealer_of("new", "old")).reopen("acc_1", offered, NOW) == secret


def test_an_offer_with_any_digit_changed_is_none(factor: TOTPFactor) -> None:
    _, offered = factor.offer("acc_1", NOW)
    for at, digit in enumerate(offered):
        changed = f"{offered[:at]}{int(digit, 16) ^ 1:x}{offered[at + 1 :]}"
        assert factor.reopen("acc_1", changed, NOW) is None, at


@pytest.mark.parametrize(
    "offered", ["", "0", "00", "zz", "é", "\ud800", "00" * 19, "00" * 20, "00" * 36, "00" * 10_000]
)
def test_what_is_no_offer_is_no_error(factor: TOTPFactor, offered: str) -> None:
    assert factor.reopen("acc_1", offered, NOW) is None


def test_an_offer_cut_short_is_none(factor: TOTPFactor) -> None:
    _, offered = factor.offer("acc_1", NOW)
    assert {factor.reopen("acc_1", offered[:length], NOW) for length in range(len(offered))} == {None}


async def test_a_stored_secret_is_no_offer(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    async with store.reading() as tx:
        stored = (await tx.execute(select(table.c.secret))).scalar_one()
    assert factor.reopen(account, stored.hex(), NOW) is None


async def test_an_enrolment_is_shown_as_it_is(store: Store, factor: TOTPFactor) -> None:
    account = (await add_person(store)).id
    assert await look(store, account) == NOT_ENROLLED
    async with store.transaction() as tx:
        assert await factor.confirm(tx, account, SECRET, Secret(code_at(SECRET, STEP)), NOW)
    assert await look(store, account) == Enrolment(True, False, NOW, NOW, 0)


async def test_a_wrong_code_sets_nothing_up(store: Store, factor: TOTPFactor) -> None:
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        assert not await factor.confirm(tx, account, SECRET, Secret(code_at(SECRET, STEP + 2)), NOW)
    assert await look(store, account) == NOT_ENROLLED


async def test_the_code_that_set_it_up_is_used_up(store: Store, factor: TOTPFactor) -> None:
    account = (await add_person(store)).id
    code = code_at(SECRET, STEP)
    async with store.transaction() as tx:
        await factor.confirm(tx, account, SECRET, Secret(code), NOW)
    assert await verify(store, factor, account, code) == Wrong(Reason.USED)


async def test_another_phone_takes_the_place_of_the_first(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    async with store.transaction() as tx:
        assert await factor.confirm(tx, account, OTHER, Secret(code_at(OTHER, STEP)), NOW)
    assert isinstance(await verify(store, factor, account, code_at(SECRET, STEP + 1), NOW + 30), Wrong)
    assert await verify(store, factor, account, code_at(OTHER, STEP + 1), NOW + 30) == Right()


async def test_another_phone_begins_without_the_drift_of_the_first(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    await verify(store, factor, account, code_at(SECRET, STEP - 1))
    async with store.transaction() as tx:
        await factor.confirm(tx, account, OTHER, Secret(code_at(OTHER, STEP)), NOW)
    assert (await look(store, account)).drift == 0


async def test_a_wrong_code_leaves_the_phone_that_is_there(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    async with store.transaction() as tx:
        assert not await factor.confirm(tx, account, OTHER, Secret("000000"), NOW)
    assert await verify(store, factor, account, code_at(SECRET, STEP)) == Right()


async def test_what_was_forgotten_is_not_there(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    async with store.transaction() as tx:
        assert await rows.forget(tx, account)
        assert not await rows.forget(tx, account)
    assert await look(store, account) == NOT_ENROLLED


async def test_forgetting_says_it_was_off_where_it_was_only_demanded(store: Store) -> None:
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        await rows.demand(tx, account, NOW)
        assert not await rows.forget(tx, account)


async def test_forgetting_concerns_one_account(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    other = await enrolled(store, factor, email="bob@example.com")
    async with store.transaction() as tx:
        await rows.forget(tx, other)
    assert (await look(store, account)).is_enrolled


async def test_what_is_demanded_is_gone_until_it_is_set_up_again(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    async with store.transaction() as tx:
        await rows.demand(tx, account, NOW)
    assert await look(store, account) == Enrolment(False, True, None, None, 0)
    assert await verify(store, factor, account, code_at(SECRET, STEP)) == Wrong()
    async with store.transaction() as tx:
        assert await factor.confirm(tx, account, OTHER, Secret(code_at(OTHER, STEP)), NOW)
    assert await look(store, account) == Enrolment(True, False, NOW, NOW, 0)


async def test_it_can_be_demanded_of_who_never_had_it(store: Store) -> None:
    account = (await add_person(store)).id
    async with store.transaction() as tx:
        await rows.demand(tx, account, NOW)
    assert await look(store, account) == Enrolment(False, True, None, None, 0)


# Sealing.


async def test_the_database_does_not_hold_the_secret(store: Store, factor: TOTPFactor) -> None:
    await enrolled(store, factor)
    async with store.reading() as tx:
        stored = (await tx.execute(select(table.c.secret))).scalar_one()
    plain = SECRET.reveal()
    assert not any(form in stored for form in (plain, plain[:8], base64.b32encode(plain)[:8], plain.hex().encode()[:8]))


async def test_a_secret_copied_to_another_account_is_not_opened(store: Store, factor: TOTPFactor) -> None:
    account = await enrolled(store, factor)
    victim = await enrolled(store, factor, OTHER, "bob@example.com")
    async with store.transaction() as tx:
        stored = (await tx.execute(select(table.c.secret).where(table.c.account == account))).scalar_one()
        await tx.execute(update(table).where(table.c.account == victim).values(secret=stored))
    with pytest.raises(Unopenable):
        await verify(store, factor, victim, code_at(SECRET, STEP))


async def test_an_offer_put_into_the_database_is_not_opened(store: Store, factor: TOTPFactor) -> None:
    account = (await add_person(store)).id
    secret, offered = factor.offer(account, NOW)
    async with store.transaction() as tx:
        values = {"account": account, "secret": bytes.fromhex(offered), "last_step": 0, "drift": 0}
        await tx.execute(insert(table).values(**values))
    with pytest.raises(Unopenable):
        await verify(store, factor, account, code_at(secret, STEP))


async def test_sealing_anew_lets_the_old_key_go(store: Store) -> None:
    account = await enrolled(store, TOTPFactor(sealer_of("old")))
    async with store.transaction() as tx:
        assert await reseal(tx, sealer_of("new", "old"), SEALED["totp"]) == 1
    assert await verify(store, TOTPFactor(sealer_of("new")), account, code_at(SECRET, STEP)) == Right()


async def test_sealing_anew_passes_over_what_is_current_or_only_demanded(store: Store) -> None:
    await enrolled(store, TOTPFactor(sealer_of("old")))
    await enrolled(store, TOTPFactor(sealer_of("new")), email="bob@example.com")
    demanded = (await add_person(store, person("eve@example.com"))).id
    both = sealer_of("new", "old")
    async with store.transaction() as tx:
        await rows.demand(tx, demanded, NOW)
        assert [await reseal(tx, both, SEALED["totp"]), await reseal(tx, both, SEALED["totp"])] == [1, 0]


async def test_sealing_anew_does_not_make_a_used_code_good_again(store: Store) -> None:
    both = TOTPFactor(sealer_of("new", "old"))
    account = await enrolled(store, TOTPFactor(sealer_of("old")))
    await verify(store, both, account, code_at(SECRET, STEP))
    async with store.transaction() as tx:
        await reseal(tx, sealer_of("new", "old"), SEALED["totp"])
    assert await verify(store, both, account, code_at(SECRET, STEP)) == Wrong(Reason.USED)


async def test_without_its_key_a_secret_is_not_opened(store: Store) -> None:
    account = await enrolled(store, TOTPFactor(sealer_of("old")))
    with pytest.raises(Unopenable):
        await verify(store, TOTPFactor(sealer_of("new")), account, code_at(SECRET, STEP))


async def test_administrators_see_when_it_was_set_up_and_used(store: Store, factor: TOTPFactor) -> None:
    stranger = (await add_person(store, person("bob@example.com"))).id
    account = await enrolled(store, factor)
    await verify(store, factor, account, code_at(SECRET, STEP))
    async with store.transaction() as tx:
        assert await factor.summarise(tx, stranger) == []
        assert await factor.summarise(tx, account) == [Summary(factor.name, NOW - HOUR, NOW)]
        await factor.reset(tx, account, NOW, is_owner=False)
        assert await factor.summarise(tx, account) == []
