"""The real gateway as a process of its own: `python -m gateway serve`, with accounts to sign in as.

It is forked from a process that has imported everything (tests.support.forks), and its store is a copy of one that was
migrated and filled once. A test of starting itself sets `program` to `ANEW`, and then a new Python starts.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import functools
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text
from werkzeug.security import generate_password_hash

from gateway.accounts import rows
from gateway.model.account import Account, Module, Role, Status
from gateway.model.secret import Secret
from gateway.process.compiled import OFF, VARIABLE
from gateway.store import Store
from gateway.store.confirm import confirm
from gateway.store.generation import Generation
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.migrate import migrate
from gateway.store.postgresql import connect
from tests.support import any_schema, forks
from tests.support.raw import TIMEOUT, Connection, Response, exchange

HOST = "app.example.com"
ORIGIN = f"https://{HOST}"
COOKIE = "__Host-otium_session"
PASSWORD = "correct horse battery staple"
CHEAP = "pbkdf2:sha256:1000"
SECRET = base64.b64encode(hashlib.sha384(b"only for tests").digest()).decode()
PROXY = "127.0.0.2"  # the one address that the gateway trusts as a proxy
START_SECONDS = 300.0
PORTS = (10_000, 32_000)  # below those for outgoing connections, of which tests make thousands
ANEW = [sys.executable, "-m", "gateway"]

PEOPLE = {
    "employee": ("erin@acme.example", "Erin Zoë", "acme", Role.EMPLOYEE, [Module.HR]),
    "manager": ("mara@acme.example", "Mara", "acme", Role.MANAGER, []),
    "admin": ("adam@acme.example", "Adam", "acme", Role.ADMIN, []),
    "other": ("olga@beta.example", "Olga", "beta", Role.EMPLOYEE, []),
    "owner": ("otto@otium.example", "Otto", "otium", Role.ADMIN, []),
    "disabled": ("dora@acme.example", "Dora", "acme", Role.EMPLOYEE, []),
}

ACCESS = """
owners = ["otto@otium.example"]
public = [
  { path = "/public", prefix = true },
  { path = "/exact" },
  { path = "/webhooks/payment", methods = ["POST"] },
  { path = "/cors", methods = ["GET", "OPTIONS"] },
]
machine = [{ path = "/api/desktop", prefix = true }]
rules = [
  { path = "/" },
  { path = "/admin", roles = ["admin"] },
  { path = "/team", roles = ["manager", "admin"] },
  { path = "/beta", tenants = ["beta"] },
  { path = "/platform", owner = true },
]
"""


_kept: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nobody listens on, and that no other run of tests on this machine gets from here."""
    while True:
        port = random.randrange(*PORTS)
        if keep(port):
            return port


def keep(port: int) -> bool:
    """Bind a socket to a port, if it is free, and return whether it was.

    That keeps it from whoever asks for a port, and not from a server with SO_REUSEADDR.
    """
    sock = socket.socket()
    try:
        sock.bind(("", port))
    except OSError:
        sock.close()
        return False
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _kept.append(sock)
    return True


@functools.cache
def seeded_store() -> Path:
    """Return a SQLite store with everybody in it, which is only ever copied."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-seeded-"))
    atexit.register(shutil.rmtree, folder)
    url = f"sqlite:///{folder / 'store' / 'gateway.db'}"
    migrate(url)
    asyncio.run(fill(url))
    assert [file.name for file in (folder / "store").glob("*-wal") if file.stat().st_size] == []
    return folder / "store" / "gateway.db"


async def fill(url: str) -> None:
    """Make the accounts of everybody."""
    hashed = Secret(generate_password_hash(PASSWORD, CHEAP))
    store = Store.open(url)
    crowd = {f"crowd{n}": (f"crowd{n}@acme.example", f"Crowd {n}", "acme", Role.EMPLOYEE, []) for n in range(50)}
    async with store.transaction() as tx:
        for kind, (identifier, name, tenant, role, modules) in (PEOPLE | crowd).items():
            status = Status.DISABLED if kind == "disabled" else Status.ACTIVE
            account = Account(
                rows.new_account_id(), identifier, name, tenant, role, frozenset(modules), status, hashed, 1
            )
            await rows.add(tx, account)
    await store.close()


class Gateway:
    """`changes` are settings by their environment names without prefix, like LISTEN__HEAD_SECONDS."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        *,
        store_url: str = "",
        public_url: str = ORIGIN,
        access: str = ACCESS,
        changes: Mapping[str, str] | None = None,
        mail_port: int = 0,
    ) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.mail_port = mail_port or free_port()
        self.unix = str(folder / "gateway.sock")
        self.admin = str(folder / "admin.sock")
        self.store_url = store_url or f"sqlite:///{folder / 'store' / 'gateway.db'}"
        self.public_url = public_url
        self.origin = ORIGIN
        self.log = folder / "gateway.log"
        (self.config / "access.toml").write_text(access)
        self.write_settings(upstream)
        self.environ = {
            "PATH": os.environ["PATH"],
            "GATEWAY_SECRET": SECRET,
            VARIABLE: os.environ.get(VARIABLE, OFF),
            **{f"GATEWAY_{name}": value for name, value in (changes or {}).items()},
        }
        self.program: list[str] = []
        self.process: subprocess.Popen[bytes] | forks.Process | None = None

    def write_settings(self, upstream: str, more: str = "") -> None:
        (self.config / "gateway.toml").write_text(
            f'public_url = "{self.public_url}"\n'
            f'[listen]\naddresses = ["127.0.0.1:{self.port}", "unix:{self.unix}"]\n'
            f'trusted_proxies = ["{PROXY}"]\nworkers = 2\n'
            f'[upstream]\naddress = "{upstream}"\n'
            f'[store]\nurl = "{self.store_url}"\n'
            '[identity.names]\nassertion = "X-Otium-Assertion"\n'
            f'[mail]\nport = {self.mail_port}\nsecurity = "none"\nseconds = 60\n'
            f'[admin]\nlisten = "unix:{self.admin}"\n'
            f"[limits]\nhashing_iterations = 1000\n{more}"
        )

    def seed(self) -> Gateway:
        """Make the store, or bring it up to date, and everybody in it."""
        location = locate(self.store_url)
        if isinstance(location, SQLite) and location.is_empty:
            location.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy(seeded_store(), location.path)
        else:
            migrate(self.store_url)
            asyncio.run(fill(self.store_url))
        return self

    def start(self) -> Gateway:
        since = len(self.logged())
        arguments = ["serve", "--config", str(self.config)]
        with self.log.open("ab") as log, open(os.devnull, "rb") as nothing:
            if self.program:
                command = [*self.program, *arguments]
                self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
            else:
                self.process = forks.Process(arguments, self.environ, nothing, log, log)
        self.wait_for('"event": "serving"', since=since)
        return self

    def wait_for(self, words: str, seconds: float = START_SECONDS, since: int = 0) -> None:
        """Wait until the log says `words` (after the byte `since`)."""
        until = time.monotonic() + seconds
        while words not in self.logged()[since:]:
            assert self.process is not None
            assert self.process.poll() is None, self.logged()
            assert time.monotonic() < until, f"{words!r} never came: {self.logged()[-3000:]}"
            time.sleep(0.02)

    def logged(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def reload(self, old: str, new: str) -> None:
        """Write `new` in the place of `old` in the access file, and send SIGHUP; return when it holds everywhere."""
        access = self.config / "access.toml"
        text = access.read_text()
        assert old in text, text
        access.write_text(text.replace(old, new, 1))
        self.reload_files()

    def reload_files(self) -> None:
        """Send SIGHUP; return when the files as they are now hold everywhere."""
        mark = len(self.logged())
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        self.wait_for('"event": "reloaded"', since=mark)
        for _ in range(2):  # workers of before
            self.wait_for('"event": "draining"', since=mark)
            mark = self.logged().index('"event": "draining"', mark) + 1

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def workers(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill_worker(self, pid: int) -> None:
        """Kill a worker, and wait until the supervisor noticed: only then is it missing among the workers."""
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 120
        while pid in self.workers():
            assert time.monotonic() < until, self.logged()
            time.sleep(0.01)

    def processor_seconds(self) -> float:
        """Return the processor time of all workers until now. Unlike a clock, it does not depend on what else runs."""
        total = 0
        for pid in self.workers():
            user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            total += int(user) + int(system)
        return total / os.sysconf("SC_CLK_TCK")

    def write(self, statement: str, **values: str | int | bytes) -> list[tuple[Any, ...]]:
        """Run a statement on the store, of either engine, as an operator does by hand; return the rows.

        Every worker notices what it took away.
        """

        async def run() -> list[tuple[Any, ...]]:
            async with any_schema.writing(self.store_url) as connection:
                result = await connection.execute(text(statement), values)
                return [tuple(row) for row in result] if result.returns_rows else []

        with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop running in this one
            rows = thread.submit(asyncio.run, run()).result()
            thread.submit(self.announce).result()
        return rows

    def wait_for_rows(self, query: str, count: int = 1, **values: str | int | bytes) -> list[tuple[Any, ...]]:
        """Return the rows of a query, when there are `count`: some are written by a job, every few seconds."""
        until = time.monotonic() + 120
        while len(rows := self.write(query, **values)) < count:
            assert time.monotonic() < until, f"{rows} of {query}"
            time.sleep(0.05)
        return rows

    def announce(self) -> None:
        """Let every worker notice what was written into the store by hand."""
        location = locate(self.store_url)
        if isinstance(location, SQLite):
            generation = Generation(location.generation_path)
            generation.announce()
            generation.close()
        else:
            asyncio.run(confirm_latest(location))

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        given = [*arguments, "--config", str(self.config)]
        if not self.program:
            return forks.run(given, self.environ, stdin=stdin)
        return subprocess.run(
            [*self.program, *given], env=self.environ, capture_output=True, text=True, errors="surrogateescape",
            input=stdin, timeout=300, check=False,
        )  # fmt: skip

    def exchange(self, request: bytes, *, source: str = "127.0.0.1") -> Response:
        response = exchange(self.port, request, source=source)
        assert response is not None, request
        return response

    def ask_admin(self, path: str) -> Response:
        response = exchange(self.admin, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert response is not None, path
        return response

    def connect(self, *, source: str = "127.0.0.1", timeout: float = TIMEOUT) -> Connection:
        return Connection(self.port, source=source, timeout=timeout)

    def post(
        self, path: str, fields: Mapping[str, str] | bytes, *lines: str, source: str = "127.0.0.1", origin: str = ""
    ) -> Response:
        return self.exchange(form(path, fields, *lines, origin=origin or self.origin), source=source)

    def sign_in(self, who: str = "employee", *, target: str = "/", source: str = "127.0.0.1") -> str:
        """Sign in for real; return the Cookie line."""
        fields = {"email": PEOPLE[who][0], "password": PASSWORD, "next": target}
        response = self.post("/login", fields, source=source)
        assert response.status == 303, (response.status, response.body)
        return "Cookie: " + cookie_of(response)


async def confirm_latest(location: PostgreSQL) -> None:
    connection = await connect(location)
    await confirm(connection, await connection.fetchval("SELECT number FROM revision"))
    await connection.close()


def cookie_of(response: Response) -> str:
    """Return `name=value` of the session cookie that an answer sets."""
    values = [value for value in response.all("set-cookie") if value.startswith(COOKIE + "=")]
    assert len(values) == 1, response.fields
    return values[0].partition(";")[0]


def form(path: str, fields: Mapping[str, str] | bytes, *lines: str, origin: str = ORIGIN) -> bytes:
    """Return the bytes of a form as a page of `origin` sends it; `lines` are further field lines."""
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    head = "\r\n".join(
        [
            f"POST {path} HTTP/1.1",
            f"Host: {HOST}",
            f"Origin: {origin}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            "Accept: text/html",
            *lines,
            "",
            "",
        ]
    )
    return head.encode("latin-1") + body
