"""Commands and a store that is not as they need it: they say where it is and what to do, and make nothing."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.version import NEWEST
from tests.support.gateway import Gateway
from tests.support.postgres import Server

CSV = "email,name,department,role\na@acme.example,A,,admin\n"
COMMANDS = [
    ["account", "add", "a@acme.example", "--name", "A", "--password-stdin"],
    ["account", "import", "PEOPLE"],
    ["account", "list"],
    ["session", "list"],
    ["audit", "verify"],
    ["audit", "list"],
    ["audit", "erase", "a@acme.example"],
    ["block", "list"],
    ["explain", "GET", "/", "--as", "a@acme.example"],
    ["mail", "status"],
    ["keys", "rotate"],
    ["backup", "BACKUP"],
]


def path_of(gateway: Gateway) -> Path:
    return Path(gateway.store_url.removeprefix("sqlite:///"))


def set_schema(path: Path, version: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def refusal_of(gateway: Gateway, *arguments: str) -> str:
    result = gateway.cli(*arguments, stdin="a long enough password\n")
    assert result.returncode == 1, result.stdout
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_a_store_every_command_says_so_and_makes_none(tmp_path: Path, arguments: list[str]) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    people = tmp_path / "people.csv"
    people.write_text(CSV)
    given = {"PEOPLE": str(people), "BACKUP": str(tmp_path / "backup")}
    said = refusal_of(gateway, *(given.get(argument, argument) for argument in arguments))
    place = path_of(gateway)
    assert (
        said
        == f"otium-gateway: {gateway.config}/gateway.toml: store.url: there is no store at {place} yet; run `otium-gateway migrate`\n"
    )
    assert not place.parent.exists()
    assert not (tmp_path / "backup").exists()


def test_an_empty_file_stays_empty_and_is_no_store(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    path_of(gateway).parent.mkdir()
    path_of(gateway).touch()
    assert "there is no store at" in refusal_of(gateway, "account", "list")
    checked = gateway.cli("check-config")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"the store at {path_of(gateway)} is empty; `serve` will set it up" in checked.stdout
    assert [(file.name, file.stat().st_size) for file in path_of(gateway).parent.iterdir()] == [("gateway.db", 0)]


def test_a_database_of_somebody_else_is_no_store(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    path_of(gateway).parent.mkdir()
    with sqlite3.connect(path_of(gateway)) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    assert "there is no store at" in refusal_of(gateway, "account", "list")


def test_an_older_schema_is_to_be_migrated_first(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    set_schema(path_of(gateway), "0004")
    said = refusal_of(gateway, "account", "list")
    assert f"the store at {path_of(gateway)} has an older schema; run `otium-gateway migrate`" in said
    needed = [f"{number:04}" for number in range(5, int(NEWEST) + 1)]
    assert (
        f"the database needs migrations {', '.join(needed)}; `serve` will apply them"
        in gateway.cli("check-config").stdout
    )


def test_a_later_schema_is_left_alone(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    set_schema(path_of(gateway), "9999")
    assert gateway.cli("account", "list").returncode == 0  # nothing was taken away that we read
    with sqlite3.connect(path_of(gateway)) as connection:
        connection.execute("UPDATE schema_since SET revision = '9999'")
    assert "was created by a newer version (schema 9999)" in refusal_of(gateway, "account", "list")


def test_the_only_machine_of_a_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1").seed()
    assert "no other machine shares it" in gateway.cli("store", "nodes").stdout
    assert gateway.cli("store", "nodes", "--json").stdout == "[]\n"


def test_postgresql_without_a_schema_is_no_store_either(postgres_server: Server, tmp_path: Path) -> None:
    url = postgres_server.create("never_migrated").replace("postgres@", "postgres:hidden@")
    gateway = Gateway(tmp_path, "127.0.0.1:1", store_url=url)
    said = refusal_of(gateway, "account", "list")
    place = f"postgresql://postgres@/never_migrated?host={postgres_server.folder}"
    assert f"there is no store at {place} yet; run `otium-gateway migrate`" in said
    checked = gateway.cli("check-config")
    assert f"the store at {place} is empty" in checked.stdout, checked.stderr
    assert "hidden" not in said + checked.stdout
    assert gateway.cli("migrate").returncode == 0
    assert gateway.cli("account", "list").stdout == "none\n"
    postgres_server.drop("never_migrated")


@pytest.mark.parametrize("command", [["account", "list"], ["migrate"], ["check-config"], ["serve"]], ids=" ".join)
def test_a_file_that_is_no_database_is_named_with_its_key(tmp_path: Path, command: list[str]) -> None:
    gateway = Gateway(tmp_path, "127.0.0.1:1")
    path_of(gateway).parent.mkdir()
    path_of(gateway).write_text("owners = []\n" * 1000)
    said = refusal_of(gateway, *command)
    assert f"store.url: {path_of(gateway)} isn't a SQLite database; move it" in said
    assert [file.name for file in path_of(gateway).parent.iterdir()] == ["gateway.db"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter: pytest's own are closed again by each start of pytest."""
    with tempfile.TemporaryDirectory(prefix="gateway-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def run_as_nobody(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "account", "list", "--config", str(gateway.config)],
        env=gateway.environ, capture_output=True, text=True, check=False, user="nobody", group="nogroup",
        extra_groups=[],
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_configuration_that_this_user_can_not_see_is_named(open_folder: Path) -> None:
    gateway = Gateway(open_folder, "127.0.0.1:1").seed()
    open_folder.chmod(0o700)
    result = run_as_nobody(gateway)
    assert result.returncode == 1
    assert result.stderr == (
        f"otium-gateway: this user can't open {gateway.config}; run this as the user who owns it\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("mode", "said"), [(0o777, "can't read and write {file}; run this as "), (0o755, "can't write in {folder}; run")]
)
def test_a_store_of_another_user_is_named_with_that_user(open_folder: Path, mode: int, said: str) -> None:
    gateway = Gateway(open_folder, "127.0.0.1:1").seed()
    folder = path_of(gateway).parent
    folder.chmod(mode)
    result = run_as_nobody(gateway)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert "/gateway.toml: store.url: this user " in result.stderr
    assert said.format(file=path_of(gateway), folder=folder) in result.stderr
    assert f"run this as {pwd.getpwuid(0).pw_name}, who owns it" in result.stderr
