"""Page views in the store, on both engines: what is written, read, kept apart, deleted, and switched on."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from gateway.accounts import rows as account_rows
from gateway.accounts.removal import remove_unused
from gateway.app.retention import delete_batch
from gateway.model.account import Account, Unacceptable
from gateway.model.event import Event
from gateway.page_views import rows
from gateway.page_views.record import Device, LeftOut, Run, Switch, View, Viewed, encode, read_views
from gateway.page_views.rows import STORED, page_views
from gateway.page_views.service import PageViewService, Reader, by_day, check_reason, turn_off, turn_on
from gateway.store import Store
from gateway.store.stored import Longest
from tests.audit.log import erase
from tests.store.people import NOW, add_person, add_session, look, person, worker
from tests.support.actions import action_in, actions_of
from tests.tokens.held import add_token

DAY = 86_400


def view(at: int = NOW, path: str = "/page", status: int = 200) -> View:
    return View(at, "GET", path, "192.0.2.7", status)


def run(
    account: str, session: str = "ses_1", number: int = 1, at: int = NOW, tenant: str = "acme", views: int = 1
) -> Run:
    written = encode([[at, "192.0.2.7", ["GET", f"/page/{number}", 200] * views]])
    return Run(account, session, at, number, tenant, at, views, written)


async def add(store: Store, *runs: Run) -> None:
    async with store.transaction() as tx:
        await rows.add(tx, runs)


async def count(store: Store) -> int:
    async with store.reading() as tx:
        return int((await tx.execute(select(func.count()).select_from(page_views))).scalar_one())


async def member(store: Store, email: str = "ann@example.com", **changes: object) -> Account:
    return await add_person(store, person(email, **changes))


async def test_views_are_read_back_newest_first_and_page_by_page(store: Store) -> None:
    ann = (await member(store)).id
    runs = [run(ann, number=number, at=NOW + number // 3, views=1 + number % 3) for number in range(9)]
    other = run(ann, "ses_2", 99)
    await add(store, *runs, other)
    newest = runs[::-1]
    async with store.reading() as tx:
        assert await rows.list_newest(tx, ann, "ses_1", None, None, 4) == (newest[:2], True)
        assert await rows.list_newest(tx, ann, "ses_1", None, None, 18) == (newest, False)
        assert await rows.list_newest(tx, ann, "ses_1", None, None, 17) == (newest[:8], True)
        for place in range(8):
            before = newest[place].at, newest[place].number
            assert await rows.list_newest(tx, ann, "ses_1", None, before, 99) == (newest[place + 1 :], False)
        assert await rows.list_newest(tx, ann, "ses_1", None, (NOW, 0), 9) == ([], False)
        assert await rows.list_after(tx, ann, None, ("ses_1", NOW + 2, 7), 9) == [runs[8], other]


async def test_a_batch_that_is_written_twice_is_there_once(store: Store) -> None:
    ann = (await member(store)).id
    batch = [run(ann, number=number) for number in (1, 2)]
    await add(store, *batch)
    await add(store, *batch, run(ann, number=3))
    assert await count(store) == 3


async def test_views_of_an_account_that_is_gone_can_be_told_apart(store: Store) -> None:
    ann = (await member(store)).id
    runs = [run("acc_gone"), run(ann)]
    with pytest.raises(IntegrityError):
        await add(store, *runs)
    async with store.transaction() as tx:
        assert await rows.of_known(tx, runs) == [run(ann)]
        await rows.add(tx, [])
    assert await count(store) == 0


@pytest.mark.parametrize("path", ["/x" * 249 + "/…", "/\ud800", "/a\0b", "/<b>&'\"\u202e\n"])
async def test_a_path_is_kept_as_it_is(store: Store, path: str) -> None:
    ann = (await member(store)).id
    seen = view(NOW, path, 0)
    written = encode([[NOW, seen.address, ["GET", path, 0]]])
    await add(store, Run(ann, "ses_1", NOW, 1, "acme", NOW, 1, written))
    async with store.reading() as tx:
        (found,), _ = await rows.list_newest(tx, ann, "ses_1", None, None, 9)
    assert found.read() == [seen]


async def test_sessions_have_their_device_or_token_also_after_their_end(store: Store) -> None:
    ann = await member(store)
    session, _ = await add_session(store, ann)
    token, _, _ = await add_token(store, ann)
    await add(
        store,
        *(run(ann.id, session, number, NOW + number, views=2) for number in range(3)),
        run(ann.id, token, 7, NOW + 7),
        run(ann.id, "ses_gone", 8, NOW + 8),
    )
    async with store.reading() as tx:
        found = await rows.list_sessions(tx, ann.id, None)
        devices = [await rows.find_device(tx, ann.id, one.session) for one in found]
        assert await rows.find_device(tx, "acc_other", session) == Device("", "")
    assert found == [
        Viewed("ses_gone", Device("", ""), NOW + 8, NOW + 8, 1),
        Viewed(token, Device("", "Sync"), NOW + 7, NOW + 7, 1),
        Viewed(session, Device("Browser/1.0", ""), NOW, NOW + 2, 6),
    ]
    assert devices == [one.device for one in found]


async def test_a_tenant_reads_only_what_was_opened_while_the_person_was_in_it(store: Store) -> None:
    ann = (await member(store)).id
    await add(store, run(ann, number=1, tenant="beta"), run(ann, number=2), run(ann, "ses_2", 3, tenant="beta"))
    async with store.reading() as tx:
        assert await rows.list_newest(tx, ann, "ses_1", "acme", None, 9) == ([run(ann, number=2)], False)
        assert [found.number for found in await rows.list_after(tx, ann, "acme", ("", 0, 0), 9)] == [2]
        assert [found.session for found in await rows.list_sessions(tx, ann, "acme")] == ["ses_1"]
        assert len(await rows.list_sessions(tx, ann, None)) == 2


async def test_views_are_deleted_after_their_time_and_with_the_account(store: Store) -> None:
    ann, bob = await member(store, password_hash=None), await member(store, "bob@example.com")
    await add(store, *(run(one.id, number=day, at=NOW - day * DAY) for one in (ann, bob) for day in range(4)))
    stale = STORED[0].stale
    assert callable(stale)
    async with store.transaction() as tx:
        assert await delete_batch(tx, page_views, stale(Longest(0, 0, 2 * DAY), NOW), 500) == 2
    async with store.transaction() as tx:
        assert await remove_unused(action_in(tx), ann)
    async with store.reading() as tx:
        assert not await rows.has_any(tx, ann.id)
        found, _ = await rows.list_newest(tx, bob.id, "ses_1", None, None, 9)
    assert [one.number for one in found] == [0, 1, 2]


async def test_of_a_person_who_is_erased_no_view_stays(store: Store) -> None:
    ann, bob = await member(store), (await member(store, "bob@example.com")).id
    await add(store, *(run(ann.id, number=number) for number in range(501)), run(bob))
    assert (await erase(store, ann.identifier, ann.id)).rows == {"page_views": 501}
    assert await count(store) == 1


async def test_the_switch_holds_for_the_next_request_of_sessions_and_tokens(store: Store, store_url: str) -> None:
    ann = await member(store)
    _, key = await add_session(store, ann)
    _, credential, _ = await add_token(store, ann)
    async with worker(store_url) as lookup:

        async def recorded() -> list[bool]:
            found = [await look(lookup, which) for which in (key, credential)]
            return [session.views is not None for session in found if session is not None]

        assert await recorded() == [False, False]
        async with store.transaction() as tx:
            assert await turn_on(action_in(tx), "acme", "An audit")
        assert await recorded() == [True, True]
        async with store.transaction() as tx:
            assert await turn_off(action_in(tx), "acme")
        assert await recorded() == [False, False]


async def test_the_switch_is_audited_in_the_tenants_log_and_once(store: Store) -> None:
    await member(store)
    async with store.transaction() as tx:
        await account_rows.add_tenant(tx, "beta", "Beta")
        assert await turn_on(action_in(tx), "acme", "An audit")
        assert not await turn_on(action_in(tx), "acme", "Another")
        assert not await turn_on(action_in(tx), "gone", "An audit")
        assert not await turn_off(action_in(tx), "beta")
    from gateway.audit import rows as audit_rows

    async with store.reading() as tx:
        assert await rows.list_switches(tx) == {"acme": Switch(NOW, "An audit")}
        assert await rows.find_switch(tx, "beta") is None
        (entry,) = await audit_rows.recent(tx, 9, "acme")
    assert (entry.event, entry.details["why"]) == (Event.PAGE_VIEWS_ENABLED, "An audit")


async def test_views_of_an_ended_session_stay_when_its_row_is_deleted(store: Store) -> None:
    from gateway.store.schema import sessions

    ann = await member(store)
    session, _ = await add_session(store, ann)
    await add(store, run(ann.id, session))
    async with store.transaction() as tx:
        await tx.execute(delete(sessions).where(sessions.c.id == session))
    assert len(await PageViewService(store, actions_of(store), 30).list_sessions(Reader(ann.id, None))) == 1


LEFT_OUT = LeftOut.of(("/static/", "*.css"))


def test_a_row_has_parts_of_one_time_and_address_and_an_older_one_has_views() -> None:
    seen = [view(NOW, "/a"), view(NOW, "/b", 303), view(NOW + 1, "/c", 0)]
    parts = [[NOW, "192.0.2.7", ["GET", "/a", 200, "GET", "/b", 303]], [NOW + 1, "192.0.2.7", ["GET", "/c", 0]]]
    assert read_views(encode(parts)) == read_views(encode(seen)) == seen


@pytest.mark.parametrize(
    ("method", "readings", "is_left_out"),
    [
        ("GET", ("/static/x",), True),
        ("HEAD", ("/a/b.css",), True),
        ("GET", ("/a/css",), False),
        ("GET", ("/staticx",), False),
        ("GET", ("/x/static/y",), False),
        ("POST", ("/static/x",), False),
        ("DELETE", ("/a.css",), False),
        ("GET", ("/static/x", "/static/../secret"), False),
    ],
)
def test_only_reading_static_files_is_left_out(method: str, readings: tuple[str, ...], is_left_out: bool) -> None:
    assert LEFT_OUT.has(method, readings) is is_left_out


def test_views_are_grouped_by_day() -> None:
    midnight = NOW // DAY * DAY
    views = [view(at) for at in (midnight + 1, midnight, midnight - 1, midnight - 3 * DAY)]
    assert [len(day) for day in by_day(views)] == [2, 1, 1]
    assert by_day([]) == []


@pytest.mark.parametrize("text", ["", "  ", "a" * 201, "a\nb", "\u202eabc"])
def test_a_reason_is_a_line_that_can_be_read(text: str) -> None:
    with pytest.raises(Unacceptable):
        check_reason(text)


def test_a_reason_is_trimmed() -> None:
    assert check_reason("  An investigation of e\u0301 ") == "An investigation of é"
