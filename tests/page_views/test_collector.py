"""Page views in a worker's memory: bounded, written in batches, kept while the store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.model.account import Role
from gateway.model.session import Session
from gateway.page_views import rows
from gateway.page_views.collector import BATCH, MAX_WAITING, PAUSE_SECONDS, PageViews
from gateway.page_views.record import View
from gateway.settings.record import PageViewSettings
from gateway.store import Store, StoreUnavailable
from gateway.wire.deadlines import Deadlines
from tests.login.people import inbound_of
from tests.store.people import NOW, Watched, add_person

INBOUND = inbound_of()._replace(method="GET", readings=("/report",), target=b"/report?secret=1")


@pytest.fixture
async def clock() -> Iterator[Deadlines]:  # type: ignore[misc]
    made = Deadlines(asyncio.get_running_loop(), lambda: NOW)
    yield made
    made.stop()


def session_of(account: str) -> Session:
    return Session(
        "ses_1", account, "a@b.example", "A", "acme", Role.EMPLOYEE, frozenset(), False, (), NOW, NOW,
        records_views=True,
    )  # fmt: skip


def collector(store: Store, clock: Deadlines, lost: list[int] | None = None) -> PageViews:
    return PageViews(store, clock, PageViewSettings(), ("/invite/",), (lost if lost is not None else []).append)


async def stored(store: Store, account: str, most: int = 20_000) -> list[View]:
    async with store.reading() as tx:
        return await rows.list_after(tx, account, None, ("", 0, 0), most)


async def test_a_view_has_the_first_status_and_no_query_and_no_token(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views, session = collector(store, clock), session_of(account)
    opened = views.open(session, INBOUND)
    opened(200)
    opened(499)
    for path in ("/invite/abc", "/a\0b", "/static/x.js", "/" + "y" * 600):
        views.open(session, INBOUND._replace(readings=(path,)))(303)
    await views.flush()
    found = await stored(store, account)
    assert [(view.method, view.path, view.status, view.address, view.at, view.tenant) for view in found] == [
        ("GET", "/report", 200, INBOUND.address, NOW, "acme"),
        ("GET", "/invite/…", 303, INBOUND.address, NOW, "acme"),
        ("GET", "/a\N{REPLACEMENT CHARACTER}b", 303, INBOUND.address, NOW, "acme"),
        ("GET", "/" + "y" * 499, 303, INBOUND.address, NOW, "acme"),
    ]


async def test_many_views_are_few_transactions_and_none_is_none(store_url: str, clock: Deadlines) -> None:
    store = Watched.open(store_url)
    assert isinstance(store, Watched)
    account = (await add_person(store)).id
    views, begun = collector(store, clock), store.begun
    await views.flush()
    assert store.begun == begun
    for _ in range(2 * BATCH + 1):
        views.open(session_of(account), INBOUND)(200)
    await views.flush()
    assert store.begun == begun + 3
    found = await stored(store, account)
    assert len(found) == 2 * BATCH + 1
    await store.close()


async def test_the_revision_is_not_raised(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)

    async def revision() -> object:
        async with store.reading() as tx:
            return (await tx.execute(text("SELECT number, stamp FROM revision"))).one()

    before = await revision()
    views.open(session_of(account), INBOUND)(200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert await revision() == before


async def test_beyond_the_bound_views_are_counted_and_lost(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views = collector(store, clock, lost)
    for number in range(MAX_WAITING + 3):
        views.open(session_of(account), INBOUND)(200 + number % 2)
    assert sum(lost) == 3
    await views.finish()
    assert len(await stored(store, account)) == MAX_WAITING


class Away(Store):
    """A store that is away while `is_away`."""

    is_away = True

    def transaction(self):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise StoreUnavailable("away")
        return super().transaction()


async def test_views_wait_for_a_store_that_fails_and_the_store_gets_a_pause(store_url: str, clock: Deadlines) -> None:
    store = Away.open(store_url)
    assert isinstance(store, Away)
    store.is_away = False
    account = (await add_person(store)).id
    store.is_away = True
    lost: list[int] = []
    views = collector(store, clock, lost)
    views.open(session_of(account), INBOUND)(200)
    with pytest.raises(StoreUnavailable):
        await views.flush()
    store.is_away = False
    await views.flush()
    assert await stored(store, account) == []
    clock.utc = NOW + PAUSE_SECONDS
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert lost == []
    await store.close()


async def test_what_the_store_refuses_for_ever_holds_up_nothing(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views = collector(store, clock, lost)
    broken = replace(session_of(account), tenant=None)  # type: ignore[arg-type]
    views.open(broken, INBOUND)(200)
    await views.flush()
    views.open(session_of(account), INBOUND)(200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert lost == [1]
