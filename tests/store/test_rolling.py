"""Two versions on one store, while machine after machine is upgraded: what a migration may do, and what we do after one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, text

from gateway.store.migrate import settings
from gateway.store.version import NEWEST, STEPS, read_since
from tests.conftest import ENGINES
from tests.support import postgres
from tests.support.any_schema import writing
from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

FIRST = "0014"  # with it the rule begins
STEPS_SINCE = sorted(path.name[:4] for path in STEPS.glob("[0-9]*.py") if path.name[:4] >= FIRST)


# The rule: a step adds, and takes nothing away that the version before reads. What that version has stopped to read
# may go one version later, in a step that says from which schema on the store can still be used (schema_since).


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table: type, whether it may be NULL, whether it has a default. `rules` are its constraints."""

    columns: Mapping[str, tuple[str, bool, bool]]
    rules: frozenset[str]


def look(connection: Connection) -> dict[str, Columns]:
    found = inspect(connection)
    kinds = (found.get_multi_check_constraints(), found.get_multi_unique_constraints(), found.get_multi_foreign_keys())
    return {
        table: Columns(
            {
                column["name"]: (str(column["type"]), bool(column["nullable"]), column["default"] is not None)
                for column in columns
            },
            frozenset(str(sorted(rule.items(), key=str)) for rules in kinds for rule in rules.get((schema, table), ())),
        )
        for (schema, table), columns in found.get_multi_columns().items()
    }


def taken_away(before: dict[str, Columns], after: dict[str, Columns]) -> list[str]:
    """Return what a program that knows the schema `before` can't do with `after`."""
    lost = [table for table in before if table not in after]
    for table in before.keys() & after.keys():
        old, new = before[table].columns, after[table].columns
        lost += [f"{table}.{name}" for name in old if old[name][:2] != new.get(name, ("", False, False))[:2]]
        lost += [f"{table}.{name} NOT NULL" for name in new.keys() - old.keys() if new[name][1:] == (False, False)]
        lost += [f"{table} {rule}" for rule in after[table].rules - before[table].rules]
    return lost


def upgrade(connection: Connection, revision: str) -> None:
    config = settings()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def step(url: str, revision: str) -> None:
    async with writing(url) as connection:
        await connection.run_sync(upgrade, revision)


# Constraints that the version before can't violate, and why.
HARMLESS = {"ck_accounts_service": "every row that it adds has the default of is_service, whatever else is in it"}


Schema = tuple[dict[str, Columns], str | None]  # and since which version the store can be used


async def climb(url: str) -> dict[str, Schema]:
    """Return the schema at each step, from the one before FIRST."""
    found: dict[str, Schema] = {}
    for revision in (before(FIRST), *STEPS_SINCE):
        await step(url, revision)
        async with writing(url) as connection:
            found[revision] = await connection.run_sync(look), await connection.run_sync(read_since)
    return found


def before(revision: str) -> str:
    return f"{int(revision) - 1:04}"


@pytest.fixture(scope="module", params=ENGINES)
def schemas(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Schema]:
    if request.param == "sqlite":
        return asyncio.run(climb(f"sqlite:///{tmp_path_factory.mktemp('steps')}/store.db"))
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return asyncio.run(climb(server.create("steps")))


@pytest.mark.parametrize("revision", STEPS_SINCE)
def test_a_migration_takes_nothing_away_that_the_version_before_reads(
    schemas: dict[str, Schema], revision: str
) -> None:
    (old, since), (new, says) = schemas[before(revision)], schemas[revision]
    lost = [what for what in taken_away(old, new) if not any(name in what for name in HARMLESS)]
    assert says is not None
    assert says <= revision
    if lost:
        assert since is not None
        assert says > since, f"{revision} takes {lost} away; expand first, and contract one version later"


def test_the_rule_is_tried_on_every_step_up_to_the_newest() -> None:
    assert STEPS_SINCE[-1] == NEWEST


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DROP TABLE browser_cookies", "browser_cookies"),
        ("ALTER TABLE accounts RENAME COLUMN name TO called", "accounts.name"),
        ("ALTER TABLE totp DROP COLUMN drift", "totp.drift"),
        ("ALTER TABLE accounts ADD COLUMN born integer CHECK (born > 0)", "accounts ["),
        ("ALTER TABLE accounts ADD COLUMN born integer", None),
        ("ALTER TABLE accounts ADD COLUMN born integer NOT NULL DEFAULT 0", None),
        ("CREATE INDEX later ON accounts (name)", None),
    ],
)
async def test_what_a_migration_takes_away_is_noticed(store_url: str, statement: str, lost: str | None) -> None:
    async with writing(store_url) as connection:
        before = await connection.run_sync(look)
        await connection.exec_driver_sql(statement)
        found = taken_away(before, await connection.run_sync(look))
    if lost is None:
        assert found == []
    else:
        assert any(what.startswith(lost) for what in found)


# What we do on a store that a later version has migrated.

LATER = (  # as a later version's step may look
    "ALTER TABLE accounts ADD COLUMN pronouns varchar(40)",
    "ALTER TABLE sessions ADD COLUMN place varchar(40) NOT NULL DEFAULT ''",
    "CREATE TABLE later (id integer PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '9999'",
)


async def carry_out(url: str, *statements: str) -> None:
    async with writing(url) as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest.fixture(params=ENGINES)
def running(request: pytest.FixtureRequest, recorder: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    url = "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    gateway = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", store_url=url).seed().start()
    yield gateway
    gateway.stop()


def journey(gateway: Gateway) -> None:
    """Sign in, use the session, revoke it from the shell; be refused."""
    cookie = gateway.sign_in("manager")
    assert gateway.exchange(get("/x", cookie)).status == 200
    assert gateway.cli("session", "revoke", "--email", "mara@acme.example").returncode == 0
    assert gateway.exchange(get("/x", cookie)).status == 401


def test_ten_machines_that_start_at_once_migrate_once(empty_url: str, tmp_path: Path) -> None:
    machines = [Gateway(tmp_path / str(number), "127.0.0.1:1", store_url=empty_url) for number in range(10)]
    with ThreadPoolExecutor(10) as starting:
        done = list(starting.map(lambda machine: machine.cli("migrate"), machines))
    assert [result.stderr for result in done] == [""] * 10
    said = sorted(result.stdout for result in done)
    assert said[1:] == ["the schema is up to date\n"] * 9
    assert said[0].count("applied ") == int(NEWEST)


def test_this_version_goes_on_and_starts_again_when_a_later_one_has_added_to_the_schema(running: Gateway) -> None:
    kept = running.sign_in("employee")
    asyncio.run(carry_out(running.store_url, *LATER))
    assert running.exchange(get("/x", kept)).status == 200
    journey(running)
    assert running.ask_admin("/ready").status == 200
    assert running.stop() == 0
    checked = running.cli("check-config")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert running.cli("migrate").returncode == 0
    running.start()
    assert running.exchange(get("/x", kept)).status == 200
    journey(running)


def test_this_version_does_not_start_where_a_later_one_has_taken_away_what_it_reads(running: Gateway) -> None:
    asyncio.run(carry_out(running.store_url, *LATER, "UPDATE schema_since SET revision = '9999'"))
    ready: Any = running.ask_admin("/ready")
    assert (ready.status, b"the store has 9999" in ready.body) == (503, True)
    assert running.stop() == 0
    started = running.cli("serve")
    assert started.returncode == 1
    assert "the store has schema 9999, which this version does not know; install the version" in started.stderr
