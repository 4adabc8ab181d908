"""What counts no more is forgotten, in small steps; what counts stays."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Table, func, insert, select, text

from gateway.accounts.csv_import.tables import import_rows, imports
from gateway.accounts.links import mailed_links
from gateway.app import retention as purge
from gateway.app.retention import Purge, batch_of, stale_rows
from gateway.browsers.rows import browser_cookies, browsers
from gateway.dispatch.forms.rows import kept_forms
from gateway.factors.passkey.rows import answered_challenges
from gateway.ops.blocks import blocks
from gateway.ops.conditions import conditions
from gateway.ops.rows import alarms
from gateway.page_views.batches import page_view_batches
from gateway.page_views.rows import page_views
from gateway.scim.token_rows import scim_tokens
from gateway.sessions.attempt import attempts
from gateway.sessions.rows import KNOWN_SECONDS, forgotten_devices
from gateway.settings import Settings
from gateway.sso.origins import sso_logouts, sso_sessions
from gateway.sso.waits import sso_waits
from gateway.store import Store
from gateway.store.revision import changes
from gateway.store.schema import accounts, email_changes, limits, magic_links, outbox, sessions, streaks, tenants
from gateway.tokens.rows import api_token_networks, api_tokens

NOW = 1_800_000_000
DAY = 86_400


@pytest.fixture(autouse=True)
async def account(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.execute(insert(tenants).values(slug="acme", name="Acme", status="active"))
        await tx.execute(
            insert(accounts).values(
                id="acc_1", identifier="a@x.example", name="A", tenant="acme", role="employee", modules="",
                status="active", created_at=1,
            )
        )  # fmt: skip


def session(name: str, started: int, ended: int | None) -> dict[str, object]:
    return {
        "id": name, "token_key": name.encode(), "account": "acc_1", "proofs": "[]", "address": "", "user_agent": "",
        "started_at": started, "seen_at": started, "ended_at": ended,
    }  # fmt: skip


def mail(name: str, sent: int | None, created: int = 1) -> dict[str, object]:
    return {
        "id": name, "template": "t", "recipient": "r", "content": b"", "created_at": created, "due_at": 1, "tries": 1,
        "sent_at": sent, "trouble": "",
    }  # fmt: skip


def link(name: str, created: int) -> dict[str, object]:
    return {"id": name, "token_key": name.encode(), "account": "acc_1", "created_at": created}


def work(name: str, created: int, started_at: int | None = None, finished_at: int | None = None) -> dict[str, object]:
    counts = dict.fromkeys(("bytes", "total", "invited", "skipped", "refused", "due_at"), 0)
    return {"id": name, "created_at": created, "started_at": started_at, "finished_at": finished_at, **counts}


def condition(machine: str, checked: int) -> dict[str, object]:
    return {"machine": machine, "part": "mail", "level": "good", "problem": "", "since": 1, "checked_at": checked}


def work_row(of: str) -> dict[str, object]:
    texts = dict.fromkeys(("email", "identifier", "name", "tenant", "role", "modules", "department", "reason"), "")
    return {"import_id": of, "line": 2, "state": "waiting", **texts}


def changed(name: str, asked: int) -> dict[str, object]:
    return {"id": name, "account": "acc_1", "old": "a@x", "new": "b@x", "asked_by": "", "asked_at": asked, "due_at": 1}


def waited(key: bytes, began: int) -> dict[str, object]:
    return {
        "key": key, "provider": "idp_1", "browser": b"", "target": "/", "session": "", "is_trial": False,
        "began_at": began,
    }  # fmt: skip


def came(holder: str, at: int) -> dict[str, object]:
    return {
        "holder": holder, "provider": "idp_1", "sid": "1", "subject": "a", "hint": "", "account": "acc_1", "at": at,
    }  # fmt: skip


def token(name: str, expires: int) -> dict[str, object]:
    texts = dict.fromkeys(("kind", "name", "role", "methods", "paths", "networks"), "")
    return {"id": name, "account": "acc_1", "digest": name.encode(), "created_at": 1, "expires_at": expires, **texts}


def used_from(token: str) -> dict[str, object]:
    return {"token": token, "network": "192.0.2.0/24", "account": "acc_1", "first_at": 1}


def left(key: bytes, at: int) -> dict[str, object]:
    return {"provider": "idp_1", "key": key, "subject": "a", "sid": "", "at": at}


def expired(key: bytes, at: int) -> dict[str, object]:
    token = {"id": f"sct_{key.decode()}", "tenant": "acme", "key": key, "hint": "otw_scim_abcd", "created_by": "adam"}
    return {**token, "created_at": 1, "expires_at": at}


def views(at: int) -> dict[str, object]:
    return {
        "account": "acc_1", "session": "ses_1", "at": at, "number": 1, "tenant": "acme", "first_at": at, "size": 1,
        "views": "",
    }  # fmt: skip


def batch(number: int, at: int, size: int) -> dict[str, object]:
    return {"number": number, "at": at, "size": size, "lines": ""}


LONG_AGO = NOW - KNOWN_SECONDS - 1
STALE: dict[Table, list[dict[str, object]]] = {
    limits: [
        {"key": "stale", "failures": "", "locked_until": 0, "changed_at": NOW - 5_000},
        {"key": "forgot:a@x.example", "failures": "", "locked_until": 0, "changed_at": NOW - 2 * DAY},
        {"key": "mail-to:stale", "failures": "", "locked_until": 0, "changed_at": NOW - DAY - 1},
    ],
    email_changes: [changed("stale", NOW - 16 * DAY)],
    attempts: [{**link("stale", NOW - DAY - 901), "proofs": "[]"} | {"started_at": NOW - DAY - 901}],
    magic_links: [{**link("stale", NOW - 2 * DAY), "holder": "h", "target": "/"}],
    mailed_links: [
        {**link("stale", NOW - 9 * DAY), "purpose": "reset", "identifier": "a@x.example", "content": b""}
    ],
    browsers: [{"key": b"stale", "account": "acc_1", "seen_at": NOW - 401 * DAY}],
    browser_cookies: [{"browser": b"stale", "name": "a", "domain": "", "path": "/x"}],
    kept_forms: [{**link("stale", 0), "browser_key": b"", "content": b"", "kept_at": NOW - 601}],
    outbox: [mail("stale", NOW - 31 * DAY)],
    sessions: [session("stale", LONG_AGO, LONG_AGO + 60), session("stale-open", LONG_AGO, None)],
    streaks: [{"account": "acc_1", "factor": "totp", "origin": "phone", "failures": 3, "wait_until": LONG_AGO}],
    forgotten_devices: [{"account": "acc_1", "device": "stale", "at": LONG_AGO}],
    blocks: [{"network": "192.0.2.0/24", "until": NOW, "created_at": 1, "created_by": "otto"}],
    conditions: [condition("old", NOW - DAY - 1)],
    alarms: [{"key": "stale", "seen_at": NOW - 2 * DAY}],
    imports: [work("never started", NOW - 3 * DAY), work("finished", NOW - 3 * DAY, started_at=1, finished_at=2)],
    import_rows: [work_row("never started"), work_row("finished")],
    answered_challenges: [{"key": b"stale", "expires_at": NOW - 1}],
    sso_waits: [waited(b"stale", NOW - 601)],
    sso_sessions: [came("stale", NOW - 32 * DAY)],
    sso_logouts: [left(b"stale", NOW - 3_601)],
    scim_tokens: [expired(b"stale", NOW - 30 * DAY - 1)],
    api_tokens: [token("stale", NOW - 91 * DAY)],
    api_token_networks: [used_from("stale")],
    page_views: [views(NOW - 31 * DAY)],
    page_view_batches: [batch(1, NOW - 31 * DAY, 5), batch(2, NOW - 3_601, 0)],
    changes: [{"number": -2, "stamp": "", "account": "acc_1", "tenant": "", "at": NOW - 3_601}],
}  # fmt: skip
FRESH: dict[Table, list[dict[str, object]]] = {
    email_changes: [changed("fresh", NOW - 14 * DAY)],
    limits: [
        {"key": "fresh", "failures": "", "locked_until": 0, "changed_at": NOW - 60},
        {"key": "mail-to:fresh", "failures": "", "locked_until": 0, "changed_at": NOW - 5_000},
        {"key": "locked", "failures": "", "locked_until": NOW + 60, "changed_at": NOW - 5_000},
        {"key": "forgot:a@x.example|192.0.2.7", "failures": "", "locked_until": 0, "changed_at": NOW - 5_000},
    ],
    attempts: [{**link("fresh", 0), "proofs": "[]", "started_at": NOW - 60}],
    magic_links: [{**link("fresh", NOW - 60), "holder": "h", "target": "/"}],
    mailed_links: [{**link("fresh", NOW - 6 * DAY), "purpose": "invitation", "identifier": "a", "content": b""}],
    browsers: [{"key": b"fresh", "account": "acc_1", "seen_at": NOW - 399 * DAY}],
    browser_cookies: [{"browser": b"fresh", "name": "a", "domain": "", "path": "/x"}],
    kept_forms: [{**link("fresh", 0), "browser_key": b"", "content": b"", "kept_at": NOW - 60}],
    outbox: [mail("fresh", NOW - 29 * DAY), mail("waiting", None), mail("old-waiting", None, 1)],
    sessions: [session("known-device", NOW - 80 * DAY, NOW - 79 * DAY), session("open", NOW - 60, None)],
    forgotten_devices: [{"account": "acc_1", "device": "fresh", "at": NOW - 60}],
    blocks: [{"network": "198.51.100.0/24", "until": NOW + 1, "created_at": 1, "created_by": "otto"}],
    conditions: [condition("new", NOW - DAY)],
    alarms: [{"key": "fresh", "seen_at": NOW - 60}],
    imports: [work("fresh", NOW - 60), work("under way", NOW - 3 * DAY, started_at=1)],
    import_rows: [work_row("fresh"), work_row("under way")],
    answered_challenges: [{"key": b"fresh", "expires_at": NOW + 1}],
    sso_waits: [waited(b"fresh", NOW - 599)],
    sso_sessions: [came("fresh", NOW - 29 * DAY)],
    sso_logouts: [left(b"fresh", NOW - 3_599)],
    scim_tokens: [expired(b"fresh", NOW - 30 * DAY + 1)],
    api_tokens: [token("fresh", NOW - 89 * DAY)],
    api_token_networks: [used_from("fresh")],
    page_views: [views(NOW - 29 * DAY)],
    page_view_batches: [batch(3, NOW - 29 * DAY, 5), batch(4, NOW - 3_599, 0)],
    changes: [{"number": -1, "stamp": "", "account": "acc_1", "tenant": "", "at": NOW - 3_599}],
    streaks: [
        {"account": "acc_1", "factor": "totp", "origin": "laptop", "failures": 3, "wait_until": NOW},
        {"account": "acc_1", "factor": "totp", "origin": "", "failures": 99, "wait_until": LONG_AGO},
    ],
}


async def fill(store: Store, rows: dict[Table, list[dict[str, object]]]) -> None:
    async with store.transaction() as tx:
        for table, values in rows.items():
            for row in values:
                names = {column.name for column in table.columns}
                await tx.execute(insert(table).values({key: row[key] for key in row if key in names}))


async def count(store: Store, table: Table) -> int:
    async with store.reading() as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


def test_every_table_with_stale_rows_is_tried_here() -> None:
    assert {table for table, _ in stale_rows(Settings(), NOW)} == set(STALE)


async def test_what_counts_no_more_is_forgotten_and_nothing_else(store: Store) -> None:
    await fill(store, STALE)
    await fill(store, FRESH)
    removed = await Purge(store, Settings()).run(NOW)
    removed["changes"] -= 1  # the one that a new store begins with
    assert removed == {table.name: len(rows) for table, rows in STALE.items()}
    for table, rows in FRESH.items():
        last = 1 if table is changes else 0  # that of a session that was deleted open: the last one stays
        assert await count(store, table) == len(rows) + last, table.name
    assert set((await Purge(store, Settings()).run(NOW)).values()) == {0}


async def test_the_last_session_of_each_account_stays_to_show_when_it_was_used(store: Store) -> None:
    async with store.transaction() as tx:
        other = select(accounts).where(accounts.c.id == "acc_1")
        values = dict((await tx.execute(other)).one()._mapping)
        await tx.execute(insert(accounts).values({**values, "id": "acc_2", "identifier": "b@x.example"}))
    same = [session(name, LONG_AGO, LONG_AGO) for name in ("s1", "s2")]
    older = [session("s0", LONG_AGO - 5, LONG_AGO), {**session("s3", LONG_AGO - 9, None), "account": "acc_2"}]
    await fill(store, {sessions: [*same, *older]})
    assert (await Purge(store, Settings()).run(NOW))["sessions"] == 2
    async with store.reading() as tx:
        left = await tx.execute(select(sessions.c.id).order_by(sessions.c.id))
        assert list(left.scalars()) == ["s2", "s3"]


@pytest.mark.usefixtures("unhurried")
async def test_workers_that_clean_up_at_once_share_the_work(store: Store) -> None:
    await fill(store, STALE)
    await fill(store, {sessions: FRESH[sessions]})
    done = await asyncio.gather(*(Purge(store, Settings()).run(NOW) for _ in range(4)))
    removed = {name: sum(each[name] for each in done) for name in done[0]}
    removed["changes"] -= 1  # the one that a new store begins with
    assert removed == {table.name: len(rows) for table, rows in STALE.items()}


async def test_a_sign_in_waits_for_a_batch_and_not_for_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write while it goes on: each finds some of the rows gone and some still there."""
    monkeypatch.setattr(purge, "BATCH", 40)
    async with store.transaction() as tx:
        stale = [session(f"ses_{n}", LONG_AGO, LONG_AGO) for n in range(1_000)]
        await tx.execute(insert(sessions), [*stale, session("last", NOW, None)])
    left = []
    purging = asyncio.ensure_future(Purge(store, Settings()).run(NOW))
    while not purging.done():
        async with store.transaction() as tx:
            await tx.execute(insert(limits).values(key=str(len(left)), failures="", locked_until=0, changed_at=NOW))
            left.append((await tx.execute(select(func.count()).select_from(sessions))).scalar_one())
        await asyncio.sleep(0.01)
    assert (await purging)["sessions"] == 1_000
    assert len({number for number in left if 1 < number < 1_001}) > 10


async def test_the_rows_of_a_batch_are_chosen_once_whatever_the_plan(store: Store) -> None:
    """PostgreSQL joins them to the table as its statistics say, which may be those of an empty one."""
    async with store.transaction() as tx:
        await tx.execute(insert(sessions), [session(f"ses_{n}", LONG_AGO, LONG_AGO) for n in range(50)])
    statement = batch_of(sessions, sessions.c.started_at < NOW, 5)
    async with store.transaction() as tx:
        dialect = (await tx.execute(select(1))).context.dialect
        if dialect.name == "postgresql":
            for kind in ("hashjoin", "mergejoin", "material", "hashagg", "sort"):
                await tx.execute(text(f"SET LOCAL enable_{kind} = off"))
            sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
            plan = [str(row[0]) for row in await tx.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}")]
            assert ["loops=1)" in line for line in plan if "LockRows" in line] == [True], plan
        else:
            assert len((await tx.execute(statement)).all()) == 5
    async with store.reading() as tx:
        assert (await tx.execute(select(func.count()).select_from(sessions))).scalar_one() == 45
