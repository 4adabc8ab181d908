"""Sessions in the store, on both engines."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from gateway.model.factor import Factor, Proof
from gateway.model.token import TOKEN, key_of, new_token
from gateway.sessions import rows
from gateway.sessions.seen import touch
from gateway.store import Store
from gateway.store.schema import sessions
from tests.store.people import NOW, add_person, add_session, person


def test_a_new_token_has_the_shape_that_the_edge_accepts_and_never_repeats() -> None:
    tokens = {new_token().reveal() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(TOKEN.fullmatch(token.encode()) for token in tokens)


async def test_a_session_is_ended_once(store: Store) -> None:
    session_id, key = await add_session(store, await add_person(store))
    async with store.transaction() as tx:
        assert await rows.end(tx, session_id, NOW)
        assert not await rows.end(tx, session_id, NOW + 1)
        assert not await rows.end_key(tx, key, NOW + 1)


async def test_a_session_is_ended_by_its_cookie(store: Store) -> None:
    _, key = await add_session(store, await add_person(store))
    async with store.transaction() as tx:
        assert await rows.end_key(tx, key, NOW)
        assert not await rows.end_key(tx, key, NOW)
        assert not await rows.end_key(tx, b"\0" * 32, NOW)


@pytest.mark.usefixtures("unhurried")
async def test_of_many_who_end_a_session_at_once_exactly_one_did(store: Store) -> None:
    session_id, _ = await add_session(store, await add_person(store))

    async def end() -> bool:
        async with store.transaction() as tx:
            return await rows.end(tx, session_id, NOW)

    assert sum(await asyncio.gather(*(end() for _ in range(20)))) == 1


async def test_all_sessions_of_one_account_end_but_the_one_that_asked(store: Store) -> None:
    ann = await add_person(store)
    bob = await add_person(store, person("bob@example.com"))
    kept, *ended = [(await add_session(store, ann))[0] for _ in range(4)]
    of_bob, _ = await add_session(store, bob)
    async with store.transaction() as tx:
        assert await rows.end_all(tx, ann.id, NOW, but=kept) == len(ended)
        assert {row.id for row in await rows.list_open(tx)} == {kept, of_bob}
        assert await rows.end_all(tx, ann.id, NOW) == 1


async def test_the_owner_of_a_cookie_is_known_after_its_session_ended(store: Store) -> None:
    account = await add_person(store)
    session_id, key = await add_session(store, account)
    async with store.transaction() as tx:
        await rows.end(tx, session_id, NOW)
        assert await rows.account_of_key(tx, key) == account.id
        assert await rows.account_of_key(tx, b"\0" * 32) is None


async def test_open_sessions_are_listed_the_latest_first(store: Store) -> None:
    ann = await add_person(store)
    bob = await add_person(store, person("bob@example.com"))
    first, _ = await add_session(store, ann, NOW)
    second, _ = await add_session(store, ann, NOW + 5)
    await add_session(store, bob, NOW + 9)
    async with store.reading() as tx:
        listed = await rows.list_open(tx, ann.id)
    assert [row.id for row in listed] == [second, first]
    assert listed[1] == rows.SessionRow(
        first,
        ann.id,
        ann.identifier,
        "192.0.2.7",
        "Browser/1.0",
        started_at=NOW,
        seen_at=NOW,
        proofs=(Proof(Factor.PASSWORD, NOW),),
    )


async def test_last_seen_moves_forward_and_never_back(store: Store) -> None:
    account = await add_person(store)
    _, early = await add_session(store, account)
    _, late = await add_session(store, account)
    for seen in ({early: NOW + 60, late: NOW + 90}, {early: NOW + 30, late: NOW + 95}, {}):
        async with store.transaction() as tx:
            await touch(tx, seen)
    async with store.reading() as tx:
        assert [row.seen_at for row in await rows.list_open(tx)] == [NOW + 95, NOW + 60]


async def test_last_seen_is_not_written_again_where_it_makes_no_difference(store: Store) -> None:
    account = await add_person(store)
    keys = [(await add_session(store, account))[1] for _ in range(3)]
    async with store.transaction() as tx:
        await touch(tx, dict(zip(keys, (NOW + 29, NOW + 30, NOW + 31), strict=True)), slack=30)
    async with store.reading() as tx:
        assert sorted(row.seen_at for row in await rows.list_open(tx)) == [NOW, NOW, NOW + 31]


async def test_writing_last_seen_and_ending_everything_do_not_lock_each_other_out(store: Store) -> None:
    account = await add_person(store)
    keys = [(await add_session(store, account))[1] for _ in range(20)]

    async def touch_all(at: int) -> None:
        async with store.transaction() as tx:
            await touch(tx, dict.fromkeys(keys if at % 2 else reversed(keys), NOW + at))

    async def end_all() -> None:
        async with store.transaction() as tx:
            await rows.end_all(tx, account.id, NOW)

    await asyncio.gather(*(touch_all(at) for at in range(1, 10)), end_all(), *(touch_all(at) for at in range(10, 15)))


async def test_what_a_browser_calls_itself_is_cut_to_what_the_column_takes(store: Store) -> None:
    account = await add_person(store)
    async with store.transaction() as tx:
        await rows.add(
            tx, token_key=b"k" * 32, account_id=account.id, proofs=(), address="", user_agent="é" * 9000, now=NOW
        )
        assert [row.user_agent for row in await rows.list_open(tx)] == ["é" * rows.MAX_USER_AGENT]


async def test_the_cookie_itself_is_nowhere_in_the_store(store: Store) -> None:
    account = await add_person(store)
    token = new_token()
    key = key_of(token)
    async with store.transaction() as tx:
        await rows.add(tx, token_key=key, account_id=account.id, proofs=(), address="", user_agent="", now=NOW)
        stored = (await tx.execute(select(sessions))).one()
    assert stored.token_key == key
    assert token.reveal() not in repr(tuple(stored))
