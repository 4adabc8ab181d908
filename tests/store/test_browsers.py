"""Who was in a browser before, on both engines."""

from __future__ import annotations

import asyncio

import pytest

from gateway.browsers import rows
from gateway.browsers.learning import CookieLearner
from gateway.browsers.record import AppCookie
from gateway.browsers.rows import Former
from gateway.model.token import key_of
from gateway.store import Store
from tests.login.people import inbound_of
from tests.store.people import NOW, Watched, add_person, person

DEEP = AppCookie("user", "", "/pgadmin4")


async def test_a_browser_knows_the_last_person_and_what_the_application_set_for_them(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@acme.example"))
    async with store.transaction() as tx:
        first = await rows.arrive(tx, None, ann.id, None, NOW)
        assert first.former is Former.UNKNOWN
        assert first.token is not None
        key = key_of(first.token)
        await rows.learn(tx, key, [DEEP])
        await rows.learn(tx, key, [DEEP])
        assert await rows.arrive(tx, key, ann.id, None, NOW) == rows.Arrival(Former.SAME)
        other = await rows.arrive(tx, key, bob.id, None, NOW)
        assert (other.former, other.learnt) == (Former.OTHER, (DEEP,))
        assert other.token is not None
        again = await rows.arrive(tx, key_of(other.token), bob.id, None, NOW)
        assert again.former is Former.SAME
        # Had the answer never arrived, the browser would still have the first cookie.
        assert (await rows.arrive(tx, key, bob.id, None, NOW)).former is Former.OTHER


async def test_without_a_memory_the_session_that_a_browser_came_with_tells_who_was_there(store: Store) -> None:
    ann, bob = await add_person(store), await add_person(store, person("bob@acme.example"))
    async with store.transaction() as tx:
        assert (await rows.arrive(tx, None, ann.id, ann.id, NOW)).former is Former.SAME
        assert (await rows.arrive(tx, b"u" * 32, ann.id, bob.id, NOW)).former is Former.OTHER


async def test_a_browser_has_a_bounded_number_of_cookies(store: Store) -> None:
    ann = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.arrive(tx, None, ann.id, None, NOW)).token
        assert token is not None
        await rows.learn(tx, key_of(token), [AppCookie(f"c{n}", "", "/x") for n in range(70)])
        await rows.learn(tx, key_of(token), [AppCookie(f"d{n}", "", "/x") for n in range(70)])
        assert len(await rows.learnt(tx, key_of(token))) == rows.MAX_COOKIES
        await rows.learn(tx, b"n" * 32, [DEEP])  # of no known browser
        assert await rows.learnt(tx, b"n" * 32) == ()


@pytest.mark.parametrize("turns", range(3))
async def test_what_an_answer_sets_is_written_once(store_url: str, turns: int) -> None:
    """The write that `note` begins may be anywhere when `flush` is called; then it is over."""
    store = Watched.open(store_url)
    ann = await add_person(store)
    async with store.transaction() as tx:
        token = (await rows.arrive(tx, None, ann.id, None, NOW)).token
    assert token is not None
    inbound = inbound_of()._replace(target=b"/pgadmin4/page?x=/y/z", browser_key=key_of(token))
    learner = CookieLearner(store, cached=100)
    store.begun = 0
    for _ in range(2):
        learner.note(inbound, [b"Content-Type: text/html", b"set-cookie: user=ann", b"Set-Cookie: top=1; Path=/"])
        for _ in range(turns):
            await asyncio.sleep(0)
        await learner.flush()
        assert (store.begun, store.is_open) == (1, 0)
    async with store.reading() as tx:
        assert await rows.learnt(tx, key_of(token)) == (DEEP,)
    await store.close()
