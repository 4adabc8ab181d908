"""The mailed link: what becomes of it, and whose its code is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from gateway.factors.contract import Asked, Reason, Right, Wrong
from gateway.factors.magic_link import rows
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.rows import LIFE_SECONDS, Link, State
from gateway.factors.typed import ALPHABET
from gateway.model.secret import Secret
from gateway.store import Store
from gateway.store.schema import magic_links as table
from tests.factors.conftest import no_mail
from tests.store.people import NOW, add_person, person

FACTOR = MagicLinkFactor(Secret(b"k" * 32), (), no_mail)
LINK = Link("lnk_1", "att_1", "acc_1", "/", NOW, None, None)


@pytest.fixture
async def account(store: Store) -> str:
    return (await add_person(store)).id


async def issue(store: Store, account: str, holder: str = "att_1", now: int = NOW, target: str = "/") -> str:
    async with store.transaction() as tx:
        return (await rows.issue(tx, Asked(account, holder), target, now)).reveal()


async def find(store: Store, token: str) -> Link | None:
    async with store.reading() as tx:
        return await rows.find(tx, token)


async def known(store: Store, token: str) -> Link:
    link = await find(store, token)
    assert link is not None
    return link


async def consume(store: Store, link: Link, now: int = NOW) -> Right | Wrong:
    async with store.transaction() as tx:
        return await FACTOR.consume(tx, link, now)


async def verify(store: Store, account: str, code: str, holder: str = "att_1", now: int = NOW) -> Right | Wrong:
    async with store.transaction() as tx:
        return await FACTOR.verify(tx, Asked(account, holder), Secret(code), now)


async def latest(store: Store, holder: str = "att_1") -> Link | None:
    async with store.reading() as tx:
        return await rows.latest(tx, holder)


# States.


@pytest.mark.parametrize(
    ("changes", "now", "state"),
    [
        ({}, NOW, State.GOOD),
        ({}, NOW + 599, State.GOOD),
        ({}, NOW + 600, State.EXPIRED),
        ({}, NOW + 601, State.EXPIRED),
        ({"used_at": NOW}, NOW, State.USED),
        ({"used_at": NOW}, NOW + 9_999, State.USED),
        ({"superseded_at": NOW}, NOW, State.SUPERSEDED),
        ({"superseded_at": NOW}, NOW + 9_999, State.SUPERSEDED),
        ({"used_at": NOW, "superseded_at": NOW}, NOW, State.USED),
    ],
)
def test_what_has_become_of_a_link(changes: dict[str, int], now: int, state: State) -> None:
    assert replace(LINK, **changes).state(now) == state  # type: ignore[arg-type]


def test_a_link_lives_for_ten_minutes() -> None:
    assert LIFE_SECONDS == 600


async def test_a_link_is_stored_as_it_was_asked_for(store: Store, account: str) -> None:
    link = await known(store, await issue(store, account, target="/a?b=c"))
    assert link == Link(link.id, "att_1", account, "/a?b=c", NOW, None, None)


async def test_the_database_holds_neither_the_token_nor_the_code(store: Store, account: str) -> None:
    token = await issue(store, account)
    async with store.reading() as tx:
        whole = str((await tx.execute(select(table))).all())
    code = FACTOR.code_of(await known(store, token))
    assert not any(form in whole for form in (token, code, code.replace("-", "")))


@pytest.mark.parametrize("later", [0, 1, 599])
async def test_a_link_is_good_once(store: Store, account: str, later: int) -> None:
    link = await known(store, await issue(store, account))
    verdicts = [await consume(store, link, NOW + later) for _ in range(2)]
    # What was read before the other one consumed it says nothing better than "used".
    assert verdicts == [Right(), Wrong(Reason.USED)]


@pytest.mark.parametrize("later", [600, 601, 100_000])
async def test_a_link_is_expired_after_ten_minutes(store: Store, account: str, later: int) -> None:
    token = await issue(store, account)
    assert await consume(store, await known(store, token), NOW + later) == Wrong(Reason.EXPIRED)
    assert (await known(store, token)).used_at is None


async def test_a_used_link_says_when_it_was_used(store: Store, account: str) -> None:
    token = await issue(store, account)
    await consume(store, await known(store, token), NOW + 7)
    assert (await known(store, token)).used_at == NOW + 7


async def test_a_newer_link_makes_the_older_one_worthless(store: Store, account: str) -> None:
    older = await issue(store, account)
    newer = await issue(store, account, now=NOW + 1)
    assert await consume(store, await known(store, older), NOW + 2) == Wrong(Reason.SUPERSEDED)
    assert await consume(store, await known(store, newer), NOW + 2) == Right()


async def test_an_older_link_is_not_taken_on_the_strength_of_what_was_read_before(store: Store, account: str) -> None:
    link = await known(store, await issue(store, account))
    await issue(store, account)
    assert isinstance(await consume(store, link), Wrong)


async def test_a_newer_link_leaves_one_that_was_used_as_used(store: Store, account: str) -> None:
    token = await issue(store, account)
    await consume(store, await known(store, token))
    await issue(store, account)
    assert (await known(store, token)).state(NOW) is State.USED


async def test_a_link_of_another_attempt_leaves_this_one_good(store: Store, account: str) -> None:
    token = await issue(store, account, "att_1")
    await issue(store, account, "att_2")
    assert (await known(store, token)).state(NOW) is State.GOOD


async def test_looking_changes_nothing(store: Store, account: str) -> None:
    token = await issue(store, account)
    seen = [await known(store, token) for _ in range(3)]
    assert seen == [await known(store, token)] * 3
    assert await consume(store, seen[0]) == Right()


async def test_a_link_used_fifty_times_at_once_on_two_workers_is_right_once(
    workers: tuple[Store, Store],
) -> None:
    account = (await add_person(workers[0])).id
    link = await known(workers[0], await issue(workers[0], account))
    verdicts = await asyncio.gather(*(consume(workers[number % 2], link) for number in range(50)))
    assert verdicts.count(Right()) == 1
    assert verdicts.count(Wrong(Reason.USED)) == 49


async def test_link_and_code_at_once_are_right_once(workers: tuple[Store, Store]) -> None:
    account = (await add_person(workers[0])).id
    link = await known(workers[0], await issue(workers[0], account))
    code = FACTOR.code_of(link)
    verdicts = await asyncio.gather(
        *(consume(workers[number % 2], link) for number in range(10)),
        *(verify(workers[number % 2], account, code) for number in range(10)),
    )
    assert verdicts.count(Right()) == 1


# Finding.


@pytest.mark.parametrize(
    "token",
    ["", "x", "?" * 43, "A" * 42, "A" * 44, "A" * 43 + "\n", "é" * 43, "\ud800" * 43, "A" * 42 + "=", "A" * 10_000],
)
async def test_what_is_no_token_finds_nothing(store: Store, account: str, token: str) -> None:
    await issue(store, account)
    assert await find(store, token) is None


async def test_another_token_finds_nothing(store: Store, account: str) -> None:
    token = await issue(store, account)
    assert await find(store, ("B" if token[0] == "A" else "A") + token[1:]) is None


async def test_the_latest_of_two_links_of_the_same_second_is_the_second_one(store: Store, account: str) -> None:
    for number in range(10):
        holder = f"att_{number}"
        await issue(store, account, holder)
        second = await issue(store, account, holder)
        assert await latest(store, holder) == await known(store, second)


async def test_the_latest_is_the_second_one_also_if_the_first_was_used_in_the_same_second(
    store: Store, account: str
) -> None:
    for number in range(10):
        holder = f"att_{number}"
        await consume(store, await known(store, await issue(store, account, holder)))
        second = await issue(store, account, holder)
        assert await latest(store, holder) == await known(store, second)


async def test_the_latest_is_the_newer_one_whatever_has_become_of_it(store: Store, account: str) -> None:
    await consume(store, await known(store, await issue(store, account)))
    newer = await issue(store, account, now=NOW + 1)
    await consume(store, await known(store, newer), NOW + 2)
    assert await latest(store) == await known(store, newer)


async def test_who_never_asked_has_no_latest_link(store: Store, account: str) -> None:
    await issue(store, account, "att_2")
    assert await latest(store, "att_1") is None


async def test_asking_twice_makes_two_tokens(store: Store, account: str) -> None:
    tokens = {await issue(store, account) for _ in range(3)}
    async with store.reading() as tx:
        assert len(tokens) == (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 3


# Codes.


def test_a_code_is_two_halves_of_four() -> None:
    for number in range(200):
        assert re.fullmatch(rf"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", FACTOR.code_of(replace(LINK, id=f"lnk_{number}")))


def test_each_link_has_a_code_of_its_own_under_each_key() -> None:
    keys = [FACTOR, MagicLinkFactor(Secret(b"l" * 32), (), no_mail)]
    codes = {factor.code_of(replace(LINK, id=f"lnk_{number}")) for factor in keys for number in range(500)}
    assert len(codes) == 1_000


def test_a_code_stays_the_same_for_as_long_as_the_link_lives() -> None:
    assert FACTOR.code_of(LINK) == FACTOR.code_of(replace(LINK, used_at=NOW, superseded_at=NOW, holder="att_2"))


async def test_the_code_completes_for_its_holder_and_uses_the_link_up(store: Store, account: str) -> None:
    link = await known(store, await issue(store, account))
    assert await verify(store, account, FACTOR.code_of(link)) == Right()
    assert await consume(store, link) == Wrong(Reason.USED)


@pytest.mark.parametrize("write", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code} "])
async def test_case_spaces_and_dashes_do_not_matter(store: Store, account: str, write: object) -> None:
    link = await known(store, await issue(store, account))
    assert await verify(store, account, write(FACTOR.code_of(link))) == Right()  # type: ignore[operator]


async def test_the_code_of_another_holders_link_is_wrong_and_leaves_it_good(store: Store, account: str) -> None:
    await issue(store, account, "att_1")
    theirs = await issue(store, account, "att_2")
    assert await verify(store, account, FACTOR.code_of(await known(store, theirs)), "att_1") == Wrong()
    assert (await known(store, theirs)).state(NOW) is State.GOOD


async def test_the_code_of_another_accounts_link_is_wrong(store: Store, account: str) -> None:
    other = (await add_person(store, person("bob@example.com"))).id
    theirs = await issue(store, other, "att_2")
    assert await verify(store, account, FACTOR.code_of(await known(store, theirs)), "att_1") == Wrong()


@pytest.mark.parametrize("code", ["", "-", "2222-2222", "💥", "\ud800", "ß" * 4, "A" * 10_000])
async def test_what_is_no_code_is_wrong(store: Store, account: str, code: str) -> None:
    await issue(store, account)
    assert await verify(store, account, code) == Wrong()


async def test_without_a_link_there_is_no_right_code(store: Store, account: str) -> None:
    assert await verify(store, account, FACTOR.code_of(LINK)) == Wrong()


@pytest.mark.parametrize(("later", "verdict"), [(599, Right()), (600, Wrong(Reason.EXPIRED))])
async def test_a_code_lives_as_long_as_its_link(store: Store, account: str, later: int, verdict: Right | Wrong) -> None:
    link = await known(store, await issue(store, account))
    assert await verify(store, account, FACTOR.code_of(link), now=NOW + later) == verdict


async def test_a_code_is_good_once(store: Store, account: str) -> None:
    code = FACTOR.code_of(await known(store, await issue(store, account)))
    assert await verify(store, account, code) == Right()
    assert await verify(store, account, code) == Wrong(Reason.USED)


async def test_the_code_of_an_older_link_is_superseded(store: Store, account: str) -> None:
    older = FACTOR.code_of(await known(store, await issue(store, account)))
    newer = FACTOR.code_of(await known(store, await issue(store, account)))
    assert await verify(store, account, older) == Wrong(Reason.SUPERSEDED)
    assert await verify(store, account, newer) == Right()
