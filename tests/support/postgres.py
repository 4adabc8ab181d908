"""A real PostgreSQL for the tests: the system's own programs, in a temporary directory, on a Unix socket only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import asyncpg

INSTALLED = Path("/usr/lib/postgresql")
INSTALL = "PostgreSQL is not installed; the tests need it: apt-get install postgresql"
USER = "postgres"

# A crash may lose everything here: nothing waits for the disk.
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=200")


@dataclass(frozen=True, slots=True)
class Server:
    """`folder` holds the socket and, in `data`, the database cluster."""

    programs: Path
    folder: Path

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def create(self, database: str, template: str = "template0") -> str:
        """Make a database, a copy of `template` (to which nobody may be connected), and return its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Say something to the cluster itself."""

        async def say() -> None:
            connection = await asyncpg.connect(self.url_of("postgres"))
            await connection.execute(statement)
            await connection.close()

        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            thread.submit(asyncio.run, say()).result()

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.folder}"))
        log = str(self.folder / "log")
        self.run("pg_ctl", "start", "--wait", "--pgdata", str(self.data), "--log", log, "--options", options)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "--wait", "--pgdata", str(self.data), "--mode", "fast")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        somebody = ("runuser", "-u", USER, "--") if os.geteuid() == 0 else ("env", f"PGUSER={USER}")
        command = (*somebody, str(self.programs / program), *arguments)
        # pg_ctl's child keeps what it inherits: a pipe would be open for as long as the server runs.
        with open(self.folder / "output", "a+b") as output:
            done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=self.folder)
            if done.returncode != 0:
                output.seek(0)
                raise RuntimeError(f"{program} failed: {output.read().decode(errors='replace')}")


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Start a server, and stop and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Server(find_programs(), folder)
        server.run(
            "initdb",
            "--pgdata",
            str(server.data),
            "--username",
            USER,
            "--auth",
            "trust",
            "--no-sync",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs. Raises RuntimeError with what to install."""
    found = [folder for folder in INSTALLED.glob("*/bin") if (folder / "initdb").exists()]
    if not found:
        raise RuntimeError(INSTALL)
    return max(found, key=lambda folder: float(folder.parent.name))
