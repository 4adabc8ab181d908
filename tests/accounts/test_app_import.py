"""An import from the application's users, again and again: what it changes, ends, writes down and leaves alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
from pathlib import Path

import pytest

from gateway.accounts import change, rows
from gateway.accounts.app_sync import rows as imported
from gateway.accounts.app_sync.plan import Disable, Follow, Keep, Row, Verdict, Wishes
from gateway.accounts.app_sync.service import BATCH, MEANWHILE, AppImport
from gateway.audit import rows as audit
from gateway.factors.contract import Factors
from gateway.model.account import Account, Module, Role, Status
from gateway.model.entry import Entry
from gateway.model.event import Event
from gateway.model.secret import Secret
from gateway.store import Store
from tests.accounts.test_app_database import ANN, QUERY, TABLE, AppDatabase, run
from tests.store.people import add_session, look, person, worker
from tests.support import postgres
from tests.support.actions import action_in, actions_of
from tests.support.gateway import PEOPLE, Gateway
from tests.support.statements import noted

OLD, NEW = "pbkdf2:sha256:1000$old$00", "pbkdf2:sha256:1000$new$00"
NOW = 1_800_000_000
COUNT = BATCH + 10
PLAIN = Wishes()
GONE = Wishes(disable_missing=True)
clock = itertools.count(NOW + 100, 100)


def row(who: str, **values: str) -> dict[str, str]:
    return {
        "email": f"{who}@acme.example",
        "name": who.title(),
        "department": "",
        "role": "employee",
        "tenant": "acme",
        **values,
    }


class Application:
    """The application's users, as the query gives them; each import is later than what was before."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.users: list[dict[str, str]] = []

    @property
    def given(self) -> list[Row]:
        return list(enumerate(self.users, start=1))

    def job(self, now: int = 0, source: str = "app") -> AppImport:
        owners, at = frozenset(("otto@acme.example",)), now or next(clock)
        return AppImport(
            self.store, actions_of(self.store), Factors(()), source=source, owners=owners, by="root", now=at
        )

    async def bring(self, wishes: Wishes = PLAIN, source: str = "app") -> list[Verdict]:
        return await self.job(source=source).apply(self.given, wishes)

    async def find(self, name: str) -> Account:
        async with self.store.reading() as tx:
            found = await rows.find_by_identifier(tx, f"{name}@acme.example")
        assert found is not None, name
        return found

    async def audited(self) -> list[Entry]:
        async with self.store.reading() as tx:
            return await audit.recent(tx, 1_000)

    async def everything(self) -> object:
        async with self.store.reading() as tx:
            return await rows.list_all(tx), await imported.list_known(tx, "app"), await audit.recent(tx, 1_000)


@pytest.fixture
async def app(store: Store) -> Application:
    return Application(store)


async def test_accounts_are_made_and_a_second_import_changes_nothing(app: Application) -> None:
    app.users = [
        row("ann", department="hr", role="admin", password_hash=OLD),
        row("bob", tenant="beta"),
        row("x", role="boss"),
    ]
    await app.bring()
    ann = await app.find("ann")
    assert (ann.role, ann.modules, ann.tenant, ann.password_hash) == (Role.ADMIN, {Module.HR}, "acme", Secret(OLD))
    assert (await app.find("bob")).tenant == "beta"
    assert [entry.event for entry in await app.audited()] == [Event.ACCOUNT_ADDED] * 2
    before = (await app.everything())[0]  # type: ignore[index]
    verdicts = await app.bring(GONE)
    assert all(verdict.account == verdict.after for verdict in verdicts if isinstance(verdict, Follow))
    assert (await app.everything())[0] == before  # type: ignore[index]
    assert len(await app.audited()) == 2


async def test_a_dry_run_says_the_same_and_writes_nothing(app: Application) -> None:
    app.users = [row("ann", role="admin"), row("bob"), row("cem")]
    await app.bring()
    app.users = [row("ann", name="Anna", role="admin", password_hash=NEW), row("bob", tenant="new"), row("dan")]
    before = await app.everything()
    now = next(clock)
    shown = await app.job(now).show(app.given, GONE)
    assert await app.everything() == before
    assert await app.job(now).apply(app.given, GONE) == shown


async def test_every_change_is_audited_with_its_source(app: Application) -> None:
    app.users = [row("ann", password_hash=OLD), row("bob")]
    await app.bring()
    app.users = [row("ann", name="Anna", tenant="beta", role="manager", modules="hr,legal", password_hash=NEW)]
    await app.bring(GONE)
    ann = await app.find("ann")
    assert (ann.name, ann.tenant, ann.role) == ("Anna", "beta", Role.MANAGER)
    assert (ann.modules, ann.password_hash) == ({Module.HR, Module.LEGAL}, Secret(NEW))
    assert (await app.find("bob")).status is Status.DISABLED
    entries = (await app.audited())[:4]
    assert [entry.event for entry in entries] == [
        Event.ACCOUNT_DISABLED, Event.PASSWORD_CHANGED, Event.ACCOUNT_ROLE_CHANGED, Event.ACCOUNT_UPDATED,
    ]  # fmt: skip
    assert {entry.details["by"] for entry in entries} == {"root, import from app"}
    told = {"name": "Ann -> Anna", "tenant": "acme -> beta", "modules": "none -> hr,legal"}
    assert {key: value for key, value in entries[3].details.items() if key != "by"} == told
    assert "$" not in json.dumps([dict(entry.details) for entry in entries])


async def test_who_is_gone_or_has_another_password_is_signed_out_at_once(app: Application, store_url: str) -> None:
    app.users = [row(name, password_hash=OLD) for name in ("ann", "bob", "cem")]
    await app.bring()
    async with worker(store_url) as lookup:
        keys = {name: (await add_session(app.store, await app.find(name)))[1] for name in ("ann", "bob", "cem")}
        assert all([await look(lookup, key) for key in keys.values()])
        app.users = [row("ann", password_hash=NEW), row("cem", name="Cem the Second", password_hash=OLD)]
        await app.bring(GONE)
        assert [name for name, key in keys.items() if await look(lookup, key)] == ["cem"]


async def test_a_password_changed_in_the_gateway_is_not_replaced_by_an_older_one(app: Application) -> None:
    async def change_here(name: str, text: str) -> None:
        account = await app.find(name)
        async with app.store.transaction() as tx:
            await change.set_password(action_in(tx, now=next(clock)), Factors(()), account, Secret(text))

    app.users = [row("ann", password_hash=OLD)]
    await app.bring()
    await change_here("ann", "pbkdf2:sha256:1000$ours$00")
    await app.bring()
    assert (await app.find("ann")).password_hash == Secret("pbkdf2:sha256:1000$ours$00")
    # Changed there after the last import, and here before it: the later one holds.
    app.users = [row("ann", password_hash=NEW)]
    await app.bring()
    assert (await app.find("ann")).password_hash == Secret(NEW)
    # Changed on both sides since: this one stays, and is not asked about again.
    await change_here("ann", "pbkdf2:sha256:1000$later$00")
    app.users = [row("ann", password_hash=OLD)]
    for _ in range(2):
        await app.bring()
        assert (await app.find("ann")).password_hash == Secret("pbkdf2:sha256:1000$later$00")
    # A query that leaves the hashes out for once forgets nothing.
    app.users = [row("ann")]
    await app.bring()
    app.users = [row("ann", password_hash=OLD)]
    await app.bring()
    assert (await app.find("ann")).password_hash == Secret("pbkdf2:sha256:1000$later$00")


async def test_a_hash_that_was_renewed_at_a_sign_in_is_no_change(app: Application) -> None:
    app.users = [row("ann", password_hash=OLD)]
    await app.bring()
    ann = await app.find("ann")
    async with app.store.transaction() as tx:
        await rows.set_password_hash(tx, ann.id, Secret("pbkdf2:sha256:9000$same$00"), replacing=Secret(OLD))
    await app.bring()
    assert (await app.find("ann")).password_hash == Secret("pbkdf2:sha256:9000$same$00")
    app.users = [row("ann", password_hash=NEW)]
    await app.bring()
    assert (await app.find("ann")).password_hash == Secret(NEW)


async def test_who_comes_back_is_enabled_and_who_was_disabled_here_is_not(app: Application) -> None:
    app.users = [row("ann"), row("bob")]
    await app.bring()
    bob = await app.find("bob")
    async with app.store.transaction() as tx:
        await change.set_status(action_in(tx), bob, Status.DISABLED)
    everybody, app.users = app.users, [row("cem")]
    await app.bring(GONE)
    assert (await app.find("ann")).status is Status.DISABLED
    app.users = everybody
    await app.bring(GONE)
    assert (await app.find("ann")).status is Status.ACTIVE
    assert (await app.find("bob")).status is Status.DISABLED
    assert (await app.find("cem")).status is Status.DISABLED


async def test_only_what_the_same_source_made_is_disabled(app: Application) -> None:
    async with app.store.transaction() as tx:
        assert await rows.add(tx, person("ann@acme.example"))
    app.users = [row("ann"), row("bob")]
    await app.bring(Wishes(adopt=True))
    app.users = [row("cem")]
    await app.bring(GONE, source="another app")
    app.users = [row("dan")]
    await app.bring(GONE)
    states = {name: (await app.find(name)).status.value for name in ("ann", "bob", "cem", "dan")}
    assert states == {"ann": "active", "bob": "disabled", "cem": "active", "dan": "active"}
    # Adopting it later does not make it the import's own.
    app.users = [row("ann")]
    await app.bring(Wishes(adopt=True))
    app.users = [row("dan")]
    await app.bring(GONE)
    assert (await app.find("ann")).status is Status.ACTIVE


async def test_a_few_thousand_users_are_brought_in_one_go(app: Application) -> None:
    app.users = [row(f"p{number}", password_hash=OLD) for number in range(2_100)]
    await app.bring()
    app.users = app.users[1:]
    verdicts = await app.bring(GONE)
    assert len(verdicts) == 2_100
    assert (await app.find("p0")).status is Status.DISABLED


@pytest.mark.parametrize("count", [2, BATCH])
async def test_a_batch_of_new_users_is_a_few_statements(app: Application, count: int) -> None:
    app.users = [row(f"p{number}", password_hash=OLD) for number in range(count)]
    planned = await app.job().show(app.given, PLAIN)
    with noted(app.store) as asked:
        await app.job().carry_out(planned)
    assert len(asked) < 20


async def test_two_imports_at_once_make_each_account_once(app: Application) -> None:
    app.users = [row(f"p{number}", role="admin" if number < 2 else "employee") for number in range(COUNT)]
    await asyncio.gather(app.bring(), app.bring(), app.bring())
    assert [entry.event for entry in await app.audited()] == [Event.ACCOUNT_ADDED] * COUNT
    app.users = app.users[50:]
    await asyncio.gather(app.bring(GONE), app.bring(GONE), app.bring(GONE))
    assert [entry.event for entry in await app.audited()][:50] == [*[Event.ACCOUNT_DISABLED] * 49, Event.ACCOUNT_ADDED]
    admins = [(await app.find(name)).status for name in ("p0", "p1")]
    assert sorted(admins) == [Status.ACTIVE, Status.DISABLED]


async def test_an_account_that_somebody_changes_meanwhile_is_left_alone(app: Application) -> None:
    """Whoever is quicker: what was planned is not done to an account that became another one."""
    app.users = [row("ann", role="admin"), row("bob", role="admin")]
    await app.bring()
    ann, bob = await app.find("ann"), await app.find("bob")
    app.users = [row("cem")]
    job = app.job()
    planned = await job.show(app.given, GONE)
    assert isinstance(planned[1], Disable)
    async with app.store.transaction() as tx:
        await change.set_role(action_in(tx), bob, Role.EMPLOYEE, bob.modules)
    assert await job.carry_out(planned) == [planned[0], Keep(ann, MEANWHILE), planned[2]]
    assert (await app.find("ann")).status is Status.ACTIVE


# In the shell.


@pytest.fixture
def shell(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, "127.0.0.1:1").seed()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(TABLE)
        connection.execute(ANN)
        connection.execute(
            "INSERT INTO users VALUES (3, 'erin@acme.example', 'Erin', NULL, FALSE, NULL), (4, 'x', 'X', NULL, 0, 0)"
        )
        connection.execute("INSERT INTO users VALUES (5, 'gil@acme.example', 'Gil', NULL, FALSE, NULL)")
    (tmp_path / "users.sql").write_text(QUERY)
    return path


def test_the_shell_shows_first_and_does_it_when_asked(shell: Gateway, users: Path) -> None:
    source = (
        "account",
        "import",
        "--from-sql",
        f"sqlite:///{users}",
        "--query-file",
        str(users.with_name("users.sql")),
    )
    before = shell.cli("account", "list").stdout, shell.cli("audit", "list").stdout
    shown = shell.cli(*source)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "row 1: would create ann@acme.example (Ann Ö., admin, default, no modules)",
        "row 2: would skip erin@acme.example: an account with this email already exists that this source didn't create; use --adopt to link it",
        "row 3: refused 'x': Enter a valid email address, like name@example.com.",
        "row 4: would create gil@acme.example (Gil, employee, default, no modules)",
        "would create 2, would update 0, unchanged 0, would disable 0, would skip 1, refused 1: nothing changed; add --apply to import",
        "1 account has no password yet, and no emails were sent. A password can be set at https://app.example.com/forgot-password, or an admin can invite them at https://app.example.com/admin/accounts",
    ]
    assert (shell.cli("account", "list").stdout, shell.cli("audit", "list").stdout) == before
    assert "refused 1: done" in shell.cli(*source, "--apply").stdout
    assert "row 1: unchanged ann@acme.example\n" in shell.cli(*source).stdout
    with contextlib.closing(sqlite3.connect(users, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE users SET full_name = 'Ann B', pw = 'pbkdf2:sha256:1$c$d', is_boss = FALSE WHERE id = 1"
        )
        connection.execute("DELETE FROM users WHERE id = 5")
    lines = shell.cli(*source, "--disable-missing", "--adopt", "--apply").stdout.splitlines()
    assert lines[0] == (
        "row 1: updated ann@acme.example: name: Ann Ö. -> Ann B; the password of the application; "
        "stays admin: the last admin of default, until there is another one"
    )
    assert lines[1].startswith("row 2: updated erin@acme.example: name: Erin Zoë -> Erin")
    assert lines[3:] == [
        "gone: disabled gil@acme.example",
        "created 0, updated 2, unchanged 0, disabled 1, skipped 0, refused 1: done",
    ]
    events = [entry["event"] for entry in json.loads(shell.cli("audit", "list", "--json").stdout)]
    assert events[0] == "account_disabled"
    assert {
        account["email"]: account["status"] for account in json.loads(shell.cli("account", "list", "--json").stdout)
    }["gil@acme.example"] == "disabled"


def test_a_query_without_rows_disables_nobody(shell: Gateway, users: Path) -> None:
    query = users.with_name("none.sql")
    query.write_text(QUERY.replace("ORDER BY id", "WHERE FALSE"))
    source = ("account", "import", "--from-sql", f"sqlite:///{users}", "--query-file", str(query))
    refused = shell.cli(*source, "--disable-missing", "--apply")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "the query returned no rows" in refused.stderr
    assert shell.cli(*source).stdout.startswith("would create 0")


MISTAKES = [
    ([], "give a CSV file, or --from-sql together with --query-file"),
    (["--from-sql", "sqlite:///{users}"], "give a CSV file, or --from-sql together with --query-file"),
    (["--query-file", "{query}"], "give a CSV file, or --from-sql together with --query-file"),
    (["{query}", "--from-sql", "sqlite:///{users}", "--query-file", "{query}"], "give a CSV file, or"),
    (["{query}", "--disable-missing"], "give a CSV file, or"),
    (["--from-sql", "sqlite:///{users}.none", "--query-file", "{query}"], "there is no file"),
    (["--from-sql", "mysql://x", "--query-file", "{query}"], "the application's database is sqlite:///file"),
    (["--from-sql", "sqlite:///{users}", "--query-file", "{users}"], "can't be read"),
    (["--from-sql", "sqlite:///{users}", "--query-file", "{query}.none"], "does not exist"),
    (["--from-sql", "sqlite:///{users}", "--query-file", "{query}", "--source", "x" * 201], "at most 200 characters"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES)
def test_a_mistake_is_one_clear_line(shell: Gateway, users: Path, arguments: list[str], said: str) -> None:
    if arguments and arguments[-1] == "{users}":
        users.write_bytes(b"\xff\xfe" * 100)
    query = users.with_name("users.sql")
    result = shell.cli("account", "import", *(text.format(users=users, query=query) for text in arguments))
    assert result.returncode != 0
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


async def test_postgresql_is_read_into_postgresql(
    postgres_server: postgres.Server, postgres_url: str, tmp_path: Path
) -> None:
    app = AppDatabase(postgres_server.create("their_app"))
    await run(app, TABLE, ANN)
    (tmp_path / "users.sql").write_text(QUERY)
    shell = Gateway(tmp_path, "127.0.0.1:1", store_url=postgres_url)
    source = ("account", "import", "--from-sql", app.url, "--query-file", str(tmp_path / "users.sql"), "--apply")
    assert "created 1, " in shell.cli(*source).stdout
    assert "unchanged 1" in shell.cli(*source).stdout


def test_an_imported_person_signs_in_and_is_refused_when_gone(tmp_path: Path, users: Path) -> None:
    from werkzeug.security import generate_password_hash

    from tests.support.upstream import RecordingUpstream

    upstream = RecordingUpstream().start()
    gateway = Gateway(tmp_path / "running", f"127.0.0.1:{upstream.port}").seed().start()
    source = (
        "account",
        "import",
        "--from-sql",
        f"sqlite:///{users}",
        "--query-file",
        str(users.with_name("users.sql")),
    )
    with contextlib.closing(sqlite3.connect(users, isolation_level=None)) as connection:
        hashed = generate_password_hash("what gil has there", "scrypt:1024:8:1")
        connection.execute("UPDATE users SET pw = ? WHERE id = 5", (hashed,))
        try:
            gateway.cli(*source, "--apply")
            fields = {"email": "gil@acme.example", "password": "what gil has there"}
            answer = gateway.post("/login", fields)
            assert answer.status == 303
            connection.execute("DELETE FROM users WHERE id = 5")
            gateway.cli(*source, "--apply", "--disable-missing")
            assert gateway.post("/login", fields).status == 422
        finally:
            gateway.stop()
            upstream.stop()
    assert PEOPLE["employee"][0] in gateway.cli("account", "list").stdout
