"""Page views in a worker's memory: bounded, written in batches, kept while the store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, text, true

from gateway.model.page_view import Views
from gateway.page_views import batches, rows
from gateway.page_views.collector import MAX_KEPT, MAX_WAITING, PAUSE_SECONDS, PageViews
from gateway.page_views.record import MAX_RUN, Run, View
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


def views_of(account: str, session: str = "ses_1", tenant: str = "acme") -> Views:
    return Views(account, session, tenant)


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
        views.note((views_of(account), INBOUND._replace(readings=(path,)), NOW), 303)
    await views.flush()
    assert await stored(store, account) == [
        View(NOW, "GET", path, INBOUND.address, 303)
        for path in ("/report", "/invite/…", "/a\0b", "/\ud800", "/" + "y" * 499)
    ]


async def test_a_view_has_the_time_at_which_its_request_began(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views, session = collector(store, clock), views_of(account)
    for began, status in ((NOW + 1, 201), (NOW, 200), (NOW + 1, 202)):
        views.note((session, INBOUND, began), status)
    await views.flush()
    found = [(view.at, view.status) for view in await stored(store, account)]
    assert found == [(NOW, 200), (NOW + 1, 201), (NOW + 1, 202)]


async def test_many_views_are_one_transaction_and_few_rows_and_none_is_none(store_url: str, clock: Deadlines) -> None:
    store = Watched.open(store_url)
    assert isinstance(store, Watched)
    account = (await add_person(store)).id
    views, begun, session = collector(store, clock), store.begun, views_of(account)
    await views.flush()
    assert store.begun == begun
    other = views_of(account, "ses_2")
    for number in range(3 * MAX_RUN):
        views.note((other if number % 3 else session, INBOUND, NOW), number)
    await views.flush()
    assert store.begun == begun + 1
    runs = await runs_of(store, account)
    assert sorted((run.session, run.size) for run in runs) == [
        ("ses_1", MAX_RUN),
        ("ses_2", MAX_RUN),
        ("ses_2", MAX_RUN),
    ]
    assert [view.status for view in runs[0].read()] == list(range(0, 3 * MAX_RUN, 3))
    await store.close()


async def test_the_revision_is_not_raised(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)

    async def revision() -> object:
        async with store.reading() as tx:
            return (await tx.execute(text("SELECT number, stamp FROM revision"))).one()

    before = await revision()
    views.note((views_of(account), INBOUND, NOW), 200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert await revision() == before


async def test_beyond_the_bound_views_are_counted_and_lost(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views, mine = collector(store, clock, lost), views_of(account)
    for number in range(MAX_WAITING + 3):
        views.note((mine, INBOUND, NOW), 200 + number % 2)
    await views.finish()
    assert sum(lost) == 3
    assert len(await stored(store, account)) == MAX_WAITING


async def test_the_bound_holds_while_nothing_is_written(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    lost: list[int] = []
    views, mine = collector(store, clock, lost), views_of(account)
    for number in range(2 * MAX_WAITING):
        views.note((mine, INBOUND, NOW + number // (MAX_WAITING // 2)), 200)
    assert sum(lost) == MAX_WAITING // 2
    await views.finish()
    assert sum(lost) == MAX_WAITING
    found = await stored(store, account)
    assert [found[0].at, found[-1].at, len(found)] == [NOW, NOW + 1, MAX_WAITING]


async def test_static_files_count_for_nothing_under_any_method_or_status(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views, script = collector(store, clock), INBOUND._replace(readings=("/static/x.js",))
    for inbound in (
        script,
        script._replace(method="POST"),
        script._replace(readings=("/static/x.js", "/static//x.js")),
    ):
        for status in (200, 404, 200):
            views.note((views_of(account), inbound, NOW), status)
    await views.flush()
    found = [(view.method, view.path, view.status) for view in await stored(store, account)]
    assert found == [
        (method, "/static/x.js", status) for method in ("POST", "GET") for status in (200, 404, 200)
    ]  # an ambiguous path is recorded


async def test_views_of_one_session_under_another_tenant_or_address_are_kept_apart(
    store: Store, clock: Deadlines
) -> None:
    account = (await add_person(store)).id
    views, one, two = collector(store, clock), "192.0.2.1", "192.0.2.2"
    mine, moved = views_of(account), views_of(account, tenant="beta")
    for whose, address in ((mine, one), (moved, one), (mine, two), (mine, one)):
        views.note((whose, INBOUND._replace(address=address), NOW), 200)
    await views.flush()
    found = [(run.tenant, [view.address for view in run.read()]) for run in await runs_of(store, account)]
    assert sorted(found) == [("acme", [one, one, two]), ("beta", [one])]


async def test_what_a_session_opens_in_the_second_in_which_was_written_is_kept(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views, mine = collector(store, clock), views_of(account)
    for status in (200, 201):
        views.note((mine, INBOUND, NOW), status)
        await views.flush()
    assert [view.status for view in await stored(store, account)] == [200, 201]


async def test_a_worker_moves_what_it_wrote_also_beyond_what_it_keeps(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)
    for part in range(3):
        for number in range(MAX_KEPT // 2):
            views.note((views_of(account, f"ses_{number % 500}"), INBOUND, NOW + part * 100 + number // 500), 200)
        await views.flush()
    clock.utc = NOW + batches.ORPHANED_SECONDS + 1
    await views.move()
    async with store.reading() as tx:
        assert await batches.list_waiting(tx, true()) == []
        moved = await rows.list_after(tx, account, None, ("", 0, 0), 10_000)
    assert sum(run.size for run in moved) == 3 * MAX_KEPT // 2


async def test_making_a_batch_can_be_stopped_and_loses_nothing(store: Store, clock: Deadlines) -> None:
    account = (await add_person(store)).id
    views = collector(store, clock)
    for number in range(MAX_WAITING):
        views.note((views_of(account, f"ses_{number}"), INBOUND, NOW), 200)
    writing = asyncio.get_running_loop().create_task(views.flush())
    await asyncio.sleep(0)  # until its first pause
    assert not writing.done()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await views.finish()
    async with store.reading() as tx:
        assert (await tx.execute(select(func.sum(batches.columns.size)))).scalar_one() == MAX_WAITING


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
    views.note((views_of(account), INBOUND, NOW), 200)
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
        views.note((views_of(of, f"ses_{of}"), INBOUND, NOW), 200)
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
    views.note((views_of(account), INBOUND, NOW), 200)
    await views.flush()
    store.refuses = False
    views.note((views_of(account), INBOUND, NOW), 200)
    await views.flush()
    assert len(await stored(store, account)) == 1
    assert lost == [1]
    await store.close()
