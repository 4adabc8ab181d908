"""What reaches other people asks first, and says how many; the button on that page does it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from gateway.app.nouns import ROUTES
from gateway.policy.decision import Need
from tests.support.gateway import PEOPLE, Gateway
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream
from tests.threats.test_people import id_of

Fields = dict[str, str]
MEMBERS = 53  # of acme who may sign in
STATE = (
    "SELECT id, ended_at FROM sessions",
    "SELECT id, status FROM accounts",
    "SELECT slug, status FROM tenants",
    "SELECT network FROM blocks",
    "SELECT domain, tenant FROM domain_claims",
    "SELECT account, secret FROM totp",
)
WHAT = (
    "", "disabled", "removed", "suspended", "resumed", "enabled", "saved", "released", "device-out", "tokens-revoked",
)  # fmt: skip


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("confirm")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def owner(own: Gateway, mailbox: Mailbox) -> Person:
    return enrol_owner(own, mailbox, source="127.0.0.4")[0]


@pytest.fixture
def admin(own: Gateway, member: Person) -> Person:
    person = Person(own, "admin", source="127.0.0.3")
    person.sign_in()
    return person


@pytest.fixture
def member(own: Gateway) -> Person:
    """Somebody with two devices, on the networks 127.0.8.0/24 and 127.0.9.0/24; nobody else of acme is signed in."""
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE sessions SET ended_at = 1 WHERE address != '127.0.0.4'")
        connection.execute("DELETE FROM blocks")
    other = Person(own, source="127.0.9.1")
    other.sign_in()
    person = Person(own, source="127.0.8.1")
    person.sign_in()
    return person


def state(own: Gateway) -> list[list[tuple[object, ...]]]:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        return [sorted(connection.execute(query).fetchall(), key=str) for query in STATE]


def test_no_route_reaches_others_at_one_press(own: Gateway, owner: Person, admin: Person, member: Person) -> None:
    """O8: every form of an admin's and of the owner's pages, with everything that it could take."""
    erin, sent = id_of(own, member.email), 0
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('acme.example', 'acme', 1, 'o')"
    )
    fields = {
        "account": erin,
        "domain": "acme.example",
        "tenant": "acme",
        "network": "127.0.8.0/24",
        "hours": "1",
        "role": "employee",
        "name": "E",
    }
    before = state(own)
    for route in ROUTES:
        if route.need in (Need.ADMIN, Need.OWNER) and "{" not in route.path:
            for what in WHAT:
                for given in (
                    fields,
                    {**fields, "tenant": ""},
                    {"tenant": "acme", "do": what},
                    {"email": member.email},
                ):
                    person = admin if route.need is Need.ADMIN else owner
                    person.send(route.path, {**given, "do": what})
                    sent += 1
                    assert state(own) == before, (route.path, what, given)
    assert sent > 400
    assert member.is_signed_in


def numbers_on(page: Response) -> list[int]:
    """Return how many people and devices a page says that it reaches."""
    assert page.status == 200, page.status
    return [int(number) for number in re.findall(r"<dd>(\d+)</dd>", page.body.decode())]


def press(person: Person, path: str, fields: Fields) -> tuple[list[int], Response]:
    """Send a form, and the one that asks; return the numbers there, and the last answer."""
    numbers = numbers_on(person.send(path, fields))
    return numbers, person.submit(path, follow=False)


SWEEPS: list[tuple[str, Callable[[str], Fields], list[int], str]] = [
    ("/ops/accounts/sign-out", lambda account: {"account": account}, [1, 2], "device"),
    ("/ops", lambda _: {"email": PEOPLE["employee"][0]}, [1, 2], "device"),
    ("/ops", lambda _: {"tenant": "acme"}, [MEMBERS, 2], "device"),
    ("/ops/accounts/member", lambda account: {"account": account, "do": "disabled"}, [1, 2], "account"),
    ("/ops/tenants", lambda _: {"tenant": "acme", "do": "suspended"}, [MEMBERS, 2], "tenant"),
]


@pytest.mark.parametrize(
    ("path", "fields", "heading", "button"),
    [
        ("/ops/accounts/sign-out", {}, "Sign NAME out of all devices?", "Sign out all devices"),
        ("/ops/accounts/member", {"do": "disabled"}, "Disable the account of NAME?", "Disable account"),
        ("/ops", {"tenant": "acme"}, "Sign out everyone in acme?", "Sign out everyone"),
        ("/ops/tenants", {"tenant": "acme", "do": "suspended"}, "Suspend acme?", "Suspend"),
        ("/ops/block", {"network": "127.0.8.0/24", "hours": "1"}, "Block 127.0.8.0/24?", "Block"),
    ],
)
def test_the_page_that_asks_names_what_its_button_does(
    own: Gateway, owner: Person, member: Person, path: str, fields: Fields, heading: str, button: str
) -> None:
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        query = "SELECT id, name FROM accounts WHERE identifier = ?"
        account, name = connection.execute(query, (member.email,)).fetchone()
    page = owner.send(path, {"account": account, **fields}).body.decode().replace("<wbr>", "")
    assert f"<h1>{heading.replace('NAME', name)}</h1>" in page
    assert re.findall(r'<button type="submit">\s*([^<]*?)\s*</button>', page)[-1:] == [button]


@pytest.mark.parametrize(("path", "fields", "reached", "what"), SWEEPS)
def test_it_says_how_many_it_reaches_and_then_does_it(
    own: Gateway,
    owner: Person,
    member: Person,
    path: str,
    fields: Callable[[str], Fields],
    reached: list[int],
    what: str,
) -> None:
    account = id_of(own, member.email)
    numbers, done = press(owner, path, fields(account))
    assert numbers == reached
    assert done.status in (200, 303)
    assert not member.is_signed_in
    if what == "account":
        assert member.give_password().status == 422
        assert owner.send("/ops/accounts/member", {"account": account, "do": "enabled"}).status == 303
    if what == "tenant":
        assert member.give_password().status == 422
        assert owner.send("/ops/tenants", {"tenant": "acme", "do": "resumed"}).status == 303
    assert member.give_password().status == 200
    assert own.cli("session", "revoke", "--email", member.email).returncode == 0


def test_a_reset_of_two_step_verification_says_how_many_devices_it_signs_out(own: Gateway, owner: Person) -> None:
    mara = Person(own, "manager")
    mara.sign_in()
    numbers, done = press(owner, "/ops/accounts/reset-2fa", {"account": id_of(own, mara.email)})
    assert (numbers, done.status) == ([1, 1], 303)
    assert not mara.is_signed_in


def test_a_network_is_blocked_after_it_was_said_who_is_there(own: Gateway, owner: Person, member: Person) -> None:
    numbers, done = press(owner, "/ops/block", {"network": "127.0.8.7/24", "hours": "1"})
    assert numbers == [1, 1]
    assert done.get("location") == "/ops?done=blocked"
    assert member.is_signed_in
    assert "127.0.8.0/24" in owner.open("/ops").body.decode()


SHELL = [
    (("session", "revoke", "--tenant", "acme"), f"end the sessions of {MEMBERS} people in acme"),
    (("block", "add", "127.0.8.0/24"), "people signed in from there, who stay so: 1"),
    (("keys", "rotate"), "would be re-encrypted"),
]


@pytest.mark.parametrize(("arguments", "said"), SHELL)
def test_the_shell_says_how_many_and_does_it_when_confirmed(
    own: Gateway, member: Person, arguments: tuple[str, ...], said: str
) -> None:
    before = state(own)
    shown = own.cli(*arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert said in shown.stdout
    assert shown.stdout.endswith("nothing changed; add --confirm to apply\n")
    assert state(own) == before
    done = own.cli(*arguments, "--confirm")
    assert done.returncode == 0
    assert "nothing changed" not in done.stdout


def test_the_shell_does_at_once_what_is_about_one_account(own: Gateway, member: Person) -> None:
    assert own.cli("block", "add", "203.0.113.7").stdout == "203.0.113.7/32 is blocked for 24 hours\n"
    disabled = own.cli("account", "disable", member.email).stdout
    assert disabled.startswith(f"{member.email} is disabled; signed out of ")
    assert not member.is_signed_in
    assert own.cli("account", "enable", member.email).returncode == 0
