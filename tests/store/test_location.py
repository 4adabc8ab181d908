"""Where a store is, and who may read its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.store import Store, StoreUnavailable
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.migrate import migrate


def test_three_slashes_are_relative_to_the_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///data/gateway.db") == SQLite(tmp_path / "data" / "gateway.db")


def test_four_slashes_are_absolute() -> None:
    assert locate("sqlite:////var/lib/gateway.db") == SQLite(Path("/var/lib/gateway.db"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_spellings_of_postgresql_are_one(scheme: str) -> None:
    assert locate(f"{scheme}://u@h:5433/d?sslmode=require") == PostgreSQL("postgresql://u@h:5433/d?sslmode=require")


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "mysql://h/d", "gateway.db", "/tmp/x.db", "postgres"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a store is sqlite:///file"):
        locate(url)


async def test_nobody_else_may_read_what_is_made(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store.open(f"sqlite:///{tmp_path}/data/gateway.db")
        async with store.reading() as tx:
            await tx.exec_driver_sql("CREATE TABLE t (x)")
    finally:
        os.umask(before)
    folder = tmp_path / "data"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    await store.close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes == dict.fromkeys(("gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db.generation"), 0o600)


def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    owner = (4321, 4322) if os.geteuid() == 0 else (os.geteuid(), os.getegid())  # only root gives files away
    os.chown(tmp_path, *owner)
    Store.open(f"sqlite:///{tmp_path}/gateway.db")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()} == {owner}


def test_a_folder_that_cannot_be_made_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        Store.open(f"sqlite:///{tmp_path}/file/gateway.db")


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "what?.db", "no#1.db", "über.db", "a&mode=ro.db", "%41.db"])
async def test_a_file_may_be_called_anything(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    store = Store.open(f"sqlite:///{path}")
    async with store.reading() as tx:
        await tx.exec_driver_sql("CREATE TABLE t (x)")
    await store.close()
    assert path.stat().st_size > 0
    assert {file.name for file in tmp_path.iterdir()} == {name, f"{name}.generation"}


def test_a_migrated_file_may_be_called_anything(tmp_path: Path) -> None:
    folder = tmp_path / "100% mine?"
    assert migrate(f"sqlite:///{folder}/a#b.db") != []
    assert (folder / "a#b.db").stat().st_size > 0
