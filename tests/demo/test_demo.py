"""The demo: one command that shows everything, and cleans up after itself."""

from __future__ import annotations

import http.client
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.demo.run import PEOPLE
from gateway.demo.upstream import DESKTOP_TOKEN
from tests.support.gateway import free_port


class Demo:
    """A running demo: what it printed, and where it listens."""

    def __init__(self, folder: Path) -> None:
        self.port, self.mail_port = free_port(), free_pair()
        self.output = folder / "output"
        environ = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "demo", "--folder", str(folder / "demo"), "--port", str(self.port), "--mail-port", str(self.mail_port)],
                env=environ, stdout=output, stderr=output,
            )  # fmt: skip
        until = time.monotonic() + 60
        while "Sign in as" not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    def ask(self, method: str, path: str, body: str = "", **fields: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        connection.request(
            method, path, body or None, {name.replace("_", "-"): value for name, value in fields.items()}
        )
        response = connection.getresponse()
        response.content = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def free_pair() -> int:
    """Return a free port whose next one is free as well."""
    while True:
        port = free_port()
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port + 1)) != 0:
                return port


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    children = [
        int(pid) for pid in Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    ]
    assert len(children) == 3
    assert running.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_every_printed_password_is_the_right_one(demo: Demo) -> None:
    printed = demo.output.read_text()
    for email, *_, status, password in PEOPLE:
        assert password in printed
        fields = {"Origin": f"http://localhost:{demo.port}", "Content-Type": "application/x-www-form-urlencoded"}
        response = demo.ask(
            "POST", "/login", urlencode({"email": email, "password": password, "next": "/whoami"}), **fields
        )
        expected = 403 if email.startswith("otto") else 422 if status.value == "disabled" else 303
        assert response.status == expected, email


def test_the_application_is_there_and_guarded(demo: Demo) -> None:
    assert demo.ask("GET", "/").status == 200
    assert demo.ask("GET", "/static/app.css").status == 200
    assert demo.ask("GET", "/timesheets").status == 401
    assert demo.ask("POST", "/webhooks/payment", "x").status == 200


def test_the_desktop_client_has_its_own_token(demo: Demo) -> None:
    assert demo.ask("GET", "/api/desktop/status").status == 401
    response = demo.ask("GET", "/api/desktop/status", Authorization=f"Bearer {DESKTOP_TOKEN}")
    assert json.loads(response.content) == {"status": "in sync", "told": []}  # type: ignore[attr-defined]


def test_mail_is_caught_and_shown_without_running_it(demo: Demo) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "gateway@localhost", "erin@acme.example"
    message["Subject"] = "Hello <svg onload=alert(1)>"
    message.set_content("plain & simple")
    message.add_alternative("<p>rich</p><script>alert(1)</script>", subtype="html")
    with smtplib.SMTP("127.0.0.1", demo.mail_port + 1) as smtp:
        smtp.send_message(message)
    connection = http.client.HTTPConnection("127.0.0.1", demo.mail_port, timeout=10)
    pages = {}
    for path in ("/", "/api/messages", "/mail/1", "/mail/1/html"):
        connection.request("GET", path)
        response = connection.getresponse()
        pages[path] = response.read().decode()
        assert response.status == 200
        assert path != "/mail/1/html" or "sandbox" in response.headers["Content-Security-Policy"]
    connection.close()
    assert "<svg" not in pages["/"] + pages["/mail/1"]
    assert "plain &amp; simple" in pages["/mail/1"]
    (mail,) = json.loads(pages["/api/messages"])
    assert (mail["to"], mail["subject"]) == (["erin@acme.example"], "Hello <svg onload=alert(1)>")


def test_a_port_that_is_taken_is_said_in_one_line(demo: Demo, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--folder", str(tmp_path), "--port", str(demo.port)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith(f"otium-gateway: port {demo.port} is taken")
    assert result.stderr.count("\n") == 1
