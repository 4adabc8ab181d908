"""Runs the demo on one machine: gateway, stand-in application, mail catcher and test accounts."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import shlex
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.demo import DESKTOP_TOKEN
from gateway.demo.children import Child, DemoFailed, Program, Stop, end, is_listening, start, wait_until_ready, watch
from gateway.demo.people import OWNER, PEOPLE, seed
from gateway.process.compiled import VARIABLE
from gateway.settings import BadSettings, load
from gateway.settings.load import ACCESS_FILE, OWNERS_VARIABLE, PREFIX, SECRET_VARIABLE, SETTINGS_FILE
from gateway.store.migrate import migrate

NEEDED = ("flask", "flask_sock", "gunicorn", "aiosmtpd")
MAX_SOCKET_PATH = 107  # bytes; sun_path of unix(7), without its final NUL
SECRET_BYTES = 48

ACCESS = f"""\
# Written by `otium-gateway demo` where there was none. Try something else: save, then send the gateway SIGHUP, or
# start the demo again.

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


@dataclass(frozen=True, slots=True)
class Places:
    """The demo's absolute folder, and its ports on loopback."""

    folder: Path
    port: int
    mail_port: int

    @property
    def smtp_port(self) -> int:
        return self.mail_port + 1

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def socket(self) -> Path:
        return self.folder / "upstream.sock"

    @property
    def admin(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


def run(folder: Path, *, port: int = 8000, mail_port: int = 8025) -> int:
    """Run the demo in `folder` until Ctrl-C or SIGTERM; return the exit code.

    `mail_port` serves the inbox; the next port is the SMTP server.
    """
    places = Places(folder.absolute(), port, mail_port)
    stop = Stop()
    stop.listen()
    children: list[Child] = []
    try:
        check(places)
        environ = prepare(places)
        for program in programs(places):
            children.append(start(program, places.folder, environ))
        wait_until_ready(children, stop)
        if not stop.is_asked:
            print(welcome(places), flush=True)
        watch(children, stop)
    except DemoFailed as error:
        sys.stderr.write(f"otium-gateway: {error}\n")
        return 1
    finally:
        end(children)
    return 0


def check(places: Places) -> None:
    """Raise DemoFailed for problems that would otherwise cause a less clear error later."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoFailed(f"the demo needs {', '.join(missing)}: pip install 'otium-gateway[demo]'")
    if len(os.fsencode(places.socket)) > MAX_SOCKET_PATH:
        raise DemoFailed("the folder's path is too long for a socket in it; choose a shorter one with --folder")
    if is_listening(places.socket):
        raise DemoFailed(f"a demo is already running in {places.folder}; stop it or use a different --folder")
    ports = (places.port, places.mail_port, places.smtp_port)
    for port in ports:
        if not 0 < port < 65_536 or ports.count(port) > 1:
            raise DemoFailed(f"can't use port {port}; the demo needs three different ports below 65536")
        refuse_if_taken(port)


def refuse_if_taken(port: int) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoFailed(
                f"can't listen on port {port} ({error.strerror}); "
                'choose others: make run ARGS="--port 8001 --mail-port 8026"'
            ) from error


def prepare(places: Places) -> dict[str, str]:
    """Write the settings, create secret and store, add the people. Returns the environment of the children.

    Existing secret, store, people and access rules are kept.
    """
    try:
        write_settings(places)
        environ = clean_environment(secret_of(places.folder / "secret"))
        settings = load(places.config, environ)
    except OSError as error:
        raise DemoFailed(f"can't write to {error.filename or places.folder}: {error.strerror}") from error
    except BadSettings as error:
        raise DemoFailed(str(error)) from error
    migrate(settings.store.url)
    asyncio.run(seed(settings.store.url))
    return environ


def write_settings(places: Places) -> None:
    """Write gateway.toml from the command line on each start, and access.toml, which people may edit, only once."""
    places.config.mkdir(parents=True, exist_ok=True)
    (places.config / SETTINGS_FILE).write_text(settings_text(places), "utf-8")
    access = places.config / ACCESS_FILE
    if not access.exists():
        access.write_text(ACCESS, "utf-8")


def settings_text(places: Places) -> str:
    # Every JSON string is a valid TOML string, whatever characters the folder's name has.
    upstream, store, admin = (
        json.dumps(text, ensure_ascii=False)
        for text in (f"unix:{places.socket}", f"sqlite:///{places.folder / 'gateway.db'}", f"unix:{places.admin}")
    )
    return f"""\
# Written by `otium-gateway demo` at each start.

public_url = "{places.url}"

[listen]
addresses = ["127.0.0.1:{places.port}"]
drain_seconds = 3
log_format = "console"

[upstream]
address = {upstream}

[store]
url = {store}

[identity.names]
assertion = "X-Otium-Assertion"

[mail]
port = {places.smtp_port}
security = "none"

[tokens]
on = true

[signup]
mode = "domains"
domains = {{ "acme.example" = "acme" }}

[admin]
listen = {admin}
"""


def secret_of(file: Path) -> str:
    """Return the secret in `file`. Creates it with mode 0600 if it is missing."""
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as made:
            made.write(base64.b64encode(os.urandom(SECRET_BYTES)))
    return file.read_text("ascii")


def clean_environment(secret: str) -> dict[str, str]:
    """Return this environment without a real gateway's settings.

    They would override the demo's files, and add accounts with public passwords to a real store.
    """
    foreign = (OWNERS_VARIABLE, "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in foreign}
    return {**kept, VARIABLE: os.environ.get(VARIABLE, ""), SECRET_VARIABLE: secret}


def programs(places: Places) -> tuple[Program, ...]:
    """Return the programs, in the order of their start."""
    return (
        Program("application", [
            sys.executable, "-m", "gunicorn", "--bind", f"unix:{places.socket}", "--umask", "0177",
            "--threads", "64", "--keep-alive", "5",
            "--graceful-timeout", "3", "--no-control-socket", "--log-level", "warning",
            "gateway.demo.upstream:create_app()",
        ], (places.socket,)),
        Program("mail catcher", [
            sys.executable, "-m", "gateway.demo.mailbox",
            "--smtp-port", str(places.smtp_port), "--web-port", str(places.mail_port),
        ], (places.smtp_port, places.mail_port)),
        Program("gateway", [
            sys.executable, "-m", "gateway", "serve", "--config", str(places.config),
        ], (places.port,)),
    )  # fmt: skip


def welcome(places: Places) -> str:
    command = Path(sys.executable).with_name("otium-gateway")
    people = "\n".join(f"    {person.email:20}  {person.password:26}  {person.note}" for person in PEOPLE)
    return f"""
  App (behind the gateway)              {places.url}
  Demo inbox                            http://localhost:{places.mail_port} (SMTP on port {places.smtp_port})
  Data folder                           {places.folder}

  Sign in as
{people}

  Try
    {places.url}/whoami         what the app receives about you
    {places.url}/company        admins only
    {places.url}/me             passkeys, two-step verification, devices (People and Operations are beside them)
    {places.url}/me/tokens      API tokens; try one: curl -H 'Authorization: Bearer TOKEN' {places.url}/whoami.json
    {places.url}/signup         sign up with any @acme.example address; the email appears in the demo inbox
    {places.url}/live           open this, then end the session from a shell and watch it stop:
      GATEWAY_SECRET=$(cat '{places.folder}/secret') \\
        '{command}' session revoke --email {PEOPLE[0].email} --config '{places.config}'
    curl --unix-socket '{places.admin}' http://localhost/metrics
    curl -H 'Authorization: Bearer {DESKTOP_TOKEN}' {places.url}/api/desktop/status

  Changes are kept between runs (the list above doesn't update). To start over, stop the demo and delete its folder:
    rm -r {shlex.quote(str(places.folder))}

  Press Ctrl-C to stop. Use a browser on this machine: cookies only work on localhost or over HTTPS.
"""
