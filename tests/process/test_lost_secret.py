"""A secret that is not given any more: told before anything serves, and never by somebody's sign-in that breaks."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.migrate import migrate
from tests.support.gateway import SECRET, Gateway
from tests.support.person import Person, code_of
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_factors import change

FRESH = base64.b64encode(os.urandom(48)).decode()


@pytest.fixture
def own(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[tuple[Gateway, str]]:
    """A running gateway that reads its secret from a credential, and the TOTP key of an employee there."""
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__DRAIN_SECONDS": "3"}).seed()
    del gateway.environ["GATEWAY_SECRET"]
    gateway.environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    give(gateway, SECRET)
    gateway.start()
    person = Person(gateway)
    person.sign_in()
    key, _ = person.enrol()
    yield gateway, key
    if gateway.process and gateway.process.poll() is None:
        gateway.stop()


def give(gateway: Gateway, *secrets: str) -> None:
    file = gateway.folder / "gateway-secret"
    file.write_text("\n".join(secrets))
    file.chmod(0o400)


SAID = "GATEWAY_SECRET: the TOTP of erin@acme.example was encrypted with a secret that is missing. Give the former"


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_nothing_starts_without_the_secret_that_sealed_totp(own: tuple[Gateway, str], command: str) -> None:
    gateway, _ = own
    gateway.stop()
    give(gateway, FRESH)
    result = gateway.cli(command)
    assert result.returncode == 1
    assert result.stderr.startswith(f"otium-gateway: {SAID}")
    assert result.stderr.count("\n") == 1


def test_the_former_secret_behind_the_new_one_is_enough(own: tuple[Gateway, str]) -> None:
    gateway, key = own
    gateway.stop()
    give(gateway, FRESH, SECRET)
    assert gateway.cli("check-config").returncode == 0
    gateway.start()
    person = Person(gateway)
    person.give_password()
    person.submit("/login/totp", code=code_of(gateway, person.email, key))
    assert person.is_signed_in


def test_whose_secret_is_lost_for_good_sets_totp_up_again(own: tuple[Gateway, str]) -> None:
    gateway, _ = own
    gateway.stop()
    give(gateway, FRESH)
    assert gateway.cli("account", "unlock", "--email", "erin@acme.example", "--reset-2fa", "--confirm").returncode == 0
    assert gateway.cli("check-config").returncode == 0


def test_waiting_mails_that_no_secret_opens_are_told_of(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    gateway.post("/forgot-password", {"email": "erin@acme.example"})
    gateway.stop()
    gateway.environ["GATEWAY_SECRET"] = FRESH
    result = gateway.cli("check-config")
    assert result.returncode == 0
    assert "advice: GATEWAY_SECRET: 1 waiting mail was sealed with a secret that is not given" in result.stdout
    gateway.environ["GATEWAY_SECRET"] = SECRET
    assert "waiting mail" not in gateway.cli("check-config").stdout


def test_a_few_whose_secret_is_lost_keep_nobody_else_out(own: tuple[Gateway, str]) -> None:
    gateway, key = own
    other = Person(gateway, "manager")
    other.sign_in()
    other.enrol()
    gateway.stop()
    with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
        theirs = "account = (SELECT id FROM accounts WHERE identifier = ?)"
        for statement in ("UPDATE totp SET secret = zeroblob(60) WHERE ", "DELETE FROM backup_codes WHERE "):
            connection.execute(statement + theirs, (other.email,))
    said = f"the TOTP of {other.email} was encrypted with a secret that is missing"
    result = gateway.cli("check-config")
    assert result.returncode == 0, result.stderr
    assert f"advice: GATEWAY_SECRET: {said}" in result.stdout
    gateway.start()
    assert said in gateway.logged()
    person = Person(gateway)
    person.give_password()
    person.submit("/login/totp", code=code_of(gateway, person.email, key))
    assert person.is_signed_in


def test_a_reload_without_that_secret_is_refused(own: tuple[Gateway, str]) -> None:
    gateway, key = own
    before = gateway.workers()
    give(gateway, FRESH)
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for("reload_refused")
    assert SAID in gateway.logged()
    assert gateway.workers() == before
    person = Person(gateway)
    person.give_password()
    person.submit("/login/totp", code=code_of(gateway, person.email, key))
    assert person.is_signed_in


@pytest.mark.parametrize("factor", ["totp", "backup"])
def test_a_secret_that_goes_missing_later_closes_and_is_named_in_the_log(own: tuple[Gateway, str], factor: str) -> None:
    gateway, _ = own
    change(gateway, "UPDATE totp SET secret = zeroblob(48)")
    change(gateway, "UPDATE backup_codes SET digest = zeroblob(60)")
    person = Person(gateway)
    person.give_password()
    answer = person.send(f"/login/{factor}", {"code": "123456" if factor == "totp" else "WRNGG-CDDE7", "next": "/"})
    assert answer.status == 503
    assert b"temporarily unavailable" in answer.body
    assert not person.is_signed_in
    (line,) = [line for line in gateway.logged().splitlines() if "secret_missing" in line]
    assert '"level": "error"' in line
    assert "was encrypted with a secret that is missing" in line
    assert "Traceback" not in gateway.logged()


@pytest.mark.parametrize("kind", ["missing", "empty", "no database", "older"])
def test_a_reload_onto_a_store_that_is_not_ready_is_refused(
    own: tuple[Gateway, str], tmp_path: Path, kind: str
) -> None:
    gateway, _ = own
    other = tmp_path / "other" / "gateway.db"
    other.parent.mkdir()
    if kind == "empty":
        other.touch()
    elif kind == "no database":
        other.write_text("not at all")
    elif kind == "older":
        migrate(f"sqlite:///{other}")
        with sqlite3.connect(other) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0004'")
    settings = gateway.config / "gateway.toml"
    settings.write_text(settings.read_text().replace(gateway.store_url, f"sqlite:///{other}"))
    before, sizes = gateway.workers(), {file.name: file.stat().st_size for file in other.parent.iterdir()}
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for("reload_refused")
    said = {"no database": "isn't a SQLite database", "older": "has an older schema"}.get(kind, "there is no store at")
    assert f"{settings}: store.url: " in gateway.logged()
    assert said in gateway.logged()
    assert gateway.workers() == before
    if kind != "older":
        assert {file.name: file.stat().st_size for file in other.parent.iterdir()} == sizes
    cookie = gateway.sign_in("manager")
    assert gateway.exchange(get("/x", cookie)).status == 200
