"""A real PostgreSQL for the tests: the system's own programs, in a temporary directory.

It listens on a Unix socket only, or, with a port, on 127.0.0.1 too. It may have TLS, and a replica.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from tests.support.certificates import Authority

T = TypeVar("T")

INSTALLED = Path("/usr/lib/postgresql")
INSTALL = "PostgreSQL is not installed; the tests need it: apt-get install postgresql"
USER = "postgres"

# A crash may lose everything here: nothing waits for the disk.
SETTINGS: tuple[str, ...] = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")

DISCONNECT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()
"""
# Every change of a schema writes rows of these; a copy of a database has the same ones, of the same transactions.
CATALOGS = {
    "pg_class": "oid", "pg_attribute": "attrelid", "pg_attrdef": "oid", "pg_constraint": "oid", "pg_trigger": "oid",
    "pg_proc": "oid",
}  # fmt: skip
FIRST_OID = 16_384  # of what is not PostgreSQL's own
SCHEMA = "SELECT " + ", ".join(
    f"(SELECT (count(*), sum(xmin::text::bigint))::text FROM {catalog} WHERE {column} >= {FIRST_OID})"
    for catalog, column in CATALOGS.items()
)
USED = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0"


@dataclass(frozen=True, slots=True)
class Server:
    """`folder` holds the socket and, in `data`, the database cluster. `port` is 0 for one on a Unix socket only."""

    programs: Path
    folder: Path
    port: int = 0

    def url_of(self, database: str) -> str:
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{USER}@/{database}?host={self.folder}{port}"

    def create(self, database: str, template: str = "template0") -> str:
        """Make a database, a copy of `template` (to which nobody may be connected), and return its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Say something to the cluster itself."""
        self.use("postgres", lambda connection: connection.execute(statement))

    def use(self, database: str, work: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]]) -> T:
        """Connect to a database, and return what `work` does there."""

        async def connected() -> T:
            connection = await asyncpg.connect(self.url_of(database))
            try:
                return await work(connection)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            return thread.submit(asyncio.run, connected()).result()

    def start(self) -> None:
        place = f"unix_socket_directories={self.folder}"
        network = (f"listen_addresses={'127.0.0.1' if self.port else ''}", f"port={self.port or 5432}")
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, place, *network))
        log = str(self.folder / "log")
        self.run("pg_ctl", "start", "--wait", "--pgdata", str(self.data), "--log", log, "--options", options)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "--wait", "--pgdata", str(self.data), "--mode", "fast")

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to all processes of the server: SIGSTOP freezes it, SIGKILL is a machine that is gone.

        The first of them is stopped first and goes on last, so it starts no other meanwhile.
        """
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (*map(int, children), postmaster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def use_tls(self, authority: Authority, rules: str) -> None:
        """Give the server, which is not running, a certificate; `rules` say who may connect how (pg_hba.conf)."""
        for source, name in ((authority.certificate, "server.crt"), (authority.key, "server.key")):
            self.put(name, source.read_text())
        self.put("root.crt", authority.ca_file.read_text())
        self.put("pg_hba.conf", rules)
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("ssl = on\nssl_ca_file = 'root.crt'\n")

    def put(self, name: str, text: str) -> None:
        file = self.data / name
        file.write_text(text)
        file.chmod(0o600)
        shutil.chown(file, self.data.owner(), self.data.group())

    @contextlib.contextmanager
    def replica(self, port: int) -> Iterator[Server]:
        """Start a read-only replica, which follows this server as soon as anything is committed."""
        with in_a_folder() as folder:
            replica = Server(self.programs, folder, port)
            replica.run(
                "pg_basebackup", "--pgdata", str(replica.data), "--write-recovery-conf", "--checkpoint=fast",
                "--no-sync", "--dbname", self.url_of("postgres"),
            )  # fmt: skip
            with replica.started():
                yield replica

    def promote(self) -> None:
        """Make a replica a primary."""
        self.run("pg_ctl", "promote", "--wait", "--pgdata", str(self.data))

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            if (self.data / "postmaster.pid").exists():
                self.stop()

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


class Copies:
    """Databases that are like `template`. One that a test gives back is emptied, in a hundredth of the time of a copy."""

    def __init__(self, server: Server, template: str) -> None:
        self._server = server
        self._template = template
        self._schema, self._rows = server.use(template, look)
        self._free: list[str] = []
        self._numbers = itertools.count(1)

    def take(self) -> str:
        """Return the name of a database of one's own."""
        if self._free:
            return self._free.pop()
        name = f"{self._template}_{next(self._numbers)}"
        self._server.create(name, template=self._template)
        return name

    def give_back(self, name: str) -> None:
        try:
            is_restored = self._server.use(name, self._restore)
        except asyncpg.PostgresError:  # it takes no writes any more, say
            is_restored = False
        if is_restored:
            self._free.append(name)
        else:
            self._server.drop(name)

    async def _restore(self, connection: asyncpg.Connection) -> bool:
        """Leave the rows of the template, and return whether that made the whole database like it."""
        await connection.execute(DISCONNECT)
        if await connection.fetchrow(SCHEMA) != self._schema:
            return False
        emptied = ";".join(f'DELETE FROM "{table}"' for (table,) in await connection.fetch(USED))
        await connection.execute(f"SET session_replication_role = replica; {emptied}")  # in any order of the tables
        for table, rows in self._rows.items():
            if rows:
                await connection.copy_records_to_table(table, records=rows)
        return True


async def look(connection: asyncpg.Connection) -> tuple[asyncpg.Record, dict[str, list[asyncpg.Record]]]:
    """Return by what a database's schema is known, and the rows of each table."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = {table: await connection.fetch(f'SELECT * FROM "{table}"') for (table,) in tables}
    return await connection.fetchrow(SCHEMA), rows


@contextlib.contextmanager
def running(port: int = 0, *, authority: Authority | None = None, rules: str = "") -> Iterator[Server]:
    """Start a server, and stop and remove it at the end."""
    with in_a_folder() as folder:
        server = Server(find_programs(), folder, port)
        subprocess.run(["cp", "--archive", new_cluster(), server.data], check=True)
        if authority is not None:
            server.use_tls(authority, rules)
        with server.started():
            yield server


@functools.cache
def new_cluster() -> Path:
    """Return a cluster that is only ever copied, in a twentieth of the time of making one."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    server = Server(find_programs(), stack.enter_context(in_a_folder()))
    server.run(
        "initdb", "--pgdata", str(server.data), "--username", USER, "--auth", "trust", "--no-sync",
        "--encoding", "UTF8", "--locale", "C",
    )  # fmt: skip
    return server.data


@contextlib.contextmanager
def in_a_folder() -> Iterator[Path]:
    """Make a folder that belongs to the user who may run PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs. Raises RuntimeError with what to install."""
    found = [folder for folder in INSTALLED.glob("*/bin") if (folder / "initdb").exists()]
    if not found:
        raise RuntimeError(INSTALL)
    return max(found, key=lambda folder: float(folder.parent.name))
