"""Everything on one machine: the gateway, a stand-in application, a mail catcher, and people to sign in as."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from gateway.accounts import rows
from gateway.accounts.record import Account, Module, Role, Status
from gateway.demo.upstream import DESKTOP_TOKEN
from gateway.hashing import Hasher
from gateway.secret import Secret
from gateway.settings import load
from gateway.settings.record import Limits
from gateway.store import Store
from gateway.store.migrate import migrate

START_SECONDS = 30
METHOD = f"pbkdf2:sha256:{Limits.model_fields['hashing_iterations'].default}"

# (email, name, tenant, role, modules, status, password)
PEOPLE = (
    ("erin@acme.example", "Erin Zoë", "acme", Role.EMPLOYEE, (Module.HR,), Status.ACTIVE, "quiet-lantern-29-orchard"),
    ("mara@acme.example", "Mara Lindt", "acme", Role.MANAGER, (), Status.ACTIVE, "copper-meadow-71-violin"),
    (
        "adam@acme.example",
        "Adam Okoye",
        "acme",
        Role.ADMIN,
        (Module.FINANCE,),
        Status.ACTIVE,
        "winter-harbour-48-pencil",
    ),
    ("olga@beta.example", "Olga Brandt", "beta", Role.ADMIN, (), Status.ACTIVE, "marble-thicket-15-saddle"),
    ("otto@otium.example", "Otto Weiss", "otium", Role.ADMIN, (), Status.ACTIVE, "ember-lattice-62-compass"),
    ("dora@acme.example", "Dora Fink", "acme", Role.EMPLOYEE, (), Status.DISABLED, "velvet-glacier-33-anchor"),
)
OWNER = "otto@otium.example"

ACCESS = f"""\
owners = ["{OWNER}"]

public = [
  {{ path = "/" }},
  {{ path = "/help" }},
  {{ path = "/static", prefix = true }},
  {{ path = "/robots.txt" }},
  {{ path = "/webhooks/payment", methods = ["POST"] }},
]

machine = [{{ path = "/api/desktop", prefix = true }}]

rules = [
  {{ path = "/" }},
  {{ path = "/team", roles = ["manager", "admin"] }},
  {{ path = "/company", roles = ["admin"] }},
  {{ path = "/platform", owner = true }},
]
"""


class DemoFailed(Exception):
    """The demo can't run; the message says why."""


def run(folder: Path, *, port: int = 8000, mail_port: int = 8025) -> int:
    """Run the demo in `folder` until interrupted; return the exit code."""
    folder = folder.absolute()
    children: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for wanted in (port, mail_port, mail_port + 1):
            refuse_if_taken(wanted)
        environ = prepare(folder, port, mail_port + 1)
        children = [start(folder, name, command, environ) for name, command in commands(folder, mail_port).items()]
        for wanted in (port, mail_port):
            wait_for(wanted, children)
        print(welcome(port, mail_port), flush=True)
        return watch(children)
    except DemoFailed as error:
        sys.stderr.write(f"otium-gateway: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        end(children)


def prepare(folder: Path, port: int, smtp_port: int) -> dict[str, str]:
    """Write the settings, make the secret and the store, add the people. Secret, store and people stay as they are."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "access.toml").write_text(ACCESS)
    (config / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\n\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nlog_format = "console"\n\n'
        f'[upstream]\naddress = "unix:{folder}/upstream.sock"\n\n'
        f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n\n'
        f'[mail]\nport = {smtp_port}\nsecurity = "none"\n'
    )
    secret = folder / "secret"
    if not secret.exists():
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(48)))
    environ = {**os.environ, "GATEWAY_SECRET": secret.read_text("ascii")}
    settings = load(config, environ)
    migrate(settings.store.url)
    asyncio.run(seed(settings.store.url))
    return environ


async def seed(store_url: str) -> None:
    """Add the people who are not there yet."""
    store = Store.open(store_url)
    hasher = Hasher(method=METHOD, threads=2, queue=len(PEOPLE))
    try:
        async with store.reading() as tx:
            known = {account.identifier for account in await rows.list_all(tx)}
        for email, name, tenant, role, modules, status, password in PEOPLE:
            if email not in known:
                hashed = await hasher.hash(Secret(password))
                account = Account(
                    rows.new_account_id(),
                    email,
                    name,
                    tenant,
                    role,
                    frozenset(modules),
                    status,
                    hashed,
                    int(time.time()),
                )
                async with store.transaction() as tx:
                    await rows.add(tx, account)
    finally:
        hasher.close()
        await store.close()


def commands(folder: Path, mail_port: int) -> dict[str, list[str]]:
    socket_file = folder / "upstream.sock"
    return {
        "application": [
            sys.executable, "-m", "gunicorn", "--bind", f"unix:{socket_file}", "--threads", "64", "--keep-alive", "5",
            "--no-control-socket", "--log-level", "warning", "gateway.demo.upstream:create_app()",
        ],
        "mail catcher": [
            sys.executable, "-m", "gateway.demo.mailbox",
            "--smtp-port", str(mail_port + 1), "--web-port", str(mail_port),
        ],
        "gateway": [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "config")],
    }  # fmt: skip


def start(folder: Path, name: str, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name.replace(' ', '-')}.log").open("ab") as log:
        child = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    child.args = [name]
    return child


def refuse_if_taken(port: int) -> None:
    with contextlib.closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoFailed(
                f"port {port} is taken; stop what listens there, or choose another with --port and --mail-port"
            ) from error


def wait_for(port: int, children: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        complain_of_dead(children)
        if time.monotonic() > until:
            raise DemoFailed(f"nothing listens on port {port} after {START_SECONDS} seconds")
        time.sleep(0.05)


def watch(children: list[subprocess.Popen[bytes]]) -> int:
    while True:
        complain_of_dead(children)
        time.sleep(0.5)


def complain_of_dead(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is not None:
            name = str(child.args[0])  # type: ignore[index]
            raise DemoFailed(f"the {name} has ended with {child.returncode}; its log is in the demo's folder")


def end(children: list[subprocess.Popen[bytes]]) -> None:
    """End what was started, the gateway first, so that nobody asks an application that is gone."""
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(40)
        except subprocess.TimeoutExpired:
            child.kill()


def welcome(port: int, mail_port: int) -> str:
    lines = [
        "",
        f"  The application, behind the gateway   http://localhost:{port}",
        f"  Caught mail                           http://localhost:{mail_port}",
        f"  Desktop client                        curl -H 'Authorization: Bearer {DESKTOP_TOKEN}' http://localhost:{port}/api/desktop/status",
        "",
        "  Sign in as",
    ]
    for email, _, tenant, role, _, status, password in PEOPLE:
        note = " (the platform's owner)" if email == OWNER else " (disabled)" if status is Status.DISABLED else ""
        lines.append(f"    {email:20}  {password:26}  {role.value} of {tenant}{note}")
    return "\n".join(
        [
            *lines,
            "",
            "  Ctrl-C ends everything. Use a browser on this machine: the cookie needs localhost or https.",
            "",
        ]
    )
