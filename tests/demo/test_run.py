"""The demo in one command, as a person runs it: everything comes up, works, and is gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import pytest

from gateway.demo.people import OWNER, PEOPLE, seed
from gateway.passwords.policy import Person as PolicyPerson
from gateway.passwords.policy import judge
from gateway.store.migrate import migrate
from tests.support import forks
from tests.support.gateway import ANEW, START_SECONDS, cookie_of, free_port, keep
from tests.support.raw import Connection, Response, exchange, get

END_SECONDS = 120


class Demo:
    """`otium-gateway demo` in `folder`, on free ports. Its own process is a new Python, or forked from one that is ready
    (tests.support.forks); its programs are new ones in any case."""

    def __init__(self, folder: Path, port: int = 0, *, is_forked: bool = True, **environ: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.mail_port = free_pair()
        arguments = ["demo", "--folder", str(folder), "--port", str(self.port), "--mail-port", str(self.mail_port)]
        given = {**os.environ, **environ}
        self.output, self.errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        with open(os.devnull, "rb") as nothing:
            self.process: forks.Process | subprocess.Popen[bytes] = (
                forks.Process(arguments, given, nothing, self.output, self.errors)
                if is_forked
                else subprocess.Popen([*ANEW, *arguments], env=given, stdout=self.output, stderr=self.errors)
            )
        self.pids: list[int] = []

    def wait(self) -> str:
        """Return what it prints when everything is up; fail with what it says if it ends."""
        until = time.monotonic() + START_SECONDS
        while "Press Ctrl-C to stop" not in (printed := text_of(self.output)):
            assert self.process.poll() is None, text_of(self.errors) + self.logged()
            assert time.monotonic() < until
            time.sleep(0.05)
        self.pids = descendants(self.process.pid)
        return printed

    def logged(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def ask(self, request: bytes) -> Response:
        response = exchange(self.port, request)
        assert response is not None
        return response

    def get(self, path: str, *lines: str) -> Response:
        return self.ask(get(path, *lines, host=f"localhost:{self.port}"))

    def sign_in(self, email: str, password: str) -> Response:
        body = urlencode({"email": email, "password": password, "next": "/whoami.json"})
        lines = (
            f"Origin: http://localhost:{self.port}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        )
        return self.ask(get("/login", *lines, host=f"localhost:{self.port}", method="POST") + body.encode())

    def cookie_of_erin(self) -> str:
        return cookie_of(self.sign_in(PEOPLE[0].email, PEOPLE[0].password))

    def end(self, signum: int = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end; return its exit code and what it complained of."""
        self.process.send_signal(signum)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        code = self.process.wait(END_SECONDS)
        with self.output, self.errors:
            return code, text_of(self.errors)

    def close(self) -> None:
        if not self.errors.closed:
            self.end()
        assert [pid for pid in self.pids if is_alive(pid)] == []


def text_of(file: BinaryIO) -> str:
    """Return what a process that may still run wrote to `file`. The position, which they share, stays."""
    return os.pread(file.fileno(), 1_000_000, 0).decode()


def free_pair() -> int:
    """Return a free port whose next one is free as well: for the inbox and for SMTP."""
    while True:
        port = free_port()
        if keep(port + 1):
            return port


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [found for child in children for found in descendants(child)]


def is_alive(pid: int) -> bool:
    """Whether the process still runs; it is given time to end."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    has_ended, _, _ = select.select([process], [], [], END_SECONDS)
    os.close(process)
    return not has_ended


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's folder whose people are there already, with hashes that are made quickly. Its name is an awkward one."""
    found = tmp_path_factory.mktemp("demo") / 'Zoë\'s "de mo" #1%20'
    found.mkdir()
    url = f"sqlite:///{found}/gateway.db"
    migrate(url)
    assert asyncio.run(seed(url, method="pbkdf2:sha256:1000")) == len(PEOPLE)
    assert asyncio.run(seed(url, method="pbkdf2:sha256:1000")) == 0
    return found


@pytest.fixture
def demo(folder: Path) -> Iterator[Demo]:
    running = Demo(folder)
    yield running
    running.close()


@pytest.fixture(scope="module")
def lasting(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    """One that no test ends, in a folder of its own, and what it printed."""
    own = tmp_path_factory.mktemp("lasting")
    shutil.copy(folder / "gateway.db", own)
    running = Demo(own)
    yield running, running.wait()
    assert running.end() == (0, "")
    running.close()


def test_the_passwords_of_the_demo_keep_the_policy() -> None:
    for person in PEOPLE:
        assert judge(person.password, PolicyPerson(person.email, person.name, person.tenant, "OtiumWork")) is None


def test_one_command_makes_a_folder_and_shows_everything(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "var" / "demo", is_forked=False)
    try:
        printed = demo.wait()
        assert f"http://localhost:{demo.port}\n" in printed
        assert b"Work, counted calmly" in demo.get("/").body
        inbox = exchange(demo.mail_port, get("/"))
        assert inbox is not None
        assert b"No mail yet" in inbox.body
        email, password = re.findall(r"^ +(erin@\S+) +(\S+)", printed, re.MULTILINE)[0]
        response = demo.sign_in(email, password)
        assert (response.status, response.get("location")) == (303, "/whoami.json")
        cookie = cookie_of(response)
        told = dict(json.loads(demo.get("/whoami.json", f"Cookie: {cookie}").body))
        assert (told["Remote-Email"], told["X-Otium-Tenant"]) == ("erin@acme.example", "acme")
        assert b"Create token" in demo.get("/me/tokens", f"Cookie: {cookie}").body
        assert (demo.folder / "secret").stat().st_mode & 0o777 == 0o600
        assert (demo.folder / "upstream.sock").stat().st_mode & 0o777 == 0o600
        assert (demo.folder / "admin.sock").stat().st_mode & 0o007 == 0
        assert demo.end() == (0, "")
    finally:
        demo.close()


def test_who_does_as_is_printed_starts_afresh_and_can_sign_in_as_printed(folder: Path, tmp_path: Path) -> None:
    store = folder / "gateway.db"
    folder = tmp_path / "it's a demo"
    folder.mkdir()
    shutil.copy(store, folder)
    person = PEOPLE[0]
    demo = Demo(folder)
    try:
        printed = demo.wait()
        change(folder, "UPDATE accounts SET password_hash = NULL")
        assert demo.end() == (0, "")
        (command,) = re.findall(r"^ +(rm -r .+)$", printed, re.MULTILINE)
        subprocess.run(command, shell=True, check=True)
        demo = Demo(folder)
        demo.wait()
        assert "__Host-otium_session=" in str(demo.sign_in(person.email, person.password).all("set-cookie"))
    finally:
        demo.close()


def change(folder: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "gateway.db")) as connection, connection:
        connection.execute(statement)


def test_everyone_printed_can_sign_in_unless_they_are_said_not_to(lasting: tuple[Demo, str]) -> None:
    demo, printed = lasting
    for person in PEOPLE:
        assert re.search(rf"{re.escape(person.email)} +{person.password} +{re.escape(person.note)}", printed)
        opens = person.email != OWNER and "disabled" not in person.note
        response = demo.sign_in(person.email, person.password)
        cookies = "".join(response.all("set-cookie"))
        assert ("__Host-otium_session=" in cookies) is opens, (person.email, response.body)


def test_ctrl_c_ends_everything_even_with_a_stream_open(demo: Demo) -> None:
    demo.wait()
    until = time.monotonic() + 120
    while len(demo.pids) < 6:  # gunicorn and its worker, the mail catcher, the gateway and its two workers
        assert time.monotonic() < until, demo.pids
        time.sleep(0.05)
        demo.pids = descendants(demo.process.pid)
    cookie = demo.cookie_of_erin()
    with Connection(demo.port) as stream:
        stream.send(get("/live/stream", f"Cookie: {cookie}", host=f"localhost:{demo.port}"))
        assert b"erin@acme.example" in stream.read_until(b"\n\n")
        assert demo.end(signal.SIGINT) == (0, "")


def test_who_changes_their_mind_while_it_starts_is_left_with_nothing(demo: Demo) -> None:
    until = time.monotonic() + END_SECONDS
    while not demo.pids:
        assert time.monotonic() < until
        demo.pids = descendants(demo.process.pid)
    assert demo.end() == (0, "")


def test_a_restart_keeps_sessions_people_and_edited_rules(folder: Path) -> None:
    first = Demo(folder)
    first.wait()
    cookie = first.cookie_of_erin()
    first.close()
    access = folder / "config" / "access.toml"
    kept = access.read_text()
    access.write_text(kept.replace('path = "/help"', 'path = "/newly/public"'))
    second = Demo(folder)
    try:
        second.wait()
        assert second.get("/whoami.json", f"Cookie: {cookie}").status == 200
        assert second.get("/help").status == 401
    finally:
        access.write_text(kept)
        second.close()


def test_the_settings_of_a_real_gateway_are_not_touched(folder: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    migrate(f"sqlite:///{real}")
    demo = Demo(
        folder,
        GATEWAY_STORE__URL=f"sqlite:///{real}",
        OPS_ACCESS_EMAILS=PEOPLE[0].email,
    )
    try:
        demo.wait()
        status = demo.sign_in(PEOPLE[0].email, PEOPLE[0].password).status
    finally:
        demo.close()
    with sqlite3.connect(real) as store:
        assert store.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
    store.close()
    assert status == 303


def test_a_port_that_is_taken_is_said_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, complaint = Demo(folder, port).ended()
    assert code == 1
    assert f"can't listen on port {port} " in complaint
    assert complaint.count("\n") == 1


def test_a_second_demo_in_the_same_folder_leaves_the_first_one_alone(lasting: tuple[Demo, str]) -> None:
    demo, _ = lasting
    code, complaint = Demo(demo.folder).ended()
    assert code == 1
    assert "running" in complaint
    assert demo.get("/").status == 200


@pytest.mark.parametrize("name", ["gunicorn", "gateway.demo.mailbox", "serve"])
def test_a_program_that_dies_is_named_and_the_others_are_ended(demo: Demo, name: str) -> None:
    demo.wait()
    said = {"gunicorn": "the application", "gateway.demo.mailbox": "the mail catcher", "serve": "the gateway"}[name]
    for child in descendants(demo.process.pid):
        arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if name.encode() in arguments:
            os.kill(child, signal.SIGKILL)
            break
    code, complaint = demo.ended()
    assert code == 1
    assert complaint.startswith(f"otium-gateway: {said} ended by itself with code -9")
    assert complaint.count("\n") == 1


def test_a_folder_that_can_not_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / ("long" * 40)):
        code, complaint = Demo(folder).ended()
        assert code == 1
        assert complaint.count("\n") == 1
        assert "Traceback" not in complaint


def test_rules_that_can_not_be_read_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "access.toml").write_text('rules = [{ path = "x" }]')
    code, complaint = Demo(tmp_path).ended()
    assert code == 1
    assert "access.toml" in complaint
    assert complaint.count("\n") == 1
