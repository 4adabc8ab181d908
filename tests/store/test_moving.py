"""A copied store is the same store: every table, every kind of value, from each engine to each."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Table,
    create_engine,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy import inspect as look_at

from gateway.app import moving
from gateway.app.moving import OWN, TABLES, Copied, Uncopyable, copy
from gateway.audit import rows as audit_rows
from gateway.audit.verify import Broken, Whole
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.store import Store, postgresql
from gateway.store.copying import InUse
from gateway.store.location import SQLite, locate
from gateway.store.migrate import SchemaTooNew, migrate
from gateway.store.readiness import NotReady
from gateway.store.schema import accounts, audit, tenants, totp
from gateway.store.version import NEWEST, VERSION_TABLE, schema_since
from tests.support import postgres

ENGINES = ("sqlite", "postgresql")
SECRETS = [Secret(bytes(range(48)))]
NOW = 1_800_000_000
CHECKED = {"role": "employee", "status": "active", "kind": "checkpoint"}
BATCH = 20  # rows in memory at once
MANY = 3 * BATCH // 2
numbers = itertools.count(1)

Rows = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Pair:
    source: str
    target: str

    def copy(self, tell: Callable[[str, int, int], None] = lambda what, done, of: None) -> Copied:
        return copy(locate(self.source), locate(self.target), SECRETS, NOW, tell)


@pytest.fixture(params=[ENGINES, ENGINES[::-1]], ids=" to ".join)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path, postgres_server: postgres.Server,
    postgres_copies: postgres.Copies,
) -> Iterator[Pair]:  # fmt: skip
    """A migrated source without rows, and a target where nothing is yet."""
    given: list[str] = []

    def make(engine: str, role: str) -> str:
        path = tmp_path / role / "gateway.db"
        if engine == "sqlite":
            path.parent.mkdir()
            if role == "source":
                shutil.copy(migrated_sqlite, path)
            return f"sqlite:///{path}"
        given.append(f"moving_{next(numbers)}")
        return postgres_server.create(given[-1], template="migrated" if role == "source" else "template0")

    from_engine, to_engine = request.param
    yield Pair(make(from_engine, "source"), make(to_engine, "target"))
    for name in given:
        postgres_server.drop(name)


def within(url: str, work: Callable[[Connection], Any]) -> Any:
    async def run() -> Any:
        store = Store.open(url)
        try:
            async with store.transaction() as tx:
                return await tx.run_sync(work)
        finally:
            await store.close()

    return asyncio.run(run())


def rows_of(url: str) -> Rows:
    """Return the rows of each copied table, in no order of their own."""

    def read(connection: Connection) -> Rows:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr) for table in TABLES
        }

    found = within(url, read)
    assert isinstance(found, dict)
    return found


def value_for(column: Column[Any], at: int) -> object:
    """Return a value that is hard to copy, another one for each row where it must be."""
    reference = next(iter(column.foreign_keys), None)
    if reference is not None:
        return value_for(reference.column, at)
    if column.nullable and at == 1:
        return None
    if column.name in CHECKED:
        return CHECKED[column.name]
    if column is accounts.c.is_service:
        return False  # one has no password
    if isinstance(column.type, Boolean):
        return at % 2 == 0
    if isinstance(column.type, BigInteger):
        return at if column.primary_key else 2**63 - 1 - at
    if isinstance(column.type, Integer):
        return at if column.primary_key else 2**31 - 1 - at
    if isinstance(column.type, LargeBinary):
        return bytes([0, at, 255, 39, 92])
    return f"{at}é\U0001f600'\\%:x\n" if column.primary_key or column.unique else f"\tZoë{at} "[: column.type.length]


def fill(connection: Connection) -> None:
    for table in reversed(TABLES):
        connection.execute(delete(table))
    for table in TABLES:
        rows = [{column.name: value_for(column, at) for column in table.columns} for at in range(3)]
        connection.execute(insert(table), rows)


@pytest.fixture
def filled(pair: Pair) -> Pair:
    """A source with rows in every table, whose audit log is no chain."""
    within(pair.source, fill)
    return pair


@pytest.fixture
def ready(filled: Pair, migrated_sqlite: Path, postgres_server: postgres.Server) -> Pair:
    """The target has the schema already, and nobody in it."""
    location = locate(filled.target)
    if isinstance(location, SQLite):
        shutil.copy(migrated_sqlite, location.path)
    else:
        name = filled.target.partition("?")[0].rpartition("/")[2]
        postgres_server.drop(name)
        postgres_server.create(name, template="migrated")
    return filled


@pytest.mark.parametrize("pair", list(itertools.product(ENGINES, ENGINES)), ids=" to ".join, indirect=True)
def test_every_table_is_copied_or_says_that_it_is_not(filled: Pair) -> None:
    copied = filled.copy()
    rows = rows_of(filled.source)
    assert rows_of(filled.target) == rows
    assert copied.rows == {name: len(rows[name]) for name in rows}
    assert set(copied.rows.values()) == {3}

    assert names_of(filled.target) == {*copied.rows, *OWN, VERSION_TABLE} == names_of(filled.source)


def names_of(url: str) -> set[str]:
    async def read() -> set[str]:
        store = Store.open(url)
        async with store.reading() as tx:
            names = await tx.run_sync(lambda connection: look_at(connection).get_table_names())
        await store.close()
        return set(names)

    return asyncio.run(read())


def test_a_broken_audit_log_is_copied_as_it_is_and_reported(filled: Pair) -> None:
    assert isinstance(filled.copy().audit, Broken)


def test_no_copied_table_numbers_its_rows_itself() -> None:
    """Such a table's counter would have to be set after a copy, or the next rows would collide with the copied ones."""
    assert [table.name for table in TABLES if table._autoincrement_column is not None] == []
    assert len(TABLES) > 25


def test_triggers_work_in_the_copy_and_did_not_while_it_was_made(pair: Pair) -> None:
    def enrol(connection: Connection) -> None:
        connection.execute(insert(tenants).values(slug="t", name="T", status="active"))
        connection.execute(insert(accounts).values({**ACCOUNT, "enrolled": ""}))
        connection.execute(insert(totp).values(TOTP))
        connection.execute(accounts.update().values(enrolled="as it was"))

    def enrolled(connection: Connection) -> Any:
        return connection.execute(select(accounts.c.enrolled)).scalar_one()

    def leave(connection: Connection) -> None:
        connection.execute(accounts.update().values(enrolled="totp"))
        connection.execute(delete(totp))

    within(pair.source, enrol)
    pair.copy()
    assert within(pair.target, enrolled) == "as it was"
    for url in (pair.source, pair.target):
        within(url, leave)
        assert within(url, enrolled) == ""


ACCOUNT = {
    "id": "acc_1", "identifier": "a@x.example", "name": "A", "tenant": "t", "role": "admin", "modules": "",
    "status": "active", "created_at": 1,
}  # fmt: skip
TOTP = {"account": "acc_1", "secret": b"sealed", "confirmed_at": 1, "last_step": 0, "drift": 0}


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH", BATCH)


@pytest.mark.usefixtures("few_at_once")
def test_the_chain_is_verified_and_goes_on_in_the_copy(pair: Pair) -> None:
    asyncio.run(record(pair.source, MANY))
    copied = pair.copy()
    assert isinstance(copied.audit, Whole)
    assert copied.audit.rows == copied.rows["audit"] == MANY
    asyncio.run(record(pair.target, 1))
    assert within(pair.target, lambda connection: connection.execute(select(audit.c.id)).all())[-1] == (MANY + 1,)


async def record(url: str, count: int) -> None:
    store = Store.open(url)
    async with store.transaction() as tx:
        for _ in range(count):
            await audit_rows.record(tx, Entry(Event.LOGIN, Outcome.SUCCESS, NOW, "erin@acme.example"))
    await store.close()


@pytest.mark.usefixtures("few_at_once")
def test_progress_is_told_in_pieces(pair: Pair) -> None:
    asyncio.run(record(pair.source, MANY))
    told: list[tuple[str, int, int]] = []
    pair.copy(lambda *said: told.append(said))
    assert [done for what, done, of in told if what == "audit"] == [0, BATCH, MANY]
    assert ("audit entries verified", MANY, MANY) in told


class Interrupted(Exception):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("at", [TABLES[0].name, TABLES[-1].name, "audit entries verified"])
def test_whatever_interrupts_a_copy_the_target_is_as_it_was(pair: Pair, at: str) -> None:
    def interrupt(what: str, done: int, of: int) -> None:
        if what == at:
            raise Interrupted

    asyncio.run(record(pair.source, 3))
    with pytest.raises(Interrupted):
        pair.copy(interrupt)
    location = locate(pair.target)
    assert location.is_empty if isinstance(location, SQLite) else names_of(pair.target) == set()
    pair.copy()
    assert rows_of(pair.target) == rows_of(pair.source)


@pytest.mark.parametrize("table", [accounts, tenants, audit], ids=lambda table: table.name)
def test_a_store_in_use_is_never_overwritten(filled: Pair, table: Table) -> None:
    filled.copy()

    def leave_one(connection: Connection) -> None:
        needed = {table, tenants} if table is accounts else {table}
        for other in reversed(TABLES):
            if other not in needed:
                connection.execute(delete(other))

    within(filled.target, leave_one)
    before = rows_of(filled.target)
    with pytest.raises(Uncopyable, match="only an empty store is copied to"):
        filled.copy()
    assert rows_of(filled.target) == before


def test_a_store_without_people_may_be_the_target(ready: Pair) -> None:
    copied = ready.copy()
    assert rows_of(ready.target) == rows_of(ready.source)
    assert (copied.former is not None) is isinstance(locate(ready.target), SQLite)


@pytest.mark.parametrize("which", ["source", "target"])
def test_a_store_that_is_open_elsewhere_is_refused_even_if_idle(
    ready: Pair, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold_and_copy() -> None:
        store = Store.open(getattr(ready, which))
        async with store.reading() as tx:
            await tx.execute(text("SELECT 1"))
        with monkeypatch.context() as hurried, pytest.raises(InUse, match="stop"):
            hurried.setattr("gateway.store.alone.LEAVING_SECONDS", 0.2)
            await asyncio.to_thread(ready.copy)
        await store.close()

    asyncio.run(hold_and_copy())
    ready.copy()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a lock gives up soon."""
    soon = postgresql.Limits(statement=60, lock=0.2, idle=60)
    monkeypatch.setattr(postgresql, "USUAL", soon)
    monkeypatch.setattr(postgresql, "UNHURRIED", soon)
    monkeypatch.setattr("gateway.store.engine.BUSY_SECONDS", 0.2)


@pytest.mark.usefixtures("hurried")
def test_nobody_can_use_the_source_while_it_is_copied(filled: Pair) -> None:
    outcomes: list[str] = []

    def intrude(what: str, done: int, of: int) -> None:
        if (what, done) == ("tenants", 3):
            outcomes.append(outcome_of(lambda: rows_of(filled.source)))

    filled.copy(intrude)
    assert outcomes == ["StoreUnavailable"]


@pytest.mark.usefixtures("hurried")
def test_a_gateway_that_starts_on_the_target_meanwhile_waits_or_keeps_what_it_has(filled: Pair) -> None:
    """On PostgreSQL it waits for the migration lock. A file that it makes is not replaced."""
    outcomes: list[str] = []

    def start(connection: Connection) -> None:
        connection.execute(insert(tenants).values(slug="new", name="New", status="active"))

    def intrude(what: str, done: int, of: int) -> None:
        if (what, done) == ("tenants", 3):
            outcomes.append(outcome_of(lambda: migrate(filled.target)))
            if outcomes == ["done"]:
                outcome_of(lambda: within(filled.target, start))

    if isinstance(locate(filled.target), SQLite):
        with pytest.raises(Uncopyable, match="has 1 tenants"):
            filled.copy(intrude)
        assert outcomes == ["done"]
    else:
        filled.copy(intrude)
        assert outcomes == ["NotReady"]
        assert rows_of(filled.target) == rows_of(filled.source)


def outcome_of(work: Callable[[], object]) -> str:
    """Do it in a thread of its own, where there is no event loop; return the name of the exception, or "done"."""
    with ThreadPoolExecutor(1) as thread:
        error = thread.submit(work).exception()
    return "done" if error is None else type(error).__name__


def test_an_older_source_is_to_be_migrated_first(filled: Pair) -> None:
    set_version(filled.source, "0011")
    with pytest.raises(NotReady, match="otium-gateway migrate"):
        filled.copy()


@pytest.mark.parametrize("which", ["source", "target"])
@pytest.mark.parametrize("since", [NEWEST, "9999"], ids=["usable", "unusable"])
def test_a_newer_store_is_left_alone_even_if_this_version_can_use_it(ready: Pair, which: str, since: str) -> None:
    """It may have columns that would be lost."""
    url = getattr(ready, which)
    set_version(url, "9999")
    within(url, lambda connection: connection.execute(update(schema_since).values(revision=since)))
    with pytest.raises((NotReady, SchemaTooNew), match="9999"):
        ready.copy()


def set_version(url: str, version: str) -> None:
    within(url, lambda connection: connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")))


def test_a_source_that_is_not_there_is_named(pair: Pair) -> None:
    with pytest.raises(NotReady, match="there is no store at"):
        Pair(pair.target, pair.source).copy()


def test_a_store_is_not_copied_to_itself(pair: Pair) -> None:
    with pytest.raises(Uncopyable, match="same store"):
        Pair(pair.source, pair.source).copy()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "A\x00B"}, "name of row 'acc_1' contains the character NUL"),
        ({"name": "A" * 201}, "name of row 'acc_1' is longer than 200 characters"),
        ({"tenant": "nowhere"}, "foreign key"),
    ],
    ids=["NUL", "too long", "nothing to refer to"],
)
def test_what_only_sqlite_holds_is_named_with_its_row(
    sqlite_url: str, postgres_server: postgres.Server, change: dict[str, str], reason: str
) -> None:
    engine = create_engine(sqlite_url)  # without foreign keys, as any other program may write to the file
    with engine.begin() as connection:
        connection.execute(insert(tenants).values(slug="t", name="T", status="active"))
        connection.execute(insert(accounts).values({**ACCOUNT, **change}))
    engine.dispose()
    target = postgres_server.create("unsuitable")
    with pytest.raises(Uncopyable, match=reason):
        Pair(sqlite_url, target).copy()
    postgres_server.drop("unsuitable")
