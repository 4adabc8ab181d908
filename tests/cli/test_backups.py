"""Backups: taken under load, used again, and nothing that was ended comes back with them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.location import without_password
from tests.support import forks
from tests.support.gateway import COOKIE, PASSWORD, PEOPLE, SECRET, Gateway
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream


@pytest.fixture
def own(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", changes={"LISTEN__DRAIN_SECONDS": "3"}).seed().start()
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def manifest_of(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "manifest.json").read_text())
    assert isinstance(found, dict)
    return found


def test_a_backup_under_load_restores_to_working_sign_ins_and_what_was_revoked_stays_so(
    own: Gateway, tmp_path: Path
) -> None:
    enrolled, before, after = Person(own, "manager"), Person(own), Person(own, "other")
    enrolled.sign_in()
    codes = enrolled.enrol()[1]
    before.sign_in()
    assert own.cli("session", "revoke", "--email", before.email).returncode == 0
    after.sign_in()
    folder, stop, signed_in = tmp_path / "backup", threading.Event(), list[str]()

    def load(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            address = f"127.{number}.{turn // 250}.{turn % 250 + 1}"
            answer = own.post("/login", {"email": f"crowd{number}@acme.example", "password": PASSWORD}, source=address)
            signed_in.extend(value for value in answer.all("set-cookie") if value.startswith(COOKIE))

    threads = [threading.Thread(target=load, args=(number,), daemon=True) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    while len(signed_in) < 20:
        stop.wait(0.02)
    result = own.cli("backup", str(folder))
    taken_at = len(signed_in)
    while len(signed_in) < taken_at + 20:
        stop.wait(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert (result.returncode, result.stderr) == (0, "")
    assert own.cli("session", "revoke", "--email", after.email).returncode == 0

    refused = own.cli("restore", str(folder), "--confirm")
    assert refused.returncode == 1
    assert "stop the gateway first" in refused.stderr
    assert own.stop() == 0
    assert "nothing changed; add --confirm" in own.cli("restore", str(folder)).stdout
    done = own.cli("restore", str(folder), "--confirm")
    assert done.returncode == 0, done.stderr
    own.start()

    for person in (before, after, enrolled):
        assert not person.is_signed_in
    for line in signed_in[-20:] + signed_in[:20]:
        assert own.exchange(get("/x", f"Cookie: {line.partition(';')[0]}")).status == 401
    for person in (before, after):
        person.sign_in()
        assert person.is_signed_in
    enrolled.give_password()
    assert enrolled.submit("/login/backup", code=codes[0]).status in (200, 303)
    assert enrolled.is_signed_in
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        logins = {row[0] for row in connection.execute("SELECT session FROM audit WHERE event = 'login'")}
        sessions = {row[0] for row in connection.execute("SELECT id FROM sessions")}
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert logins == sessions  # the copy is of one moment
    verified = own.cli("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_backup_names_what_is_in_it_and_what_is_not(own: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "backup"
    own.environ["GATEWAY_MAIL_PASSWORD"] = "a password for mails"
    result = own.cli("backup", str(folder))
    assert result.returncode == 0, result.stderr
    manifest = manifest_of(folder)
    files = manifest["files"]
    assert isinstance(files, dict)
    assert sorted(files) == ["access.toml", "gateway.toml", "store.db"]
    for name, total in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == total
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0
    secrets = manifest["secrets"]
    assert isinstance(secrets, list)
    assert [name.partition(",")[0] for name in secrets] == ["GATEWAY_SECRET", "GATEWAY_MAIL_PASSWORD"]
    assert "GATEWAY_SECRET" in result.stdout
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    assert SECRET.encode() not in everything
    assert b"a password for mails" not in everything
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())


def test_a_backup_is_made_in_a_new_folder(own: Gateway, tmp_path: Path) -> None:
    result = own.cli("backup", str(tmp_path))
    assert result.returncode == 1
    assert "new folder" in result.stderr


@pytest.mark.parametrize("harm", ["one byte", "cut", "no manifest", "later schema"])
def test_a_damaged_backup_replaces_nothing(own: Gateway, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    own.stop()
    copy = folder / "store.db"
    content = bytearray(copy.read_bytes())
    if harm == "one byte":
        content[5_000] ^= 1
        copy.write_bytes(content)
    elif harm == "cut":
        copy.write_bytes(content[:-4096])
    elif harm == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | {"schema": "9999"}))
    before = hashlib.sha256(Path(own.store_url.removeprefix("sqlite:///")).read_bytes()).digest()
    result = own.cli("restore", str(folder), "--confirm")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert hashlib.sha256(Path(own.store_url.removeprefix("sqlite:///")).read_bytes()).digest() == before


def test_a_backup_that_needs_another_secret_says_so(own: Gateway, tmp_path: Path) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    own.stop()
    fresh = base64.b64encode(os.urandom(48)).decode()
    own.environ["GATEWAY_SECRET"] = fresh
    result = own.cli("restore", str(folder), "--confirm")
    assert result.returncode == 1
    assert "a different secret" in result.stderr
    own.environ["GATEWAY_SECRET"] = f"{fresh}\n{SECRET}"
    assert own.cli("restore", str(folder), "--confirm").returncode == 0


def test_links_and_mails_of_then_are_held_back(own: Gateway, tmp_path: Path) -> None:
    path = own.store_url.removeprefix("sqlite:///")
    Person(own).sign_in()  # its mail waits: there is no mail server
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        account = connection.execute("SELECT id FROM accounts LIMIT 1").fetchone()[0]
        connection.execute(
            "INSERT INTO mailed_links (id, token_key, purpose, account, identifier, content, created_at)"
            " VALUES ('lnk_1', x'00', 'reset', ?, 'a', x'00', 1)", (account,),
        )  # fmt: skip
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    own.stop()
    assert own.cli("restore", str(folder), "--confirm").returncode == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT superseded_at FROM mailed_links").fetchone()[0]
        assert connection.execute("SELECT count(*) FROM outbox WHERE abandoned_at IS NULL").fetchone()[0] == 0
    former = [file for file in Path(path).parent.iterdir() if ".before-" in file.name]
    assert len(former) == 1


def test_no_token_of_a_backup_works_again_and_service_accounts_stay(
    store_url: str, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    """Whether a token was revoked or its account removed since the backup, nobody knows."""
    changes = {"TOKENS__ON": "true"}
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=store_url, changes=changes).seed()
    service = own.cli("token", "service", "add", "Payroll export", "--tenant", "acme").stdout.strip()
    token, of_erin = (
        own.cli("token", "create", account, "--name", "x").stdout.strip()
        for account in (service, PEOPLE["employee"][0])
    )
    own.start()
    for each in (token, of_erin):
        assert own.exchange(get("/x", f"Authorization: Bearer {each}")).status == 200
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    assert own.cli("token", "service", "remove", service, "--confirm").returncode == 0
    own.stop()
    assert own.cli("restore", str(folder), "--confirm").returncode == 0
    own.start()
    try:
        for each in (token, of_erin):
            assert own.exchange(get("/x", f"Authorization: Bearer {each}")).status == 401
        anew = own.cli("token", "create", service, "--name", "x").stdout.strip()
        assert own.exchange(get("/x", f"Authorization: Bearer {anew}")).status == 200
    finally:
        own.stop()


def test_a_new_machine_begins_from_a_backup(own: Gateway, upstream: RecordingUpstream, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    new = Gateway(tmp_path / "new", f"127.0.0.1:{upstream.port}")
    shutil.copy(folder / "access.toml", new.config)
    done = new.cli("restore", str(folder), "--confirm")
    assert (done.returncode, done.stderr) == (0, "")
    new.start()
    try:
        Person(new).sign_in()
        assert Path(new.store_url.removeprefix("sqlite:///")).stat().st_mode & 0o077 == 0
    finally:
        new.stop()


def test_a_damaged_store_can_be_replaced(own: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    own.stop()
    path = Path(own.store_url.removeprefix("sqlite:///"))
    path.write_bytes(os.urandom(20_000))
    assert own.cli("restore", str(folder), "--confirm").returncode == 0
    own.start()
    Person(own).sign_in()


def test_postgresql_is_backed_up_and_restored_by_its_own_programs(
    postgres_url: str, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=postgres_url).seed().start()
    person = Person(own)
    person.sign_in()
    folder = tmp_path / "backup"
    result = own.cli("backup", str(folder))
    assert result.returncode == 0, result.stderr
    assert own.cli("account", "disable", PEOPLE["manager"][0]).returncode == 0
    refused = own.cli("restore", str(folder), "--confirm")
    assert refused.returncode == 1
    assert "stop all gateways first" in refused.stderr
    own.stop()
    done = own.cli("restore", str(folder), "--confirm")
    assert done.returncode == 0, done.stderr
    own.start()
    try:
        assert not person.is_signed_in
        person.sign_in()
        assert person.is_signed_in
        Person(own, "manager").sign_in()
    finally:
        own.stop()


@pytest.mark.parametrize("step", ["settle", "put_in_place"])
def test_an_interrupted_restore_brings_no_ended_session_back(
    store_url: str, upstream: RecordingUpstream, tmp_path: Path, step: str
) -> None:
    """The process ends right before `step`, as by kill -9. What serves then, if anything does, knows who was ended."""
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}", store_url=store_url).seed().start()
    person = Person(own)
    person.sign_in()
    folder = tmp_path / "backup"
    assert own.cli("backup", str(folder)).returncode == 0
    assert own.cli("session", "revoke", "--email", person.email).returncode == 0
    assert own.stop() == 0
    restore = ("restore", str(folder), "--confirm", "--config", str(own.config))
    assert forks.run(["-c", interrupted(step), *restore], own.environ).returncode == INTERRUPTED

    if store_url.startswith("postgresql"):
        for command in ("check-config", "migrate", "serve"):
            refused = own.cli(command)
            assert refused.returncode == 1
            assert "was interrupted; run it again" in refused.stderr
    else:
        own.start()
        assert not person.is_signed_in
        assert own.stop() == 0
    done = own.cli("restore", str(folder), "--confirm")
    assert done.returncode == 0, done.stderr
    own.start()
    try:
        assert not person.is_signed_in
        person.sign_in()
        assert person.is_signed_in
        assert own.cli("audit", "verify").returncode == 0
    finally:
        assert own.stop() == 0


INTERRUPTED = 9
HOMES = {"settle": "gateway.app.backup", "put_in_place": "gateway.store.copying"}


def interrupted(step: str) -> str:
    """Return the code of the command line, save that it ends where it would take `step`."""
    return (
        f"import os\nimport {HOMES[step]} as home\nhome.{step} = lambda *_, **__: os._exit({INTERRUPTED})\n"
        "from gateway.__main__ import main\nmain()\n"
    )


def test_the_database_password_is_shown_to_nobody() -> None:
    assert without_password("postgresql://u:p%40ss@db.example/gw?x=1") == ("postgresql://u@db.example/gw?x=1", "p@ss")
    assert without_password("postgresql://u@/gw?host=/tmp") == ("postgresql://u@/gw?host=/tmp", "")


def test_without_pg_dump_it_says_what_to_install(postgres_url: str, tmp_path: Path) -> None:
    own = Gateway(tmp_path, "127.0.0.1:1", store_url=postgres_url)
    own.environ["PATH"] = str(tmp_path)
    result = own.cli("backup", str(tmp_path / "backup"))
    assert result.returncode == 1
    assert "pg_dump is missing" in result.stderr
