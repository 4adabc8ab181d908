"""What `check-config` tries out: each thing that is away, taken or missing is advice, and none of it an error."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.probes import probe
from gateway.mail.smtp import Mailer
from gateway.model.secret import Secret
from gateway.settings import Settings
from gateway.settings.record import Admin, Listen, Mail, Upstream
from tests.mail.conftest import mailer_to
from tests.support.gateway import PROXY, START_SECONDS, Gateway, free_port
from tests.support.raw import get
from tests.support.smtp import SMTPServer
from tests.support.upstream import RecordingUpstream


@contextmanager
def listening(family: int = socket.AF_INET, at: str = "") -> Iterator[str]:
    """Listen as another program does; yield the address in the settings' words."""
    with socket.socket(family) as sock:
        sock.bind(at or ("127.0.0.1", 0))
        sock.listen()
        yield f"unix:{at}" if at else f"127.0.0.1:{sock.getsockname()[1]}"


def settings(**changes: object) -> Settings:
    """Return settings with which nothing is wrong but that the application is away, save for `changes`."""
    sections = {"listen": Listen(addresses=(f"127.0.0.1:{free_port()}",)), "admin": Admin(listen="")}
    return Settings().model_copy(update={**sections, "mail": Mail(host=""), **changes})


def advice(with_settings: Settings, mailer: Mailer | None = None) -> dict[str, str]:
    return dict(probe(with_settings, mailer or mailer_to(1)))


def test_an_application_that_is_away_is_told_and_one_that_answers_is_not(tmp_path: Path) -> None:
    away = advice(settings(upstream=Upstream(address=f"127.0.0.1:{free_port()}")))
    assert list(away) == ["upstream.address"]
    assert "(Connection refused); start it, or correct the address" in away["upstream.address"]
    gone = advice(settings(upstream=Upstream(address=f"unix:{tmp_path}/gone.sock")))
    assert "(No such file or directory)" in gone["upstream.address"]
    with listening() as tcp, listening(socket.AF_UNIX, str(tmp_path / "app.sock")) as unix:
        for address in (tcp, unix):
            assert advice(settings(upstream=Upstream(address=address))) == {}


def test_an_address_that_another_program_has_is_told() -> None:
    with listening() as app, listening() as taken:
        found = advice(
            settings(
                upstream=Upstream(address=app),
                listen=Listen(addresses=(f"127.0.0.1:{free_port()}", taken)),
                admin=Admin(listen=app),
            )
        )
    assert list(found) == ["listen.addresses (2nd entry)", "admin.listen"]
    assert f"another program listens on {taken}" in found["listen.addresses (2nd entry)"]


def test_a_gateway_that_runs_is_asked_what_its_proxies_write_and_keeps_its_addresses(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    try:
        result = gateway.cli("check-config")
        assert gateway.exchange(get("/public", "X-Forwarded-For: unknown"), source=PROXY).status == 200
        gateway.wait_for("forwarded_for_unreadable")
        until = time.monotonic() + START_SECONDS
        while "X-Forwarded-For" not in (later := gateway.cli("check-config")).stdout:
            assert time.monotonic() < until, later.stdout
    finally:
        gateway.stop()
    assert result.returncode == 0
    assert "another program" not in result.stdout
    assert "X-Forwarded-For" not in result.stdout
    assert (
        "advice: listen.trusted_proxies: a proxy in front wrote no address into X-Forwarded-For (1 times)"
        in later.stdout
    )
    assert "advice: mail: no mail can be sent through" in result.stdout  # nothing listens at the port


@pytest.mark.parametrize(
    ("security", "login", "said"),
    [
        ("none", None, ""),
        ("starttls", None, "STARTTLS extension not supported"),
        ("tls", None, "[SSL"),
        ("none", ("mail", "right"), "AUTH extension is not supported"),
    ],
)
def test_a_mail_server_is_tried_up_to_where_it_would_take_a_mail(
    security: str, login: tuple[str, str] | None, said: str
) -> None:
    server = SMTPServer(login=login).start()
    mailer = Mailer(
        host="127.0.0.1", port=server.port, security=security, username="mail" if login else "",  # type: ignore[arg-type]
        password=Secret("wrong") if login else None, seconds=60,
    )  # fmt: skip
    try:
        with listening() as app:
            found = advice(settings(upstream=Upstream(address=app), mail=Mail(port=server.port)), mailer)
    finally:
        server.stop()
    assert list(found) == (["mail"] if said else [])
    assert said in found.get("mail", "")
    assert server.received == []


def test_a_wrong_mail_port_is_told() -> None:
    port = free_port()
    with listening() as app:
        found = advice(settings(upstream=Upstream(address=app), mail=Mail(port=port)), mailer_to(port))
    assert f"127.0.0.1:{port}: " in found["mail"]
    assert "otium-gateway mail test ADDRESS" in found["mail"]
