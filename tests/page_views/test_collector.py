"""Page views in a worker's memory: bounded, written in batches, kept while the store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.model.account import Role
from gateway.model.session import Session
from gateway.page_views import batches, rows
from gateway.page_views.collector import MAX_RUN, MAX_WAITING, PAUSE_SECONDS, PageViews
from gateway.page_views.record import Run, View
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


async def runs_of(store: Store, account: str) -> list[Run]:
    await batches.move(store)
    async with store.reading() as tx:
        return await rows.list_after(tx, account, None, ("", 0, 0), 1_000)


async def stored(store: Store, account: str) -> list[View]:
    return [view for run in await runs_of(store, account) for view in run.read()]


async def test_a_view_has_no_query_and_no_token_and_static_files_have_none(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)
    for path in ("/report", "/invite/abc", "/a\0b", "/\ud800", "/static/x.js", "/" + "y" * 600):
        views.note((session_of(account), INBOUND._replace(readings=(path,)), NOW), 303)
    await views.flush()
    assert await stored(store, account) == [
        View(NOW, "GET", path, INBOUND.address, 303)
        for path in ("/report", "/invite/…", "/a\0b", "/\ud800", "/" + "y" * 499)
    ]


async def test_a_view_has_the_time_at_which_its_request_began(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views, session = collector(store, clock), session_of(account)
    for began, status in ((NOW + 1, 201), (NOW, 200), (NOW + 1, 202)):
        views.note((session, INBOUND, began), status)
    await views.flush()
    found = [(view.at, view.status) for view in await stored(store, account)]
    assert found == [(NOW, 200), (NOW + 1, 201), (NOW + 1, 202)]


async def test_many_views_are_one_transaction_and_few_rows_and_none_is_none(store_url: str, clock: Deadlines) -> None:
    store = Watched.open(store_url)
    assert isinstance(store, Watched)
    account = (await add_person(store)).id
    views, begun, session = collector(store, clock), store.begun, session_of(account)
    await views.flush()
    assert store.begun == begun
    other = replace(session, id="ses_2")
    for number in range(3 * MAX_RUN):
        views.note((other if number % 3 else session, INBOUND, NOW), number)
    await views.flush()
    assert store.begun == begun + 1
    runs = await runs_of(store, account)
    assert sorted((run.session, run.size) for run in runs) == [("ses_1", 100), ("ses_2", 100), ("ses_2", 100)]
    assert [view.status for view in runs[0].read()] == list(range(0, 3 * MAX_RUN, 3))
    await store.close()


async def test_the_revision_is_not_raised(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)

    async def revision() -> object:
        async with store.reading() as tx:
            return (await tx.execute(text("SELECT number, stamp FROM revision"))).one()

    before = await revision()
    views.note((session_of(account), INBOUND, NOW), 200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert await revision() == before


async def test_beyond_the_bound_views_are_counted_and_lost(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views = collector(store, clock, lost)
    for number in range(MAX_WAITING + 3):
        views.note((session_of(account), INBOUND, NOW), 200 + number % 2)
    await views.finish()
    assert sum(lost) == 3
    assert len(await stored(store, account)) == MAX_WAITING


class Away(Store):
    """A store that is away while `is_away`, or `refuses`."""

    is_away = refuses = False

    def transaction(self):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise StoreUnavailable("away")
        if self.refuses:
            raise ValueError("no such value")
        return super().transaction()


async def test_views_wait_for_a_store_that_fails_and_the_store_gets_a_pause(store_url: str, clock: Deadlines) -> None:
    store = Away.open(store_url)
    assert isinstance(store, Away)
    account = (await add_person(store)).id
    store.is_away = True
    lost: list[int] = []
    views = collector(store, clock, lost)
    views.note((session_of(account), INBOUND, NOW), 200)
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


async def test_views_of_an_account_that_was_deleted_meanwhile_are_left_out(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views = collector(store, clock, lost)
    for of in (account, "acc_gone", account):
        views.note((replace(session_of(of), id=f"ses_{of}"), INBOUND, NOW), 200)
    await views.flush()
    assert len(await stored(store, account)) == 2
    assert lost == []


async def test_what_the_store_refuses_for_ever_holds_up_nothing(store_url: str, clock: Deadlines) -> None:
    store = Away.open(store_url)
    assert isinstance(store, Away)
    account = (await add_person(store)).id
    lost: list[int] = []
    views = collector(store, clock, lost)
    store.refuses = True
    views.note((session_of(account), INBOUND, NOW), 200)
    await views.flush()
    store.refuses = False
    views.note((session_of(account), INBOUND, NOW), 200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert lost == [1]
    await store.close()
