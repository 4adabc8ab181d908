"""Two gateways on one PostgreSQL: what is good once is good once over both, and what is to be done once is done once."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres
from tests.support.gateway import PASSWORD, Gateway
from tests.support.owner import path_of
from tests.support.person import Person, code_of
from tests.support.raw import Response, get
from tests.support.smtp import SMTPServer
from tests.support.upstream import RecordingUpstream
from tests.threats.test_people import upload, wait_for_import

ROOT = Path(__file__).parents[2]
BROWSERS = 10
AUDITOR = "auditor@example.com"
LINK = re.compile(r"https://[^\s<>\"]+/login/link/[\w-]+")


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as running:
        running.create("shared")
        yield running


@pytest.fixture(scope="module")
def mails() -> Iterator[SMTPServer]:
    running = SMTPServer().start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def pair(
    server: postgres.Server,
    mails: SMTPServer,
    recorder: RecordingUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Gateway, Gateway]]:
    one, two = (
        Gateway(
            folder, f"127.0.0.1:{recorder.port}", store_url=server.url_of("shared"), mail_port=mails.port,
            changes={"AUDIT__CHECKPOINT_MAIL": AUDITOR, "TOKENS__ON": "true"},
        )
        for folder in (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two"))
    )  # fmt: skip
    one.seed()
    yield one.start(), two.start()
    one.stop()
    two.stop()


def ask(server: postgres.Server, query: str) -> Any:
    return server.use("shared", lambda connection: connection.fetchval(query))


def receive_all(server: postgres.Server, mails: SMTPServer) -> Counter[str]:
    """Wait until no mail is queued. Return how many each address has received."""
    while ask(server, "SELECT count(*) FROM outbox WHERE sent_at IS NULL"):
        time.sleep(0.25)
    return Counter(mail.recipients[0] for mail in mails.received)


def at_once(pieces: list[Callable[[], Response]]) -> list[Response]:
    with ThreadPoolExecutor(len(pieces)) as people:
        return list(people.map(lambda piece: piece(), pieces))


def served(ask: Callable[[], Response]) -> Response:
    """Ask, and again while the machine is so slow that the database counts as silent."""
    while (answer := ask()).status == 503:
        pass
    return answer


def browsers(pair: tuple[Gateway, Gateway], email: str) -> list[Person]:
    """Return browsers of one person, on both machines in turns, that have given the password."""
    found = [Person(pair[n % 2], email, source=f"127.0.6.{n + 1}") for n in range(BROWSERS)]
    for person in found:
        person.give_password()
    return found


def count_signed_in(people: list[Person], path: str, code: str) -> int:
    """Submit one code in all browsers at once, and return how many are signed in afterwards."""
    at_once([lambda person=person: person.submit(path, code=code) for person in people])  # type: ignore[misc]
    return [person.is_signed_in for person in people].count(True)


@pytest.fixture(scope="module")
def member(pair: tuple[Gateway, Gateway]) -> tuple[str, str, list[str]]:
    """Return the email of somebody who has set TOTP up, the key, and the backup codes."""
    person = Person(pair[0], "crowd0@acme.example")
    person.sign_in()
    return person.email, *person.enrol()


def test_one_totp_code_opens_one_session(pair: tuple[Gateway, Gateway], member: tuple[str, str, list[str]]) -> None:
    email, key, _ = member
    people = browsers(pair, email)
    code = code_of(pair[0], email, key)
    assert count_signed_in(people, "/login/totp", code) == 1


def test_one_backup_code_opens_one_session(pair: tuple[Gateway, Gateway], member: tuple[str, str, list[str]]) -> None:
    email, _, codes = member
    people = browsers(pair, email)
    for person in people:
        person.open("/login/backup?next=/probe")
    assert count_signed_in(people, "/login/backup", codes[0]) == 1


def test_one_mailed_link_is_good_once(
    pair: tuple[Gateway, Gateway], server: postgres.Server, mails: SMTPServer
) -> None:
    owner = Person(pair[0], "owner")
    owner.give_password("/platform")
    receive_all(server, mails)
    (mail,) = [mail for mail in mails.received if mail.recipients == [owner.email]]
    link = LINK.search(mail.message.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert link
    people = [Person(pair[n % 2], "owner") for n in range(BROWSERS)]
    for person in people:
        person.cookies = dict(owner.cookies)
    at_once([lambda person=person: person.send(path_of(link[0]), {}) for person in people])  # type: ignore[misc]
    proved = "event = 'login_step' AND details LIKE '%\"proved\": \"magic_link\"%'"
    assert ask(server, f"SELECT count(*) FROM audit WHERE {proved}") == 1


def test_five_wrong_passwords_on_both_machines_at_once_are_five(pair: tuple[Gateway, Gateway]) -> None:
    fields = {"email": "crowd9@acme.example", "password": "wrong"}
    answers = at_once([partial(served, partial(pair[n % 2].post, "/login", fields)) for n in range(20)])
    assert Counter(answer.status for answer in answers) == {422: 5, 429: 15}


def test_no_more_connections_are_opened_than_the_manual_says(
    pair: tuple[Gateway, Gateway], server: postgres.Server
) -> None:
    stated = re.search(r"at most (\d+) connections per worker", (ROOT / "docs/operations.md").read_text())
    assert stated
    workers = sum(len(gateway.workers()) for gateway in pair)
    fields = {"email": "crowd8@acme.example", "password": PASSWORD}
    opened = []
    with ThreadPoolExecutor(60) as people:
        answers = [people.submit(pair[n % 2].post, "/login", fields, source=f"127.0.8.{n + 1}") for n in range(120)]
        while not all(answer.done() for answer in answers):
            opened.append(ask(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'otium-gateway'"))
    assert {answer.result().status for answer in answers} <= {303, 503}  # 503: it waited for a connection for too long
    assert workers < max(opened) <= workers * int(stated[1])


def ask_everywhere(pair: tuple[Gateway, Gateway], token: str, path: str = "/probe") -> set[int]:
    """Return what a program is answered by the workers of both machines, in turns."""
    line = f"Authorization: Bearer {token}"
    return {pair[n % 2].exchange(get(path, line)).status for n in range(16)}


def made_by(gateway: Gateway, account: str) -> str:
    made = gateway.cli("token", "create", account, "--name", "A program")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


TOKEN_ENDS = {
    "revoked": lambda own, name: own.cli("token", "revoke", latest_token(own)),
    "found": lambda own, name: own.post("/_gateway/tokens/revoke", {"token": name[1]}),
    "disabled": lambda own, name: own.cli("account", "disable", name[0]),
    "secured": lambda own, name: own.cli("account", "secure", name[0], "--confirm"),
    "expired": lambda own, name: own.write("UPDATE api_tokens SET expires_at = 1"),
    "suspended": lambda own, name: own.write("UPDATE tenants SET status = 'suspended' WHERE slug = 'acme'"),
}


def latest_token(own: Gateway) -> str:
    ((token,),) = own.write("SELECT id FROM api_tokens ORDER BY created_at DESC, id DESC LIMIT 1")
    return str(token)


@pytest.mark.parametrize("kind", ["a person's", "a service account's"])
@pytest.mark.parametrize("end", TOKEN_ENDS.values(), ids=TOKEN_ENDS)
def test_a_token_that_ends_on_one_machine_is_refused_by_every_worker_of_both(
    pair: tuple[Gateway, Gateway], end: Callable[[Gateway, tuple[str, str]], object], kind: str
) -> None:
    one, two = pair
    one.write("DELETE FROM api_tokens")
    account = "crowd45@acme.example"
    if kind == "a service account's":
        account = one.cli("token", "service", "add", "Export", "--tenant", "acme").stdout.strip()
    token = made_by(one, account)
    try:
        assert ask_everywhere(pair, token) == {200}
        end(two, (account, token))
        assert ask_everywhere(pair, token) == {401}
    finally:
        two.write("UPDATE accounts SET status = 'active' WHERE identifier = 'crowd45@acme.example'")
        two.write("UPDATE tenants SET status = 'active'")


def test_a_demoted_owner_of_a_token_loses_the_right_on_both_machines_at_once(pair: tuple[Gateway, Gateway]) -> None:
    one, two = pair
    account = one.cli("token", "service", "add", "Reports", "--tenant", "acme", "--role", "manager").stdout.strip()
    token = made_by(one, account)
    assert ask_everywhere(pair, token, "/team") == {200}
    assert two.cli("account", "set-role", account, "employee").returncode == 0
    assert ask_everywhere(pair, token, "/team") == {403}
    assert ask_everywhere(pair, token) == {200}
    assert two.cli("token", "service", "remove", account, "--confirm").returncode == 0
    assert ask_everywhere(pair, token) == {401}


def test_each_mail_is_sent_once(pair: tuple[Gateway, Gateway], server: postgres.Server, mails: SMTPServer) -> None:
    people = [f"crowd{n}@acme.example" for n in range(10, 40)]

    def forget(n: int) -> Response:
        fields = {"email": people[n]}
        return served(lambda: pair[n % 2].post("/forgot-password", fields, source=f"127.0.7.{n + 1}"))

    asked = at_once([partial(forget, n) for n in range(len(people))])
    assert {answer.status for answer in asked} == {303}
    received = receive_all(server, mails)
    assert {email: received[email] for email in people} == dict.fromkeys(people, 1)


def test_a_file_of_people_is_imported_once(
    pair: tuple[Gateway, Gateway], server: postgres.Server, mails: SMTPServer
) -> None:
    people = [f"new{n}@acme.example" for n in range(60)]
    rows = ["email,name,department,role", *(f"{email},New,hr,employee" for email in people)]
    admin = Person(pair[0], "admin")
    admin.sign_in()
    where = upload(admin, "/admin/accounts/import", "\n".join(rows).encode())
    assert admin.send("/admin/accounts/import/start", {"id": where.partition("=")[2]}).status == 303
    wait_for_import(admin, where)
    assert ask(server, "SELECT count(*) FROM accounts WHERE identifier LIKE 'new%@acme.example'") == len(people)
    assert ask(server, "SELECT count(*) FROM audit WHERE event = 'account_invited'") == len(people)
    received = receive_all(server, mails)
    assert {email: received[email] for email in people} == dict.fromkeys(people, 1)


def test_a_checkpoint_is_signed_and_mailed_once(
    pair: tuple[Gateway, Gateway], server: postgres.Server, mails: SMTPServer
) -> None:
    pair[0].sign_in("employee")  # there is something new
    with ThreadPoolExecutor(6) as operators:
        done = list(operators.map(lambda n: pair[n % 2].cli("audit", "checkpoint"), range(6)))
    assert len({result.stdout for result in done}) == 1
    received = receive_all(server, mails)
    signed = ask(server, "SELECT count(*) FROM audit_marks WHERE kind = 'checkpoint'")
    assert signed >= 1
    assert received[AUDITOR] == signed
