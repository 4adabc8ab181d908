"""The command line as an operator uses it: what it says, what it changes, how it fails."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway import __version__
from gateway.breaches.lists import digest_of
from tests.support.gateway import PASSWORD, Gateway, free_port


@pytest.fixture
def shell(tmp_path: Path) -> Gateway:
    """A store with people; nothing runs."""
    return Gateway(tmp_path, "127.0.0.1:1").seed()


def test_help_names_every_command(shell: Gateway) -> None:
    result = shell_help = shell.cli("account", "add", "x@y.example", "--help")
    assert shell_help.returncode == 0
    assert "--password-stdin" in result.stdout


def test_the_version_is_printed() -> None:
    command = [sys.executable, "-m", "gateway", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{__version__}\n"


FAILURES = [
    (["nope"], "No such command"),
    (["account", "disable", "nobody@acme.example"], "no account with the email nobody@acme.example"),
    (["account", "disable", "a@b@c"], "Enter a valid email address"),
    (["account", "set-role", "erin@acme.example", "boss"], "Unknown role. Use employee, manager or admin."),
    (["session", "revoke"], "give a session ID, --email or --tenant"),
    (["session", "revoke", "ses_none"], "no active session ses_none"),
    (["account", "add", "erin@acme.example", "--name", "Erin", "--password-stdin"], "already exists"),
    (["account", "add", "new@acme.example", "--name", "A\nB", "--password-stdin"], "line breaks"),
    (["explain", "GET"], "Missing argument"),
    (
        ["explain", "GET", "admin"],
        "'admin' is no path; write /admin, or a whole address like https://app.example.com/admin",
    ),
    (["explain", "/admin", "GET"], "'/admin' is no method; write one like GET, and behind it the path"),
    (["session", "revoke", "--tenant", "acmee"], "no tenant acmee. Existing tenants: acme, beta"),
    (["account", "list", "--tenant", "acmee"], "no tenant acmee. Existing tenants: acme, beta"),
    (["account", "list", "--tenant", "acmee", "--json"], "no tenant acmee. Existing tenants: acme, beta"),
    (["audit", "list", "--tenant", "acmee"], "no tenant acmee. Existing tenants: acme, beta"),
    (["audit", "export", "--tenant", "acmee"], "no tenant acmee. Existing tenants: acme, beta"),
    (["session", "list", "--email", "erinn@acme.example"], "no account with the email erinn@acme.example"),
    (["explain", "GET", "/", "--as", "erinn@acme.example"], "no account with the email erinn@acme.example"),
    (["audit", "erase", "erinn@acme.example"], "no account erinn@acme.example, and the audit log doesn't mention it"),
    (
        ["audit", "erase", "erinn@acme.example", "--confirm"],
        "no account erinn@acme.example, and the audit log doesn't mention it",
    ),
    (
        ["account", "add", "new@acme.example", "--name", "New"],
        "can't ask for a password without a terminal; use --password-stdin",
    ),
    (
        ["account", "set-password", "erin@acme.example"],
        "can't ask for a password without a terminal; use --password-stdin",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_failure_is_one_clear_line(shell: Gateway, arguments: list[str], said: str) -> None:
    result = shell.cli(*arguments, stdin="a long enough password\n")
    assert result.returncode != 0
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("otium-gateway: ")


def execute(shell: Gateway, *statements: str) -> None:
    with closing(sqlite3.connect(shell.store_url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


REFUSED_PASSWORDS = [
    ("short", "Use at least 12 characters"),
    ("aaaaaaaaaaaaaa", "are easy to guess"),
    ("erin@acme.example", "can’t contain your email address"),
    ("new@acme.example", "can’t contain your email address"),
    ("NewPerson2026", "based on your name"),
    ("a listed one of four words", "appeared in a data breach"),
    ("broken \udcff utf-8 and more", "can’t be typed"),
]


@pytest.fixture
def listed(shell: Gateway) -> Gateway:
    """The shell with a list of breached passwords."""
    digest = digest_of("a listed one of four words")
    (shell.folder / digest[:5]).write_text(f"{digest[5:]}:3\n")
    shell.environ["GATEWAY_PASSWORDS__BREACH_LIST"] = str(shell.folder)
    return shell


@pytest.mark.parametrize(("password", "said"), REFUSED_PASSWORDS)
def test_operators_set_passwords_under_the_same_policy(listed: Gateway, password: str, said: str) -> None:
    email = "erin@acme.example" if password.startswith("erin") else "new@acme.example"
    added = ("account", "add", email, "--name", "New Person", "--password-stdin")
    arguments = added if email.startswith("new") else ("account", "set-password", email, "--password-stdin")
    before = listed.cli("account", "list").stdout, listed.cli("audit", "list").stdout
    result = listed.cli(*arguments, stdin=f"{password}\n")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert said in result.stderr
    assert (listed.cli("account", "list").stdout, listed.cli("audit", "list").stdout) == before


def test_a_range_api_that_does_not_answer_is_in_the_audit_log_and_stops_no_operator(shell: Gateway) -> None:
    shell.environ["GATEWAY_PASSWORDS__BREACH_API"] = f"http://127.0.0.1:{free_port()}"
    email = "erin@acme.example"
    for arguments in (
        ["add", "new@acme.example", "--name", "New", "--password-stdin"],
        ["set-password", email, "--password-stdin"],
        ["unlock", "--email", email, "--reset-password", "--confirm"],
    ):
        result = shell.cli("account", *arguments, stdin="a long enough password\n")
        assert result.returncode == 0, result.stderr
        assert "breach_api_unavailable" in result.stderr
        assert "breach_api_unavailable" not in result.stdout
    entries = json.loads(shell.cli("audit", "list", "--json").stdout)
    told = [entry["event"] for entry in entries if json.loads(entry["details"]).get("breach_api") == "did not answer"]
    assert told == ["password_changed", "password_changed", "account_added"]


def test_a_password_is_never_an_argument(shell: Gateway) -> None:
    assert shell.cli("account", "add", "new@acme.example", "--name", "New", "--password", "x").returncode != 0


def test_bad_settings_are_all_listed(shell: Gateway) -> None:
    (shell.config / "access.toml").write_text('rules = [{ path = "x" }]\nowner = 1')
    result = shell.cli("check-config")
    assert result.returncode == 1
    assert "rules (1st entry).path" in result.stderr
    assert "access.toml: owner: there is no such key" in result.stderr


def test_good_settings_are_said_to_be_good(shell: Gateway) -> None:
    result = shell.cli("check-config")
    assert (result.returncode, result.stderr) == (0, "")
    assert "https://app.example.com" in result.stdout


def test_accounts_are_listed_for_people_and_for_scripts(shell: Gateway) -> None:
    assert "erin@acme.example" in shell.cli("account", "list").stdout
    accounts = json.loads(shell.cli("account", "list", "--tenant", "beta", "--json").stdout)
    assert [account["email"] for account in accounts] == ["olga@beta.example"]


def test_a_session_that_has_idled_out_is_listed_no_more(shell: Gateway) -> None:
    insert = (
        "INSERT INTO sessions (id, token_key, account, proofs, address, user_agent, started_at, seen_at)"
        " SELECT '{0}', '{0}', id, '[]', '', '', {1}, {1} FROM accounts WHERE identifier = 'erin@acme.example'"
    )
    execute(shell, insert.format("ses_live", int(time.time())), insert.format("ses_idle", 1_700_000_000))
    listed = json.loads(shell.cli("session", "list", "--json").stdout)
    execute(shell, "DELETE FROM sessions WHERE id IN ('ses_live', 'ses_idle')")
    assert [row["id"] for row in listed] == ["ses_live"]


def test_an_access_review_is_shown_to_people_and_scripts_and_its_export_is_logged(shell: Gateway) -> None:
    assert "erin@acme.example" in shell.cli("account", "review", "--tenant", "acme").stdout
    (olga,) = json.loads(shell.cli("account", "review", "--tenant", "beta", "--json", "--unseen", "90").stdout)
    assert (olga["email"], olga["second_step"], olga["last_seen"]) == ("olga@beta.example", "none", "")
    assert "access_exported" not in shell.cli("audit", "list").stdout
    lines = shell.cli("account", "review", "--tenant", "beta", "--csv").stdout.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["email", "olga@beta.example"]
    assert "access_exported" in shell.cli("audit", "list", "--tenant", "beta").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--tenant", "none"), "no tenant none"), (("--tenant", "acme", "--csv", "--json"), "not both")],
)
def test_an_access_review_that_can_not_be_is_refused(shell: Gateway, options: tuple[str, ...], said: str) -> None:
    result = shell.cli("account", "review", *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_tenant_of_whom_nothing_is_known_yet_is_an_empty_list(shell: Gateway) -> None:
    result = shell.cli("audit", "list", "--tenant", "beta", "--json")
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")


def test_the_log_does_not_say_that_it_was_exported_for_a_tenant_that_is_none(shell: Gateway) -> None:
    assert shell.cli("audit", "export", "--tenant", "acmee").stdout == ""
    assert "audit_exported" not in shell.cli("audit", "list").stdout


def test_only_the_first_of_many_tenants_are_named(shell: Gateway) -> None:
    execute(shell, *(f"INSERT INTO tenants (slug, name, status) VALUES ('t{n}', 'T', 'active')" for n in range(30)))
    said = shell.cli("account", "list", "--tenant", "nope").stderr
    assert said.endswith(" and 13 more\n")
    assert said.count(", ") == 19


def test_adding_somebody_says_whether_the_tenant_is_new(shell: Gateway) -> None:
    for tenant, said in (("acme", ""), ("acmee", "; its tenant acmee is new"), ("acmee", "")):
        email = f"{len(said)}-{tenant}@new.example"
        add = ("account", "add", email, "--name", "New", "--tenant", tenant, "--password-stdin")
        assert shell.cli(*add, stdin="seven green kettles on a raft\n").stdout == f"added {email}{said}\n"


def test_every_change_is_in_the_audit_log(shell: Gateway) -> None:
    email = "erin@acme.example"
    for arguments in (
        ["disable", email],
        ["enable", email],
        ["set-role", email, "manager"],
        ["set-password", email, "--password-stdin"],
    ):
        result = shell.cli("account", *arguments, stdin="a long enough password\n")
        assert result.returncode == 0, result.stderr
    shell.cli("session", "revoke", "--email", email)
    entries = json.loads(shell.cli("audit", "list", "--json").stdout)
    assert [entry["event"] for entry in entries[:5]] == [
        "session_revoked_all", "password_changed", "account_role_changed", "account_enabled", "account_disabled",
    ]  # fmt: skip
    assert all(json.loads(entry["details"])["by"] for entry in entries[:5])


EXPLANATIONS = [
    (["GET", "/public/x"], "forwarded without identity", "the entry /public"),
    (["GET", "/x"], "asked to sign in", "no entry"),
    (["GET", "/x", "--as", "erin@acme.example"], "forwarded with identity", "the rule /"),
    (["GET", "/admin", "--as", "erin@acme.example"], "refused with 403", "the rule /admin admits admin"),
    (["get", "/admin", "--as", "erin@acme.example"], "refused with 403", "the rule /admin"),
    (["GET", "/x//admin", "--as", "erin@acme.example"], "forwarded with identity", "the rule /"),
    (["GET", "//x/admin", "--as", "erin@acme.example"], "refused with 400", "This web address is ambiguous"),
    (
        ["GET", "https://app.example.com//x/admin", "--as", "adam@acme.example"],
        "refused with 400",
        "This web address is ambiguous",
    ),
    (["GET", "/%2fx/admin", "--as", "erin@acme.example"], "refused with 400", "This web address is ambiguous"),
    (["GET", "/%2561dmin", "--as", "erin@acme.example"], "refused with 403", "the rule /admin"),
    (["GET", "/public/ä b?next=https://evil.example/x"], "forwarded without identity", "the entry /public"),
    (["GET", "HTTPS://APP.example.com?x=1"], "asked to sign in", "no entry"),
    (["GET", "/admin/../x"], "refused with 400", "This web address is ambiguous"),
    (["GET", "https://evil.example/x"], "refused with 421", "isn’t available at this address"),
    (["GET", "https://app.example.com/public"], "forwarded without identity", "the entry /public"),
    (["POST", "/login"], "own pages", "open to everyone"),
    (["GET", "/platform", "--as", "adam@acme.example"], "refused with 403", "owner"),
    (["OPTIONS", "/x", "--as", "erin@acme.example"], "refused with 401", "lists OPTIONS"),
    (["OPTIONS", "/public/x"], "refused with 401", "lists OPTIONS"),
    (["OPTIONS", "/cors"], "forwarded without identity", "the entry /cors"),
    (["GET", "/x", "--as", "dora@acme.example"], "asked to sign in", "no entry"),
    (["MOVE", "/x", "--destination", "/y", "--as", "erin@acme.example"], "forwarded with identity", "the rule /"),
    (["MOVE", "/x", "--destination", "/team/y", "--as", "erin@acme.example"], "refused with 403", "the rule /team"),
    (["COPY", "/public/x", "--destination", "/x"], "asked to sign in", "it reaches /x"),
    (["COPY", "/x", "--destination", "https://evil.example/x"], "refused with 400", "we couldn’t understand"),
    (["PROPFIND", "/", "--depth", "infinity", "--as", "erin@acme.example"], "refused with 403", "it reaches /"),
    (["PROPFIND", "/", "--depth", "1", "--as", "erin@acme.example"], "forwarded with identity", "the rule /"),
]


@pytest.mark.parametrize(("arguments", "decision", "because"), EXPLANATIONS)
def test_explain_says_what_would_happen_and_why(
    shell: Gateway, arguments: list[str], decision: str, because: str
) -> None:
    result = shell.cli("explain", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    explanation = json.loads(result.stdout)
    assert decision in explanation["decision"]
    assert because in explanation["because"]


CSV = """email,name,department,role,tenant,password_hash
New@Acme.example,Nia Új,HR,employee,acme,pbkdf2:sha256:1000$salt$00ff
erin@acme.example,Erin,hr,employee,acme,
Twice@acme.example,One,hr,employee,acme,
twice@acme.example,Two,hr,boss,acme,
bad@@acme.example,Bad,hr,employee,acme,
x@acme.example,"Line
break",hr,employee,acme,
y@acme.example,Y,hr,boss,acme,
z@acme.example,Z,hr,employee,Acme Inc,
h@acme.example,H,hr,employee,acme,md5$x$y
fin@acme.example,Fin,Sales,manager,,
Otto@otium.example,Otto,,admin,otium,pbkdf2:sha256:1000$salt$00ff
"""


def test_an_import_is_shown_first_and_done_when_asked(shell: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode())
    before = shell.cli("account", "list").stdout
    shown = shell.cli("account", "import", str(file))
    assert shown.returncode == 0, shown.stderr
    assert "would create 2, would skip 1, refused 8: nothing changed; add --apply to import" in shown.stdout
    assert "row 2: would create new@acme.example (Nia Új, employee, acme, hr)" in shown.stdout
    assert "row 3: would skip erin@acme.example: this person already has an account" in shown.stdout
    assert "row 4: refused 'twice@acme.example': duplicate of row 5" in shown.stdout
    assert "row 5: refused 'twice@acme.example': Unknown role. Use employee, manager or admin." in shown.stdout
    assert "row 6: refused 'bad@@acme.example'" in shown.stdout
    assert "row 12: refused 'otto@otium.example': platform owners are not imported" in shown.stdout
    assert "warning: no department 'sales', departments that give access are finance, hr, legal" in shown.stdout
    assert shown.stdout.splitlines()[-1] == (
        "1 account has no password yet, and no emails were sent. A password can be set at "
        "https://app.example.com/forgot-password, or an admin can invite them at https://app.example.com/admin/accounts"
    )
    assert shell.cli("account", "list").stdout == before
    done = shell.cli("account", "import", str(file), "--apply").stdout
    assert "created 2, skipped 1, refused 8: done" in done
    assert "row 2: created new@acme.example (Nia Új, employee, acme, hr)" in done
    accounts = {account["email"]: account for account in json.loads(shell.cli("account", "list", "--json").stdout)}
    assert accounts["new@acme.example"]["modules"] == "hr"
    assert accounts["new@acme.example"]["password"] == "set"
    assert accounts["fin@acme.example"] == {
        "email": "fin@acme.example", "name": "Fin", "tenant": "default", "role": "manager", "modules": "", "status": "active", "password": "none", "second_step": "none", "kind": "person",
    }  # fmt: skip
    assert "would create 0, would skip 3, refused 8" in shell.cli("account", "import", str(file)).stdout


def test_a_file_with_semicolons_is_read(shell: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Email;Name;Department;Role\na@acme.example;A;;admin\n")
    assert "would create 1" in shell.cli("account", "import", str(file)).stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"email,name\n", "department is missing"),
        (b"email|name|department|role\n", "with commas or semicolons"),
        (b"\xff\xfe\x00", "isn’t UTF-8"),
        (b"", "must name the columns"),
    ],
)
def test_a_file_that_is_no_list_of_accounts_is_refused(
    shell: Gateway, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(content)
    result = shell.cli("account", "import", str(file), "--apply")
    assert result.returncode == 1
    assert said in result.stderr


def test_an_imported_hash_signs_in_and_is_renewed(tmp_path: Path) -> None:
    """Every kind of hash that OtiumWork may hold."""
    from argon2 import PasswordHasher
    from werkzeug.security import generate_password_hash

    from tests.support.upstream import RecordingUpstream

    hashes = {
        "pbkdf2": generate_password_hash(PASSWORD, "pbkdf2:sha256:2000"),
        "sha512": generate_password_hash(PASSWORD, "pbkdf2:sha512:2000"),
        "scrypt": generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
        "argon": PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD),
    }
    file = tmp_path / "people.csv"
    rows = [f"{name}@acme.example,{name},,employee,acme,{'{}'}" for name in hashes]
    lines = "\n".join(row.format('"' + value + '"') for row, value in zip(rows, hashes.values(), strict=True))
    file.write_text("email,name,department,role,tenant,password_hash\n" + lines)
    upstream = RecordingUpstream().start()
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    assert "created 4" in gateway.cli("account", "import", str(file), "--apply").stdout
    gateway.start()
    try:
        for _ in range(2):
            for name in hashes:
                response = gateway.post("/login", {"email": f"{name}@acme.example", "password": PASSWORD})
                assert response.status == 303, name
                assert gateway.post("/login", {"email": f"{name}@acme.example", "password": "wrong"}).status == 422
    finally:
        gateway.stop()
        upstream.stop()
    import sqlite3

    with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
        stored = [
            row[0]
            for row in connection.execute(
                "SELECT password_hash FROM accounts WHERE identifier LIKE '%@acme.example' AND name IN ('pbkdf2','sha512','scrypt','argon')"
            )
        ]
    assert len(stored) == 4
    assert all(value.startswith("pbkdf2:sha256:1000$") for value in stored)


def test_tokens_and_service_accounts_are_made_and_ended_in_the_shell(shell: Gateway) -> None:
    added = shell.cli(
        "token", "service", "add", "Payroll export", "--tenant", "acme", "--role", "manager", "--module", "finance"
    )
    name = added.stdout.strip()
    assert name.endswith("@service.invalid")
    made = shell.cli("token", "create", name, "--name", "Night", "--path", "/export", "--read-only", "--json")
    token = json.loads(made.stdout)
    assert (token["account"], token["token"][:8]) == (name, "otw_svc_")
    assert shell.cli("token", "create", "erin@acme.example", "--name", "x").stdout.startswith("otw_pat_")
    (listed,) = json.loads(shell.cli("token", "list", name, "--json").stdout)
    assert (listed["id"], listed["paths"], listed["role"]) == (token["id"], "/export", "manager")
    (service,) = json.loads(shell.cli("token", "service", "list", "--tenant", "acme", "--json").stdout)
    assert (service["user_name"], service["tokens"]) == (name, 1)
    assert json.loads(shell.cli("token", "service", "list", "--json").stdout) == [service]
    shown = json.loads(shell.cli("account", "show", name, "--json").stdout)
    assert (shown["role"], shown["modules"], shown["password"]) == ("manager", "finance", "none")
    kinds = {row["email"]: row["kind"] for row in json.loads(shell.cli("account", "list", "--json").stdout)}
    assert (kinds[name], kinds["erin@acme.example"]) == ("service account", "person")
    assert "it has API tokens only" in shell.cli("account", "set-password", name, "--password-stdin", stdin="x").stderr
    explained = [shell.cli("explain", "GET", path, "--as", name).stdout for path in ("/team", "/admin", "/me/security")]
    assert ["refused with 403" in text for text in explained] == [False, True, True]
    secured = shell.cli("account", "secure", name, "--confirm")
    assert secured.stdout == "ended 0 sessions and 1 API token\n"
    assert "with 0 valid tokens" in shell.cli("token", "service", "remove", name).stdout
    assert shell.cli("token", "service", "remove", name, "--confirm").stdout == f"removed {name}\n"
    assert f"no account with the email {name}" in shell.cli("token", "list", name).stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--role", "admin"], "erin@acme.example is employee: a token can't have a higher role"),
        (["--role", "boss"], "--role can't be used: see --help"),
        (["--days", "367"], "--days can't be used: see --help"),
        (["--path", "no"], "--path can't be used: no"),
        (["--network", "192.0.2.0/99"], "--network can't be used: 192.0.2.0/99"),
    ],
)
def test_a_token_that_cant_be_is_refused_in_one_line(shell: Gateway, more: list[str], said: str) -> None:
    refused = shell.cli("token", "create", "erin@acme.example", "--name", "x", *more)
    assert (refused.returncode, refused.stderr.strip(), refused.stdout) == (1, f"otium-gateway: {said}", "")


def test_the_shell_keeps_to_the_number_of_tokens_a_day(shell: Gateway) -> None:
    shell.write(
        """WITH RECURSIVE made (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM made WHERE number < 100)
           INSERT INTO api_tokens (id, account, digest, kind, name, role, methods, paths, networks, created_at, expires_at,
                                   revoked_at)
           SELECT 'tok_made' || number, accounts.id, randomblob(32), 'personal', 'x', 'employee', '', '', '', :now, :now, :now
             FROM made, accounts WHERE identifier = 'mara@acme.example'""",
        now=int(time.time()),
    )
    refused = shell.cli("token", "create", "mara@acme.example", "--name", "x")
    assert "mara@acme.example got 100 tokens within a day" in refused.stderr


def test_some_accounts_get_no_token_in_the_shell(shell: Gateway) -> None:
    assert "platform owners can't" in shell.cli("token", "create", "otto@otium.example", "--name", "x").stderr
    assert "is disabled" in shell.cli("token", "create", "dora@acme.example", "--name", "x").stderr
    assert "is a person's account" in shell.cli("token", "service", "remove", "erin@acme.example").stderr
