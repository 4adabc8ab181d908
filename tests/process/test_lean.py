"""What workers share, and do without."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.process.lean import UNUSED

IMPORT = """
import sys
from gateway.process.lean import import_lean
import_lean()
from gateway.process import worker
"""
SHOW = """
print(*sys.modules)
import aiohttp.client, sqlalchemy.orm, werkzeug.wrappers
from sqlalchemy.ext.asyncio.session import AsyncSession
print(aiohttp.client.ClientSession, sqlalchemy.orm.Session, werkzeug.wrappers.Response, AsyncSession)
"""
WARM_UP = """
import os, threading
from pathlib import Path
from gateway.observe.board import Board
settings = worker.load_checked(Path(), os.environ)
work = worker.make_work(settings, Board(), reload=lambda: settings)
print(*sys.modules)
print(threading.active_count(), *(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 64) if os.path.islink(f"/proc/self/fd/{fd}")))
"""


def run(program: str, folder: Path, **environ: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=folder, env=environ, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_workers_do_without_what_they_never_use_and_it_can_be_imported_later(tmp_path: Path) -> None:
    modules, later = run(IMPORT + SHOW, tmp_path)
    unused = {"sqlalchemy.orm", "joserfc", "zxcvbn", "alembic", *(name for names in UNUSED.values() for name in names)}
    assert len(unused) == 17
    assert unused.isdisjoint(modules.split())
    assert later.count("<class ") == 4


@pytest.mark.parametrize(
    ("url", "driver"),
    [("sqlite:///{}/store/gateway.db", "aiosqlite"), ("postgresql://nobody@127.0.0.1:1/none", "asyncpg")],
)
def test_the_driver_is_there_before_the_fork_and_nothing_is_connected(tmp_path: Path, url: str, driver: str) -> None:
    (tmp_path / "access.toml").write_text('rules = [{ path = "/" }]')
    secret = base64.b64encode(os.urandom(48)).decode()
    modules, open_ones = run(IMPORT + WARM_UP, tmp_path, GATEWAY_SECRET=secret, GATEWAY_STORE__URL=url.format(tmp_path))
    assert driver in modules.split()
    assert ("sqlalchemy.dialects.postgresql" in modules.split()) is (driver == "asyncpg")
    shared = [f"{tmp_path}/store/gateway.db.generation"] if driver == "aiosqlite" else []
    assert open_ones.split() == ["1", *shared]  # one thread, no database and no socket
