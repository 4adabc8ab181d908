"""Backup codes: how they are written, that each is good once, and what the database knows of them."""

from __future__ import annotations

import asyncio
import math
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from gateway.app.nouns import SEALED
from gateway.crypto.sealing import Sealer, Unopenable, reseal
from gateway.factors.backup_code import rows
from gateway.factors.backup_code.factor import COUNT, BackupCodeFactor, digest, new_code
from gateway.factors.backup_code.rows import Left, count_left
from gateway.factors.contract import Asked, Reason, Right, Summary, Wrong
from gateway.factors.typed import ALPHABET
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.store import Store
from gateway.store.schema import backup_codes as table
from tests.factors.conftest import sealer_of
from tests.store.people import NOW, add_person, person


@pytest.fixture
def factor(sealer: Sealer) -> BackupCodeFactor:
    return BackupCodeFactor(sealer)


async def make(
    store: Store, factor: BackupCodeFactor, email: str = "ann@example.com", now: int = NOW
) -> tuple[str, list[str]]:
    """Return the id of a new account, and its codes."""
    account = (await add_person(store, person(email))).id
    return account, await remake(store, factor, account, now)


async def remake(store: Store, factor: BackupCodeFactor, account: str, now: int = NOW) -> list[str]:
    async with store.transaction() as tx:
        return [code.reveal() for code in await factor.regenerate(tx, account, now)]


async def verify(store: Store, factor: BackupCodeFactor, account: str, code: str) -> Right | Wrong:
    async with store.transaction() as tx:
        return await factor.verify(tx, Asked(account, "att_1"), Secret(code), NOW)


async def left(store: Store, account: str) -> Left:
    async with store.reading() as tx:
        return await count_left(tx, account)


# How they are written.


def test_a_code_has_fifty_bits() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 32
    assert math.log2(len(ALPHABET)) * len(new_code().reveal().replace("-", "")) == 50


def test_no_two_letters_look_alike() -> None:
    for alike in ("0O", "1I", "1L"):
        assert len(set(alike) & set(ALPHABET)) < 2
    assert not set("01IO") & set(ALPHABET)


def test_a_code_is_two_halves_of_five() -> None:
    for _ in range(200):
        assert re.fullmatch(rf"[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}", new_code().reveal())


def test_every_letter_is_used_everywhere() -> None:
    codes = [new_code().reveal().replace("-", "") for _ in range(2_000)]
    assert all(set(letters) == set(ALPHABET) for letters in zip(*codes, strict=True))


def test_what_a_code_is_compared_by_is_its_sha_256() -> None:
    assert digest(Secret("abcde-fghjk")) == sha256(b"ABCDEFGHJK").digest()


@given(st.text())
def test_nothing_that_is_typed_is_an_error(text: str) -> None:
    assert len(digest(Secret(text))) == 32


# Codes.


async def test_there_are_eight_and_all_differ(store: Store, factor: BackupCodeFactor) -> None:
    account, codes = await make(store, factor)
    assert len(set(codes)) == COUNT == 8
    assert await left(store, account) == Left(8, NOW, None)


async def test_each_is_good_once(store: Store, factor: BackupCodeFactor) -> None:
    account, codes = await make(store, factor)
    assert [await verify(store, factor, account, code) for code in codes] == [Right()] * 8
    assert [await verify(store, factor, account, code) for code in codes] == [Wrong(Reason.USED)] * 8


WRITINGS = [
    str.lower,
    lambda code: code.replace("-", ""),
    lambda code: code.replace("-", " "),
    lambda code: code.lower().replace("-", ""),
    lambda code: f"  {code}\r\n",
    lambda code: " ".join(code),
    lambda code: code.replace("-", "\u2011"),
    lambda code: code.replace("-", "\u2013"),
]


@pytest.mark.parametrize("write", WRITINGS)
async def test_case_spaces_and_dashes_do_not_matter(store: Store, factor: BackupCodeFactor, write: object) -> None:
    account, (code, *_) = await make(store, factor)
    assert await verify(store, factor, account, write(code)) == Right()  # type: ignore[operator]


async def test_a_code_written_otherwise_is_used_up_all_the_same(store: Store, factor: BackupCodeFactor) -> None:
    account, (code, *_) = await make(store, factor)
    await verify(store, factor, account, code)
    assert await verify(store, factor, account, code.lower().replace("-", "")) == Wrong(Reason.USED)


@pytest.mark.parametrize(
    "write", [lambda code: code[:-1], lambda code: code + "2", lambda code: code[::-1], lambda _: ""]
)
async def test_nearly_right_is_wrong(store: Store, factor: BackupCodeFactor, write: object) -> None:
    account, codes = await make(store, factor)
    given_code = write(codes[0])  # type: ignore[operator]
    assert await verify(store, factor, account, given_code) == Wrong()
    assert (await left(store, account)).count == 8


async def test_two_codes_at_once_are_none(store: Store, factor: BackupCodeFactor) -> None:
    account, codes = await make(store, factor)
    assert await verify(store, factor, account, " ".join(codes)) == Wrong()


async def test_a_code_of_somebody_else_is_wrong_and_stays_theirs(store: Store, factor: BackupCodeFactor) -> None:
    account, _ = await make(store, factor)
    other, codes = await make(store, factor, "bob@example.com")
    assert await verify(store, factor, account, codes[0]) == Wrong()
    assert await verify(store, factor, other, codes[0]) == Right()


async def test_who_has_none_has_no_right_one(store: Store, factor: BackupCodeFactor) -> None:
    account = (await add_person(store)).id
    assert await verify(store, factor, account, "ABCDE-FGHJK") == Wrong()
    assert await left(store, account) == Left(0, None, None)


async def test_new_codes_kill_the_old_ones(store: Store, factor: BackupCodeFactor) -> None:
    account, old = await make(store, factor)
    new = await remake(store, factor, account, NOW + 5)
    assert [await verify(store, factor, account, code) for code in old] == [Wrong()] * 8
    assert await left(store, account) == Left(8, NOW + 5, None)
    assert await verify(store, factor, account, new[0]) == Right()


async def test_new_codes_are_as_many_however_many_were_used(store: Store, factor: BackupCodeFactor) -> None:
    account, old = await make(store, factor)
    for code in old[:3]:
        await verify(store, factor, account, code)
    await remake(store, factor, account)
    assert (await left(store, account)).count == 8


async def test_new_codes_concern_one_account(store: Store, factor: BackupCodeFactor) -> None:
    account, _ = await make(store, factor)
    other, codes = await make(store, factor, "bob@example.com")
    await remake(store, factor, account)
    assert await verify(store, factor, other, codes[0]) == Right()


async def test_what_is_left_is_counted(store: Store, factor: BackupCodeFactor) -> None:
    account, codes = await make(store, factor)
    counts = []
    for code in codes:
        await verify(store, factor, account, code)
        counts.append((await left(store, account)).count)
    assert counts == [7, 6, 5, 4, 3, 2, 1, 0]


async def test_forgotten_codes_are_wrong(store: Store, factor: BackupCodeFactor) -> None:
    account, codes = await make(store, factor)
    async with store.transaction() as tx:
        assert await rows.forget(tx, account) == 8
    assert await verify(store, factor, account, codes[0]) == Wrong()


async def test_one_code_sent_fifty_times_at_once_to_two_workers_is_right_once(
    workers: tuple[Store, Store], factor: BackupCodeFactor
) -> None:
    account, (code, *_) = await make(workers[0], factor)
    verdicts = await asyncio.gather(*(verify(workers[number % 2], factor, account, code) for number in range(50)))
    assert verdicts.count(Right()) == 1
    assert verdicts.count(Wrong(Reason.USED)) == 49
    assert (await left(workers[0], account)).count == 7


# Sealing.


async def test_the_database_holds_neither_code_nor_bare_digest(store: Store, factor: BackupCodeFactor) -> None:
    _, codes = await make(store, factor)
    async with store.reading() as tx:
        stored = b"".join((await tx.execute(select(table.c.digest))).scalars())
        whole = str((await tx.execute(select(table))).all()).encode()
    for code in codes:
        plain = code.replace("-", "").encode()
        for form in (plain, code.encode(), sha256(plain).digest(), sha256(code.encode()).digest()):
            assert form not in stored
        assert not any(form in whole for form in (plain, code.encode(), sha256(plain).hexdigest().encode()))


async def test_a_code_copied_to_another_row_is_not_opened(store: Store, factor: BackupCodeFactor) -> None:
    _, codes = await make(store, factor)
    victim, _ = await make(store, factor, "bob@example.com")
    async with store.transaction() as tx:
        mine, theirs = select(table.c.digest).where(table.c.account != victim), select(table.c.id)
        stored = (await tx.execute(mine.limit(1))).scalar_one()
        row = (await tx.execute(theirs.where(table.c.account == victim).limit(1))).scalar_one()
        await tx.execute(update(table).where(table.c.id == row).values(digest=stored))
    with pytest.raises(Unopenable):
        await verify(store, factor, victim, codes[0])


async def test_sealing_anew_lets_the_old_key_go(store: Store) -> None:
    account, codes = await make(store, BackupCodeFactor(sealer_of("old")))
    both = sealer_of("new", "old")
    async with store.transaction() as tx:
        assert [await reseal(tx, both, SEALED["codes"]), await reseal(tx, both, SEALED["codes"])] == [8, 0]
    new = BackupCodeFactor(sealer_of("new"))
    assert [await verify(store, new, account, code) for code in codes] == [Right()] * 8


async def test_sealing_anew_does_not_make_a_used_code_good_again(store: Store) -> None:
    both = BackupCodeFactor(sealer_of("new", "old"))
    account, (code, *_) = await make(store, BackupCodeFactor(sealer_of("old")))
    await verify(store, both, account, code)
    async with store.transaction() as tx:
        await reseal(tx, sealer_of("new", "old"), SEALED["codes"])
    assert await verify(store, both, account, code) == Wrong(Reason.USED)


async def test_administrators_see_how_many_are_left(store: Store, factor: BackupCodeFactor) -> None:
    stranger = (await add_person(store, person("bob@example.com"))).id
    account, codes = await make(store, factor, now=NOW - 60)
    await verify(store, factor, account, codes[0])
    async with store.reading() as tx:
        assert await factor.summarise(tx, stranger) == []
        assert await factor.summarise(tx, account) == [
            Summary(factor.name, NOW - 60, NOW, "", Sentence("Codes left: {count}", count=COUNT - 1))
        ]
