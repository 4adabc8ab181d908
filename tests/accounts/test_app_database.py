"""The application's own database is read, whatever state it is in, and nothing in it or beside it changes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from gateway.accounts.app_sync.database import UnreadableSource, name_of, read
from tests.support import postgres

TABLE = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT, full_name TEXT, pw TEXT, is_boss BOOLEAN, left_at INTEGER)"
)
ANN = "INSERT INTO users VALUES (1, 'ann@acme.example', ' Ann Ö. ', 'pbkdf2:sha256:1$a$b', TRUE, NULL)"
BOB = "INSERT INTO users VALUES (2, 'bob@acme.example', 'Bob', NULL, FALSE, 5)"
QUERY = """
-- who there is
SELECT mail AS email, full_name AS "Name", '' AS department, pw AS password_hash,
       CASE WHEN is_boss THEN 'admin' ELSE 'employee' END AS role  /* ; of two */
FROM users ORDER BY id;
"""
FOUND = [
    (
        1,
        {
            "email": "ann@acme.example",
            "name": "Ann Ö.",
            "department": "",
            "password_hash": "pbkdf2:sha256:1$a$b",
            "role": "admin",
        },
    ),
    (2, {"email": "bob@acme.example", "name": "Bob", "department": "", "password_hash": "", "role": "employee"}),
]
numbers = itertools.count(1)


@dataclass(frozen=True)
class AppDatabase:
    url: str
    path: Path | None = None


async def run(app: AppDatabase, *statements: str) -> list[tuple[object, ...]]:
    """Do as the application does; return what the last statement gives."""
    if app.path is not None:
        with contextlib.closing(sqlite3.connect(app.path, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]
    connection = await asyncpg.connect(app.url)
    try:
        return [[tuple(row) for row in await connection.fetch(statement)] for statement in statements][-1]
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AppDatabase:
    if request.param == "sqlite":
        made = AppDatabase(f"sqlite:///{tmp_path}/the app%20's #1?.db", tmp_path / "the app%20's #1?.db")
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        made = AppDatabase(server.create(f"app_{next(numbers)}"))
    await run(made, TABLE, ANN, BOB, "CREATE TABLE notes (text TEXT)")
    return made


async def test_rows_come_as_text_under_the_columns_names(app: AppDatabase) -> None:
    assert await read(app.url, QUERY) == FOUND
    assert await read(app.url, f"WITH everybody AS ({QUERY.replace(';', '')}) SELECT * FROM everybody") == FOUND
    assert await read(app.url, QUERY.replace("ORDER BY id", "WHERE id > 9")) == []


REFUSED = [
    ("", "has to be a single SELECT"),
    ("-- nothing but a remark", "has to be a single SELECT"),
    ("/* SELECT 1 */ DELETE FROM users", "has to be a single SELECT"),
    ("DELETE FROM users", "has to be a single SELECT"),
    ("UPDATE users SET pw = '' RETURNING mail AS email", "has to be a single SELECT"),
    ("EXPLAIN SELECT 1", "has to be a single SELECT"),
    ("ATTACH 'other.db' AS other", "has to be a single SELECT"),
    ("PRAGMA journal_mode = DELETE", "has to be a single SELECT"),
    ("COPY users TO PROGRAM 'true'", "has to be a single SELECT"),
    ("selection", "has to be a single SELECT"),
    (QUERY + "DELETE FROM users", "has to be a single SELECT"),
    (QUERY + "SELECT 1", "has to be a single SELECT"),
    ("WITH gone AS (SELECT 1) DELETE FROM users", "database says"),
    ("SELECT * FROM nothing", "database says"),
    ("SELECT nonsense(1)", "database says"),
    ("SELECT", "database says|name is missing|email is missing"),
    ("SELECT $1", "database says"),
    ("SELECT mail AS email, full_name AS name, pw AS department FROM users", "role is missing"),
    ("SELECT 1 AS email, 2 AS name, 3 AS department, 4 AS role, 5 AS password", "column 'password'; there are email"),
    ('SELECT 1 AS email, 2 AS name, 3 AS department, 4 AS role, 5 AS "EMAIL"', "gives the column email twice"),
]


@pytest.mark.parametrize(("query", "said"), REFUSED)
async def test_a_query_that_is_no_single_select_of_users_is_refused_and_changes_nothing(
    app: AppDatabase, query: str, said: str
) -> None:
    with pytest.raises(UnreadableSource, match=said):
        await read(app.url, query)
    assert await run(app, "SELECT id, pw FROM users ORDER BY id") == [(1, "pbkdf2:sha256:1$a$b"), (2, None)]


async def test_a_select_that_writes_is_refused_by_postgresql(postgres_server: postgres.Server) -> None:
    app = AppDatabase(postgres_server.create(f"app_{next(numbers)}"))
    await run(app, TABLE, ANN, "CREATE SEQUENCE steps")
    gone = "WITH gone AS (DELETE FROM users RETURNING mail) SELECT mail AS email FROM gone"
    for query in (gone, "SELECT nextval('steps')", "SELECT mail AS email INTO copied FROM users"):
        with pytest.raises(UnreadableSource, match="read-only transaction"):
            await read(app.url, query)
    assert await run(app, "SELECT id FROM users") == [(1,)]


async def test_a_server_that_is_away_is_said_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://app:hush-hush@/app?host={tmp_path}"
    with pytest.raises(UnreadableSource, match="database says") as caught:
        await read(url, QUERY)
    assert "hush" not in str(caught.value)
    assert name_of(url) == f"postgresql://{tmp_path}/app"
    assert name_of("postgres://app:hush@db.example:5433/app?sslmode=require") == "postgresql://db.example:5433/app"


@pytest.mark.parametrize("url", ["", "users.db", "mysql://x", "sqlite://", "sqlite:///"])
async def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(UnreadableSource, match="the application's database is sqlite:///"):
        await read(url, QUERY)


# SQLite: the file in each of its states.


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    """A database in WAL mode that nobody has open."""
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in (TABLE, ANN, BOB):
            connection.execute(statement)
    assert os.listdir(tmp_path) == ["app.db"]
    return path


@pytest.fixture
def at_work(wal: Path) -> Iterator[sqlite3.Connection]:
    """The same with the application at work: Bob's name is changed in the WAL."""
    connection = sqlite3.connect(wal, isolation_level=None)
    connection.execute("UPDATE users SET full_name = 'Bobby' WHERE id = 2")
    yield connection
    connection.close()


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="there is no file"):
        await read(f"sqlite:///{tmp_path}/none.db", QUERY)
    with pytest.raises(UnreadableSource, match="there is no file"):
        await read(f"sqlite:///{tmp_path}", QUERY)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no database, but long enough to look like one " * 100])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "app.db").write_bytes(content)
    with pytest.raises(UnreadableSource, match="database says"):
        await read(f"sqlite:///{tmp_path}/app.db", QUERY)
    assert everything_in(tmp_path) == {"app.db": content}


async def test_reading_a_database_at_rest_leaves_nothing_beside_it(wal: Path) -> None:
    before = everything_in(wal.parent)
    assert await read(f"sqlite:///{wal}", QUERY) == FOUND
    assert everything_in(wal.parent) == before


async def test_reading_beside_the_application_sees_what_it_committed(wal: Path, at_work: sqlite3.Connection) -> None:
    at_work.execute("BEGIN IMMEDIATE")
    at_work.execute("DELETE FROM users")
    found = await read(f"sqlite:///{wal}", QUERY)
    assert [row["name"] for _, row in found] == ["Ann Ö.", "Bobby"]
    at_work.execute("COMMIT")
    assert await read(f"sqlite:///{wal}", QUERY) == []
    assert sorted(os.listdir(wal.parent)) == ["app.db", "app.db-shm", "app.db-wal"]


async def test_a_copy_with_changes_that_nobody_works_on_is_refused_and_left_alone(
    wal: Path, at_work: sqlite3.Connection
) -> None:
    copy = wal.parent / "copy"
    copy.mkdir()
    for name in ("app.db", "app.db-wal"):
        shutil.copy(wal.parent / name, copy / name)
    before = everything_in(copy)
    with pytest.raises(UnreadableSource, match="start the application"):
        await read(f"sqlite:///{copy}/app.db", QUERY)
    assert everything_in(copy) == before


async def test_a_writer_in_the_old_journal_mode_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (TABLE, ANN, BOB, "BEGIN IMMEDIATE", "DELETE FROM users"):
            connection.execute(statement)
        assert await read(f"sqlite:///{path}", QUERY) == FOUND
        connection.execute("ROLLBACK")


async def test_bytes_are_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    query = "SELECT 1 AS email, x'416e6e' AS name, NULL AS department, x'ff' AS role"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert await read(f"sqlite:///{path}", query) == [
        (1, {"email": "1", "name": "Ann", "department": "", "role": "\ufffd"})
    ]
