"""Tokens of provisioning: their format, and what administrators do with them on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.secret import Secret
from gateway.model.token import key_of
from gateway.scim import token
from tests.scim.conftest import CLAIM
from tests.scim.provider import Provider
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream

PAGE = "/admin/sso/provisioning"


def test_a_token_is_recognised_by_its_prefix_and_its_checksum() -> None:
    made = token.make()
    text = made.reveal()
    assert text.startswith("otw_scim_")
    assert len(text) == 9 + 43 + 6
    assert token.key_of_header(f"Bearer {text}".encode()) == key_of(made)
    assert token.key_of_header(f"bearer  {text}".encode()) == key_of(made)
    assert text not in repr(made)


@pytest.mark.parametrize("at", range(58))
def test_a_token_with_a_wrong_character_is_none(at: int) -> None:
    text = token.make().reveal()
    other = "b" if text[at] != "b" else "c"
    assert token.key_of_header(f"Bearer {text[:at]}{other}{text[at + 1 :]}".encode()) is None


@pytest.mark.parametrize(
    "value", ["{}", "Basic {}", "Bearer", "Bearer {}x", "Bearer x{}", "Bearer {} {}", "Bearer\t{}", "Bearer {}é"]
)
def test_another_header_has_no_token(value: str) -> None:
    text = token.make().reveal()
    assert token.key_of_header(value.replace("{}", text).encode()) is None


# The page.


@pytest.fixture
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path: Path) -> Iterator[Gateway]:
    mailbox.mails.clear()
    changes = {"SSO__ON": "true"}
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed().start()
    running.write(CLAIM, d="acme.example", t="acme")
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture
def adam(own: Gateway) -> Person:
    person = Person(own, "adam@acme.example", source="127.0.6.1")
    person.give_password(PAGE)
    return person


def create(person: Person, days: str = "365") -> str:
    page = person.send(PAGE, {"do": "created", "days": days}).body.decode()
    found = re.search(r"<code>(otw_scim_[A-Za-z0-9_-]+)</code>", page)
    assert found, page
    return found[1]


def token_ids(person: Person) -> list[str]:
    return re.findall(r'name="token" value="([^"]+)"', person.open(PAGE).body.decode())


def id_of(person: Person, made: str) -> str:
    """Return the id of a token, which the page shows the beginning of."""
    page = person.open(PAGE).body.decode()
    found = re.search(rf'<h3 id="([^"]+)"><code>{re.escape(made[:13])}…', page)
    assert found, page
    return found[1]


def test_a_token_is_shown_once_works_and_is_told_to_all_administrators(
    own: Gateway, adam: Person, mailbox: Mailbox
) -> None:
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'mara@acme.example'")
    made = create(adam)
    assert made not in adam.open(PAGE).body.decode()
    stored = own.write("SELECT key, expires_at - created_at FROM scim_tokens")
    assert [(bytes(key), seconds) for key, seconds in stored] == [(key_of(Secret(made)), 365 * 86_400)]
    for admin in ("adam@acme.example", "mara@acme.example"):
        mailbox.wait_for(admin, "A provisioning token was created")
    assert made not in str([str(mail) for mail in mailbox.mails])
    assert made not in own.logged()
    assert "Never" in adam.open(PAGE).body.decode()
    assert Provider(own, made).ask("GET", "/Users").status == 200
    used = own.write("SELECT used_at FROM scim_tokens")[0][0]
    assert used % 60 == 0
    assert own.write("SELECT event FROM audit WHERE event LIKE 'scim%'") == [("scim_token_created",)]


def test_a_revoked_token_is_refused_at_once_and_there_can_be_two(own: Gateway, adam: Person, mailbox: Mailbox) -> None:
    first, second = create(adam, "90"), create(adam, "180")
    assert "two tokens already" in adam.send(PAGE, {"do": "created", "days": "90"}).body.decode()
    for made in (first, second):
        assert Provider(own, made).ask("GET", "/Users").status == 200
    oldest = id_of(adam, first)
    asked = adam.send(PAGE, {"do": "revoked", "token": oldest})
    assert "Revoke this token?" in asked.body.decode()
    assert Provider(own, first).ask("GET", "/Users").status == 200
    done = adam.send(PAGE, {"do": "revoked", "token": oldest, "confirmed": "yes"})
    assert done.get("location") == f"{PAGE}?done=revoked"
    mailbox.wait_for("adam@acme.example", "A provisioning token was revoked")
    assert Provider(own, first).ask("GET", "/Users").status == 401
    assert Provider(own, second).ask("GET", "/Users").status == 200
    again = adam.send(PAGE, {"do": "revoked", "token": oldest, "confirmed": "yes"})
    assert "no longer exists" in again.body.decode()
    create(adam, "90")


def test_another_companys_administrator_revokes_nothing(own: Gateway, adam: Person) -> None:
    made = create(adam)
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    olga = Person(own, "olga@beta.example", source="127.0.6.2")
    olga.give_password(PAGE)
    assert token_ids(olga) == []
    olga.send(PAGE, {"do": "revoked", "token": token_ids(adam)[0], "confirmed": "yes"})
    assert Provider(own, made).ask("GET", "/Users").status == 200


def test_an_expired_token_is_refused(own: Gateway, adam: Person) -> None:
    made = create(adam)
    own.write("UPDATE scim_tokens SET expires_at = created_at - 1")
    assert Provider(own, made).ask("GET", "/Users").status == 401
    assert token_ids(adam) == []


@pytest.mark.parametrize("fields", [{"do": "created"}, {"do": "created", "days": "367"}, {"do": "created", "days": "0"},
    {"do": "created", "days": "-1"}, {"do": "created", "days": "x"}, {"do": "created", "days": "٣"}, {"do": "other"}, {}])  # fmt: skip
def test_what_the_page_does_not_offer_makes_no_token(own: Gateway, adam: Person, fields: dict[str, str]) -> None:
    assert adam.send(PAGE, fields).status == 400
    assert own.write("SELECT count(*) FROM scim_tokens") == [(0,)]


def test_an_employee_makes_no_token(own: Gateway) -> None:
    erin = Person(own, "erin@acme.example", source="127.0.6.3")
    erin.give_password()
    assert erin.open(PAGE).status == 403
    assert erin.send(PAGE, {"do": "created", "days": "90"}).status == 403


def test_a_page_of_another_site_makes_no_token(own: Gateway, adam: Person) -> None:
    foreign = own.post(PAGE, {"do": "created", "days": "90"}, adam.cookie_line, origin="https://evil.example")
    assert foreign.status == 403
    assert own.write("SELECT count(*) FROM scim_tokens") == [(0,)]
