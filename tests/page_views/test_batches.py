"""What workers have written of page views becomes the rows of sessions, once, and nothing that reads misses any."""

from __future__ import annotations

import asyncio
import json

from sqlalchemy import func, select, true, update

from gateway.audit.export import Format
from gateway.page_views import batches, rows
from gateway.page_views.batches import page_view_batches
from gateway.page_views.export import as_bytes
from gateway.page_views.record import MAX_RUN, Batch, Run, read_line
from gateway.page_views.service import PageViewService, Reader
from gateway.store import Store
from tests.audit.log import erase
from tests.store.people import NOW, add_person, person
from tests.support.actions import actions_of

LINE = "{} {} {} {} {} {}"


def line(account: str, session: str = "ses_1", at: int = NOW, size: int = 1, tenant: str = "acme") -> str:
    values = [value for number in range(size) for value in ("GET", f"/{number}", 200)]
    return LINE.format(account, session, tenant, at, size, json.dumps([at, "192.0.2.7", values]))


async def add(store: Store, number: int, *lines: str, at: int = NOW) -> Batch:
    batch = Batch(number, at, sum(int(one.split(" ")[4]) for one in lines), "\n".join(lines))
    async with store.transaction() as tx:
        await batches.add(tx, batch)
    return batch


async def runs(store: Store, account: str) -> list[Run]:
    async with store.reading() as tx:
        return await rows.list_after(tx, account, None, ("", 0, 0), 1_000)


async def places(store: Store, account: str) -> list[tuple[str, str, int, int, int, int]]:
    return [(run.session, run.tenant, run.first_at, run.at, run.number, run.size) for run in await runs(store, account)]


async def test_the_views_of_a_session_in_several_batches_become_one_row(store: Store) -> None:
    ann, bob = (await add_person(store)).id, (await add_person(store, person("bob@example.com"))).id
    await add(store, 10, line(ann), line(bob), line(ann, "ses_2"))
    await add(store, 20, line(ann, at=NOW + 1, size=2), line(ann, tenant="beta"), at=NOW + 1)
    await batches.move(store)
    assert await places(store, ann) == [
        ("ses_1", "beta", NOW, NOW, 21, 1),
        ("ses_1", "acme", NOW, NOW + 1, 20, 3),
        ("ses_2", "acme", NOW, NOW, 12, 1),
    ]
    assert await places(store, bob) == [("ses_1", "acme", NOW, NOW, 11, 1)]
    assert [len(run.read()) for run in await runs(store, ann)] == [1, 3, 1]


async def test_a_row_is_not_longer_than_a_page_and_in_the_order_of_time(store: Store) -> None:
    ann = (await add_person(store)).id
    await add(store, 50, line(ann, at=NOW + 2, size=60), line(ann, at=NOW + 1, size=MAX_RUN - 60))
    await add(store, 40, line(ann, at=NOW + 2, size=MAX_RUN), line(ann, at=NOW), at=NOW + 1)
    await batches.move(store)
    assert await places(store, ann) == [
        ("ses_1", "acme", NOW, NOW + 1, 51, MAX_RUN - 59),
        ("ses_1", "acme", NOW + 2, NOW + 2, 40, MAX_RUN),
        ("ses_1", "acme", NOW + 2, NOW + 2, 50, 60),
    ]


async def test_a_batch_that_is_written_again_adds_nothing_also_after_it_was_moved(store: Store) -> None:
    ann = (await add_person(store)).id
    for _ in range(2):
        await add(store, 1, line(ann), line(ann, at=NOW + 1))
        await add(store, 1, line(ann), line(ann, at=NOW + 1))
        await batches.move(store)
    assert [run.size for run in await runs(store, ann)] == [2]


async def test_several_workers_move_a_batch_once(store: Store, store_url: str) -> None:
    ann = (await add_person(store)).id
    other = Store.open(store_url)
    for number in range(0, 100, 10):
        await add(store, number, line(ann, at=NOW + number))
    await asyncio.gather(*(batches.move(one) for one in (store, other, store, other)))
    assert sum(run.size for run in await runs(store, ann)) == 10
    await other.close()


async def test_more_than_is_moved_at_once_is_moved_in_parts(store: Store) -> None:
    ann = (await add_person(store)).id
    for number in range(batches.MOST + 2):
        await add(store, number, line(ann, at=NOW + number), at=NOW + number)
    async with store.reading() as tx:
        assert len(await batches.list_waiting(tx, true())) == batches.MOST
    await batches.move(store)
    assert sum(run.size for run in await runs(store, ann)) == batches.MOST + 2


async def test_a_batch_is_taken_with_how_much_is_enough(store: Store) -> None:
    for number in range(4):
        async with store.transaction() as tx:
            await batches.add(tx, Batch(number, NOW + number, batches.AT_ONCE // 2, ""))
    async with store.reading() as tx:
        assert await batches.list_waiting(tx, true()) == [0, 1]


async def test_lines_that_are_known_are_not_read_and_become_the_same_rows(store: Store) -> None:
    ann = (await add_person(store)).id
    stored = await add(store, 10, line(ann, size=2), line(ann, "ses_2"), line(ann, at=NOW + 1))
    known = {10: [read_line(text, 10 + place) for place, text in enumerate(stored.lines.split("\n"))]}
    async with store.transaction() as tx:
        await tx.execute(update(page_view_batches).values(lines="unreadable"))
    await batches.move(store, known, NOW)
    assert await places(store, ann) == [("ses_1", "acme", NOW, NOW + 1, 12, 3), ("ses_2", "acme", NOW, NOW, 11, 1)]
    assert known == {}


async def test_what_others_write_is_left_to_them_until_it_is_old(store: Store) -> None:
    ann = (await add_person(store)).id
    await add(store, 1, line(ann, "ses_old"), at=NOW - 1)
    await add(store, 2, line(ann, "ses_new"), at=NOW)
    await batches.move(store, {}, NOW)
    assert [run.session for run in await runs(store, ann)] == ["ses_old"]
    await batches.move(store)
    assert [run.session for run in await runs(store, ann)] == ["ses_new", "ses_old"]


async def test_what_another_has_moved_is_not_moved_again_and_no_longer_known(store: Store) -> None:
    ann = (await add_person(store)).id
    stored = await add(store, 1, line(ann))
    await batches.move(store)
    known = {1: [read_line(stored.lines, 1)]}
    await batches.move(store, known, NOW)
    assert [run.size for run in await runs(store, ann)] == [1]
    assert known == {}


async def test_views_of_an_account_that_is_gone_are_dropped_and_the_others_stay(store: Store) -> None:
    ann = (await add_person(store)).id
    await add(store, 1, line("acc_gone"), line(ann))
    await batches.move(store)
    assert len(await runs(store, ann)) == 1
    async with store.reading() as tx:
        waiting = select(func.count()).where(page_view_batches.c.size > 0)
        assert (await tx.execute(waiting)).scalar_one() == 0
        assert "acc_gone" not in str((await tx.execute(select(page_view_batches))).all())


async def test_what_is_read_exported_and_erased_includes_what_was_just_written(store: Store) -> None:
    ann = (await add_person(store)).id
    service, reader = PageViewService(store, actions_of(store), 30), Reader(ann, None)
    await add(store, 1, line(ann))
    assert [viewed.count for viewed in await service.list_sessions(reader)] == [1]
    await add(store, 2, line(ann))
    assert len((await service.look_at(reader, "ses_1", None)).views) == 2
    await add(store, 3, line(ann))
    exported = b"".join([piece async for piece in as_bytes(store, reader, Format.JSON_LINES)])
    assert exported.count(b'"/0"') == 3
    await add(store, 4, line(ann, "ses_2"))
    assert (await erase(store, "ann@example.com", ann)).rows == {"page_views": 4}
    await batches.move(store)
    assert await runs(store, ann) == []
