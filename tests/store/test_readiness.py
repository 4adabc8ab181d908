"""Looking at the store leaves it as it is: its locks as well."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.location import SQLite, locate
from gateway.store.readiness import NotReady, check_file

COUNT = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT count(*) FROM t').fetchone()[0]); c.close()"


def test_looking_takes_no_lock_from_a_connection_of_this_process(tmp_path: Path) -> None:
    """Else the next process to close the database would believe itself alone, and take the log away with all in it."""
    path = tmp_path / "gateway.db"
    location = locate(f"sqlite:///{path}")
    assert isinstance(location, SQLite)
    location.prepare()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
        check_file(location)
        location.prepare()
        for rows in (1, 2, 3):
            counted = subprocess.run(
                [sys.executable, "-c", COUNT, str(path)], check=True, capture_output=True, text=True
            )
            assert counted.stdout == f"{rows}\n"
            assert Path(f"{path}-wal").exists()
            connection.execute("INSERT INTO t VALUES (1)")


def test_what_is_no_database_is_told_from_what_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    location = locate(f"sqlite:///{path}")
    assert isinstance(location, SQLite)
    path.touch()
    check_file(location)
    assert path.stat().st_size == 0
    path.write_text("this is no database, and long enough to have a head " * 20)
    with pytest.raises(NotReady, match="isn't a SQLite database"):
        check_file(location)
