"""Roles by a real provider that behaves as Entra ID: the page, new accounts, later sign-ins, and too many groups."""

from __future__ import annotations

import itertools
import uuid

import pytest

from tests.sso.journey import GATEWAY, Employee, connect, try_out
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, PlainBrowser, Realm, User
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.raw import Response

PAGE = "/admin/sso/roles"
LEADS, MONEY = str(uuid.uuid4()), str(uuid.uuid4())
MANY = tuple(str(uuid.uuid4()) for _ in range(201))
ROWS = (("role", "Admins", "admin"), ("role", "People", "hr"), ("group", LEADS, "manager"), ("group", MONEY, "finance"))
numbers = itertools.count()
ERIN, ADAM, MARA = (
    User(str(uuid.uuid4()), f"{name}@acme.example", name.capitalize()) for name in ("erin", "adam", "mara")
)


def form(*rows: tuple[str, str, str], **more: str) -> dict[str, str]:
    fields = {"do": "saved", "claim": "roles", "default": "employee", **more}
    for at, (source, value, gives) in enumerate(rows):
        fields |= {f"source-{at}": source, f"value-{at}": value, f"gives-{at}": gives}
    return fields


@pytest.fixture(scope="module")
def realm(identity_provider: IdentityProvider) -> Realm:
    return identity_provider.entra(users=[ERIN], clients=[GATEWAY], optional_claims=["auth_time"])


@pytest.fixture(scope="module")
def adam(own: Gateway, realm: Realm) -> Employee:
    return connect(own, realm, subject=ERIN.id, kind="entra", creates_accounts="yes")


def save(adam: Person, *rows: tuple[str, str, str], **more: str) -> None:
    assert adam.send(PAGE, form(*rows, **more)).get("location") == f"{PAGE}?done=saved"


def newcomer(realm: Realm, **what: object) -> User:
    user = User(
        str(uuid.uuid4()), f"new{next(numbers)}@acme.example", "Nina New", claims={"xms_edov": True}, **what  # type: ignore[arg-type]
    )  # fmt: skip
    realm.set(users=[ERIN, user])
    return user


def arrive(own: Gateway, realm: Realm, user: User) -> Response:
    """Sign in as somebody at the provider, in a new browser."""
    person = Employee(own, realm.provider, user.email)
    return person.come_back(person.leave(), user.id)


def rights_of(own: Gateway, user: User) -> list[tuple[object, ...]]:
    return own.write("SELECT role, modules, name FROM accounts WHERE identifier = :email", email=user.email)


@pytest.mark.parametrize(
    ("what", "rights"),
    [
        ({}, ("employee", "", "Nina New")),
        ({"roles": ("Admins", "People")}, ("admin", "hr", "Nina New")),
        ({"groups": (LEADS, MONEY, MANY[0])}, ("manager", "finance", "Nina New")),
        ({"groups": (LEADS,), "roles": ("Admins",)}, ("admin", "", "Nina New")),
        ({"groups": (LEADS, *MANY)}, ("employee", "", "Nina New")),
        ({"groups": (LEADS, *MANY), "roles": ("Admins",)}, ("admin", "", "Nina New")),
    ],
)
def test_a_new_account_has_the_role_of_the_rows(
    own: Gateway, adam: Employee, realm: Realm, what: dict[str, object], rights: tuple[str, str, str]
) -> None:
    save(adam, *ROWS)
    user = newcomer(realm, **what)
    assert arrive(own, realm, user).get("location") == "/probe"
    assert rights_of(own, user) == [rights]


def test_a_mailed_confirmation_uses_the_rows_of_that_moment(
    own: Gateway, adam: Employee, realm: Realm, mailbox: Mailbox
) -> None:
    save(adam, *ROWS)
    user = User(str(uuid.uuid4()), f"new{next(numbers)}@acme.example", "Nina", roles=("Admins", "People"))
    realm.set(users=[ERIN, user])
    person = Employee(own, realm.provider, user.email)
    assert "Check your email" in person.come_back(person.leave(), user.id).body.decode()
    save(adam, *ROWS[1:])  # nobody becomes an administrator any more
    assert "Account connected" in person.confirm(mailbox).body.decode()
    assert rights_of(own, user) == [("employee", "hr", "Nina")]


def test_roles_and_names_follow_only_if_that_is_switched_on(own: Gateway, adam: Employee, realm: Realm) -> None:
    save(adam, *ROWS)
    user = newcomer(realm, groups=(LEADS, MONEY))
    assert arrive(own, realm, user).get("location") == "/probe"
    changed = User(user.id, user.email, "Nina Married", roles=("Admins",), claims={"xms_edov": True})
    realm.set(users=[ERIN, changed])
    arrive(own, realm, changed)
    assert rights_of(own, user) == [("manager", "finance", "Nina New")]
    save(adam, *ROWS, roles_follow="yes", names_follow="yes")
    arrive(own, realm, changed)
    assert rights_of(own, user) == [("admin", "", "Nina Married")]
    rows = own.write(
        "SELECT event, actor FROM audit WHERE identifier = :email AND actor <> '' ORDER BY id", email=user.email
    )
    assert rows == [("account_renamed", realm.issuer), ("account_role_changed", realm.issuer)]


def test_a_person_in_too_many_groups_keeps_what_they_have(own: Gateway, adam: Employee, realm: Realm) -> None:
    save(adam, *ROWS, roles_follow="yes")
    user = newcomer(realm, groups=(LEADS, MONEY))
    arrive(own, realm, user)
    realm.set(users=[ERIN, User(user.id, user.email, user.name, groups=(LEADS, *MANY))])
    arrive(own, realm, user)
    assert rights_of(own, user) == [("manager", "finance", "Nina New")]
    realm.set(users=[ERIN, User(user.id, user.email, user.name)])
    arrive(own, realm, user)
    assert rights_of(own, user) == [("employee", "", "Nina New")]


def test_a_demotion_holds_on_the_next_request_of_other_devices(own: Gateway, adam: Employee, realm: Realm) -> None:
    save(adam, *ROWS, roles_follow="yes")
    user = newcomer(realm, roles=("Admins",))
    first = Employee(own, realm.provider, user.email)
    first.come_back(first.leave(), user.id)
    assert first.open("/admin/accounts", follow=False).status == 200
    realm.set(users=[ERIN, User(user.id, user.email, user.name)])
    arrive(own, realm, user)
    assert first.open("/admin/accounts", follow=False).status == 403


# The trial.


def test_the_trial_says_which_role_and_why(adam: Employee, realm: Realm) -> None:
    save(adam, *ROWS)
    user = newcomer(realm, roles=("People",), groups=(LEADS,))
    adam.elsewhere = PlainBrowser(realm.provider)  # where nobody is signed in yet
    page = try_out(adam, user.id)
    assert "This person would have:" in page
    assert "<strong>Manager, HR</strong>" in page
    assert f"<code>{LEADS}</code>: Manager" in page
    assert "<code>People</code>: HR" in page
    assert "too many groups" not in page


def test_the_trial_warns_of_too_many_groups(adam: Employee, realm: Realm) -> None:
    save(adam, *ROWS)
    adam.elsewhere = PlainBrowser(realm.provider)
    page = try_out(adam, newcomer(realm, groups=(LEADS, *MANY)).id)
    assert "use app roles" in page
    assert "No row matches." in page
    assert "<strong>Employee</strong>" in page


# The page.


def test_the_page_shows_what_was_saved(adam: Employee) -> None:
    rows = (("role", 'a "quoted" <value>', "admin"), ("group", "Ünïts", "legal"))
    save(adam, *rows, ("role", " ", "admin"), rows[0], claim="https://acme.example/roles", default="manager")
    page = adam.open(PAGE).body.decode()
    assert 'value="a &#34;quoted&#34; &lt;value&gt;"' in page
    assert 'value="Ünïts"' in page
    assert 'value="https://acme.example/roles"' in page
    assert '<option value="manager" selected>' in page
    assert page.count('name="value-') == 2 + 3  # the empty row and the repeated one are gone; three are spare


def test_more_rows_are_shown_and_nothing_is_saved(own: Gateway, adam: Employee) -> None:
    save(adam, *ROWS)
    page = adam.send(PAGE, form(("role", "Unsaved", "admin"), do="more")).body.decode()
    assert 'value="Unsaved"' in page
    assert page.count('name="value-') == 11
    assert "Unsaved" not in adam.open(PAGE).body.decode()
    fifty = [("role", f"r{n}", "admin") for n in range(49)]
    assert adam.send(PAGE, form(*fifty, do="more")).body.decode().count('name="value-') == 50
    save(adam, *(("role", f"r{n}", "admin") for n in range(60)))
    assert adam.open(PAGE).body.decode().count('name="value-') == 50


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        ([("role", "x" * 257, "admin")], {}),
        ([("role", "a\u202eb", "admin")], {}),
        ([("badge", "x", "admin")], {}),
        ([("role", "x", "owner")], {}),
        ([("role", "x", "")], {}),
        ([], {"claim": "x" * 101}),
        ([], {"claim": "a\u0007b"}),
        ([], {"default": "admin"}),
        ([], {"default": ""}),
    ],
)
def test_what_is_no_mapping_is_not_saved(
    adam: Employee, rows: list[tuple[str, str, str]], more: dict[str, str]
) -> None:
    save(adam, *ROWS)
    assert adam.send(PAGE, form(*rows, **more)).status == 422
    assert LEADS in adam.open(PAGE).body.decode()


def test_saving_needs_a_provider_an_administrator_and_a_fresh_proof(own: Gateway, adam: Employee) -> None:
    olga = Person(own, "olga@beta.example", source="127.0.5.9")
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    olga.give_password(PAGE)
    assert "Connect your provider first" in olga.open(PAGE).body.decode()
    assert olga.send(PAGE, form(*ROWS)).status == 400
    erin = Person(own, "erin@acme.example", source="127.0.5.10")
    erin.give_password()
    assert erin.open(PAGE, follow=False).status == 403
    assert erin.send(PAGE, form(*ROWS)).status == 403


def test_an_administrator_who_would_demote_themselves_is_asked(
    own: Gateway, adam: Employee, realm: Realm, mailbox: Mailbox
) -> None:
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'mara@acme.example'")
    save(adam, *ROWS)
    realm.set(users=[MARA])
    mara = Employee(own, realm.provider, MARA.email)
    assert "Check your email" in mara.come_back(mara.leave(), MARA.id).body.decode()
    mara.confirm(mailbox)
    mara.come_back(mara.leave(PAGE), MARA.id)
    asked = mara.send(PAGE, form(*ROWS, roles_follow="yes"))
    assert asked.status == 200
    assert "Give up your own admin role?" in asked.body.decode()
    assert "be: Employee" in asked.body.decode()
    assert 'name="roles_follow" value="yes" checked' not in mara.open(PAGE).body.decode()
    mara.send(PAGE, form(*ROWS, roles_follow="yes"))
    assert mara.submit(PAGE, follow=False, do="saved").get("location") == f"{PAGE}?done=saved"
    mara.come_back(mara.leave(), MARA.id)
    assert rights_of(own, MARA)[0][0] == "employee"


def test_the_last_administrator_keeps_the_role(own: Gateway, adam: Employee, realm: Realm, mailbox: Mailbox) -> None:
    """The last test of this module: all other administrators are none after it."""
    save(adam, *ROWS, roles_follow="yes")
    own.write("UPDATE accounts SET role = 'employee' WHERE tenant = 'acme' AND identifier <> 'adam@acme.example'")
    realm.set(users=[ADAM])
    linked_adam = Employee(own, realm.provider, ADAM.email)
    linked_adam.come_back(linked_adam.leave(), ADAM.id)
    linked_adam.confirm(mailbox)
    assert linked_adam.come_back(linked_adam.leave(), ADAM.id).get("location") == "/probe"
    assert rights_of(own, ADAM)[0][0] == "admin"
    mailbox.wait_for(ADAM.email, "only administrator kept the role")
    found = own.write("SELECT count(*) FROM audit WHERE event = 'sso_role_kept' AND identifier = :who", who=ADAM.email)
    assert found == [(1,)]
