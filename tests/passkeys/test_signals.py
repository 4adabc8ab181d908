"""What password managers are told of passkeys. Chromium's virtual authenticators delete and rename them accordingly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.authenticator import Authenticator, base64url
from tests.support.gateway import Gateway
from tests.support.upstream import RecordingUpstream
from tests.threats.test_passkeys import Holder

OWN = "account = (SELECT id FROM accounts WHERE identifier = :who)"
SECONDS = 120  # only for what never comes


def noted(who: Person, event: str) -> list[dict[str, Any]]:
    """Return a list to which Chromium adds what happens to the passkeys of somebody."""
    found: list[dict[str, Any]] = []
    who.tools.on(f"WebAuthn.{event}", lambda said: found.append(said))
    return found


def wait_for(who: Person, found: list[dict[str, Any]]) -> dict[str, Any]:
    until = time.monotonic() + SECONDS
    while not found:
        assert time.monotonic() < until, "Chromium was told nothing"
        who.page.evaluate("0")  # a turn of the browser
    return found[0]


def have_no_other(own: Gateway, who: Person) -> None:
    """Take the person's only passkey out of the store, and put in another that nothing here has."""
    own.write(f"UPDATE passkeys SET credential = :other WHERE {OWN}", other=b"another".ljust(32), who=who.email)


def signed_in(person: MakePerson, email: str) -> tuple[Person, str]:
    who = person(email)
    phone = who.plug_in()
    who.give_password("/me/security")
    who.add_passkey()
    return who, phone


def tells_nothing(who: Person) -> bool:
    return who.page.locator("[data-passkeys], script[src*=signals]").count() == 0


def test_a_passkey_that_no_account_has_is_forgotten(own: Gateway, person: MakePerson) -> None:
    erin, phone = with_passkey(person, "crowd43@acme.example")
    erin.without_autofill()
    deleted = noted(erin, "credentialDeleted")
    own.write(f"DELETE FROM passkeys WHERE {OWN}", who=erin.email)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("alert")).to_contain_text("isn’t known here")
    wait_for(erin, deleted)
    assert erin.credentials(phone) == []


def test_a_refused_passkey_that_an_account_has_is_kept(own: Gateway, person: MakePerson) -> None:
    erin, phone = with_passkey(person, "crowd44@acme.example")
    erin.without_autofill()
    own.write("UPDATE accounts SET status = 'disabled' WHERE identifier = :who", who=erin.email)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("alert")).to_contain_text("couldn’t be verified")
    assert tells_nothing(erin)
    assert len(erin.credentials(phone)) == 1


def test_the_security_page_keeps_accepted_passkeys_and_tells_the_name(own: Gateway, person: MakePerson) -> None:
    erin, phone = signed_in(person, "crowd45@acme.example")
    updated = noted(erin, "credentialUpdated")
    own.write("UPDATE accounts SET name = 'Érin <b>\"Zoë\"</b>' WHERE identifier = :who", who=erin.email)
    erin.open("/me/security")
    told = wait_for(erin, updated)["credential"]
    assert (told["userName"], told["userDisplayName"]) == (erin.email, 'Érin <b>"Zoë"</b>')
    assert len(erin.credentials(phone)) == 1


def test_the_security_page_has_passkeys_forgotten_that_are_no_longer_accepted(own: Gateway, person: MakePerson) -> None:
    erin, phone = signed_in(person, "crowd46@acme.example")
    deleted = noted(erin, "credentialDeleted")
    have_no_other(own, erin)
    erin.open("/me/security")
    wait_for(erin, deleted)
    assert erin.credentials(phone) == []


def test_whoever_removes_the_last_one_has_it_forgotten(person: MakePerson) -> None:
    erin, phone = signed_in(person, "crowd47@acme.example")
    deleted = noted(erin, "credentialDeleted")
    erin.open("/me/security")
    erin.page.get_by_role("link", name="Change Passkey").click()
    erin.press("Remove")
    expect(erin.page.get_by_role("status")).to_contain_text("Passkey removed")
    wait_for(erin, deleted)
    assert erin.credentials(phone) == []


@pytest.mark.parametrize(
    ("email", "change"),
    [
        ("crowd48@acme.example", "DELETE FROM passkeys"),
        ("crowd49@acme.example", "UPDATE passkeys SET rp_id = 'old.example.com'"),
    ],
    ids=["none", "of another address"],
)
def test_a_list_that_is_empty_for_another_reason_is_not_told(
    own: Gateway, person: MakePerson, email: str, change: str
) -> None:
    erin, phone = signed_in(person, email)
    own.write(f"{change} WHERE {OWN}", who=erin.email)
    erin.open("/me/security")
    expect(erin.page.get_by_role("heading", name="Passkeys")).to_be_visible()
    assert tells_nothing(erin)
    assert len(erin.credentials(phone)) == 1


DEAF = {
    "without signals": "for (const name in Object.getOwnPropertyDescriptors(PublicKeyCredential))"
    " if (name.startsWith('signal')) delete PublicKeyCredential[name]",
    "without passkeys": "delete window.PublicKeyCredential",
    "refusing": "PublicKeyCredential.signalAllAcceptedCredentials = async () => { throw new TypeError('no') }",
    "broken": "PublicKeyCredential.signalAllAcceptedCredentials = () => { throw new TypeError('no') }",
}


@pytest.mark.parametrize(("number", "script"), list(enumerate(DEAF.values(), 30)), ids=DEAF)
def test_a_browser_that_does_not_listen_shows_the_page_all_the_same(
    person: MakePerson, number: int, script: str
) -> None:
    erin, _ = signed_in(person, f"crowd{number}@acme.example")
    errors: list[object] = []
    erin.page.on("pageerror", lambda error: errors.append(error))
    erin.context.add_init_script(script)
    erin.open("/me/security")
    expect(erin.page.locator("[data-passkeys]")).to_have_count(1)
    assert erin.page.evaluate("typeof signal") == "function"  # the script has run
    assert errors == []


@pytest.fixture(scope="module")
def shared(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose passkeys are those of a domain above it, which may have other sites."""
    folder: Path = tmp_path_factory.mktemp("shared")
    changes = {"FACTORS__RP_ID": "example.com"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def alone(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("alone"), f"127.0.0.1:{recorder.port}").seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.mark.parametrize("size", [16, 1_023])
def test_an_unknown_passkey_is_named_as_the_browser_did(alone: Gateway, size: int) -> None:
    who = Holder(alone, "crowd0@acme.example")
    who.authenticator = Authenticator(credential=b"\xfb\xff<" * 400)
    who.authenticator.id = who.authenticator.id[:size]
    page = who.enter().body.decode()
    assert f'data-rp-id="app.example.com" data-unknown="{base64url(who.authenticator.id)}"' in page


def test_what_no_browser_sends_is_not_named(alone: Gateway) -> None:
    who = Holder(alone, "crowd0@acme.example")
    for credential in (b"short", b"x" * 1_024):
        who.authenticator = Authenticator(credential=credential)
        answer = who.enter()
        assert (answer.status, "data-unknown" in answer.body.decode()) == (422, False)


def test_a_passkey_of_another_site_below_the_same_domain_is_kept(shared: Gateway) -> None:
    """Browsers offer it here, and deleting it would lock its owner out there."""
    answer = Holder(shared, "crowd0@acme.example").enter()
    page = answer.body.decode()
    assert (answer.status, "isn’t known here" in page, "data-unknown" in page) == (422, True, False)
