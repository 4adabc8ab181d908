"""/admin/security: an administrator demands more of their own people, and of nobody else, and not of themselves first."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.authenticator import Authenticator, Maker
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.person import code_of
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream
from tests.threats.test_passkeys import Holder, events_of

AAGUID = UUID("cb69481e-8ff7-4039-93ec-0a2729a154a8").bytes  # a YubiKey 5 Series
MAKER = Maker(aaguid=AAGUID)


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("requirements")
    roots = folder / "roots.pem"
    roots.write_bytes(MAKER.root_pem)
    changes = {"FACTORS__ATTESTATION_ROOTS": str(roots), "FACTORS__SECOND__MANAGER": "required"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def enrolled(own: Gateway) -> Holder:
    return Holder(own, "adam@acme.example").add()


@pytest.fixture
def adam(own: Gateway, enrolled: Holder) -> Iterator[Holder]:
    """An administrator with a passkey, whose company demands nothing afterwards."""
    person = enrolled.elsewhere()
    assert person.enter().get("location") == "/probe"
    yield person
    own.write("UPDATE tenants SET factor_policy = '', passkey_models = ''")
    own.announce()


def demand(person: Holder, **more: str) -> Response:
    """Send the form, and the one that asks."""
    fields = {"employee": "optional", "manager": "required", "admin": "optional", "passwordless": "yes"}
    asked = person.send("/admin/security", {**fields, **more})
    if asked.status != 200:
        return asked
    return person.submit("/admin/security", follow=False)


def policies(own: Gateway) -> dict[str, str]:
    return dict(own.write("SELECT slug, factor_policy FROM tenants"))


def test_it_asks_first_and_says_how_many_people_lack_it(own: Gateway, adam: Holder) -> None:
    fields = {"employee": "phishing_resistant", "manager": "required", "admin": "phishing_resistant"}
    page = adam.send("/admin/security", fields).body.decode()
    assert "52 of 53 people don’t have the second step yet" in page
    assert "Everyone types their password" in page
    assert policies(own)["acme"] == ""
    assert adam.submit("/admin/security", follow=False).get("location") == "/admin/security?done=saved"
    wanted = "employee=phishing_resistant manager=required admin=phishing_resistant passwordless=no"
    assert policies(own) == {"acme": wanted, "beta": "", "otium": ""}
    assert "tenant_sign_in_changed" in events_of(own, adam)


def test_people_are_led_to_it_at_their_next_request_and_those_of_other_tenants_are_not(
    own: Gateway, adam: Holder
) -> None:
    erin, olga = Holder(own, "erin@acme.example"), Holder(own, "olga@beta.example")
    for person in (erin, olga):
        person.give_password()
        assert person.is_signed_in
    demand(adam, employee="required")
    assert not erin.is_signed_in
    assert olga.is_signed_in


def test_without_passwordless_the_password_is_typed_first(own: Gateway, adam: Holder) -> None:
    erin = Holder(own).add()
    demand(adam, passwordless="")
    assert "needs your password first" in erin.enter().body.decode()
    erin.give_password()
    assert erin.prove().get("location") == "/probe"
    assert "data-passkey" not in erin.open("/login?next=/probe&again=1").body.decode()  # it would be refused as well
    demand(adam)
    assert "data-passkey" in erin.open("/login?next=/probe&again=1").body.decode()


def test_authors_do_not_lock_themselves_out(own: Gateway) -> None:
    own.write("DELETE FROM passkeys WHERE account = 'none'")
    olga = Holder(own, "olga@beta.example")
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = :who", who=olga.email)
    olga.give_password()
    assert "you would be locked out" in demand(olga, admin="required").body.decode()
    assert policies(own)["beta"] == ""
    own.write("UPDATE accounts SET role = 'employee' WHERE identifier = :who", who=olga.email)


def test_authors_show_first_that_their_own_passkey_works(own: Gateway, adam: Holder) -> None:
    key, _ = adam.enrol()
    adam.cookies.clear()
    adam.give_password()
    adam.send("/login/totp", {"code": code_of(own, adam.email, key)})
    page = demand(adam, admin="phishing_resistant")
    assert page.status == 422
    link = "/login/passkey?next=/admin/security%3Fdone%3Dproved&again=1&only=1"
    assert link in html.unescape(page.body.decode())
    assert policies(own)["acme"] == ""
    asked = adam.ask("/login/passkey/options", again="1", only="1")
    answer = adam.authenticator.prove(adam.said(asked))
    adam.send("/login/passkey", {"challenge": asked["challenge"], "answer": answer, "again": "1", "only": "1"})
    assert demand(adam, admin="phishing_resistant").status == 303
    assert "admin=phishing_resistant" in policies(own)["acme"]


def test_nobody_weakens_what_the_settings_demand(own: Gateway, adam: Holder) -> None:
    page = adam.open("/admin/security").body.decode()
    manager = page.partition('<select id="manager"')[2].partition("</select>")[0]
    assert "Optional" not in manager
    demand(adam, manager="optional")
    mara = Holder(own, "mara@acme.example")
    mara.give_password()
    assert not mara.is_signed_in


@pytest.mark.parametrize("level", ["", "none", "REQUIRED", "optional admin=optional"])
def test_what_is_no_level_is_refused(own: Gateway, adam: Holder, level: str) -> None:
    assert demand(adam, employee=level).status == 400
    assert policies(own)["acme"] == ""


def test_others_can_not_open_it(own: Gateway) -> None:
    erin = Holder(own, "erin@acme.example")
    erin.give_password()
    assert erin.open("/admin/security").status == 403
    assert demand(erin, employee="optional").status == 403


# Models.


def test_only_keys_of_the_models_on_the_list_can_be_added(own: Gateway, adam: Holder) -> None:
    assert demand(adam, models=f"\n {UUID(bytes=AAGUID)} \n").status == 303
    assert "YubiKey 5" in adam.open("/admin/security").body.decode()
    erin = Holder(own)
    erin.give_password("/me/security")
    assert "YubiKey 5" in erin.open("/me/security/passkeys").body.decode()

    def add(authenticator: Authenticator, *attest: object) -> int:
        asked = erin.ask("/me/security/passkeys/options")
        assert asked["options"]["attestation"] == "direct"
        answer = authenticator.register(erin.said(asked), *attest)  # type: ignore[arg-type]
        page = erin.send("/me/security/passkeys", {"challenge": asked["challenge"], "answer": answer})
        assert (page.status == 422) is ("one of the models below" in page.body.decode())
        return page.status

    right = Authenticator(aaguid=AAGUID, credential=b"right".ljust(32))
    assert add(right) == 422
    assert add(right, right.attest_itself) == 422
    assert add(right, Maker(aaguid=AAGUID, root="another").attest) == 422
    other = Authenticator(aaguid=bytes(range(16)), credential=b"other".ljust(32))
    assert add(other, Maker(aaguid=bytes(range(16))).attest) == 422
    assert add(right, MAKER.attest) == 200


@pytest.mark.parametrize(
    "line",
    [
        "YubiKey",
        "cb69481e-8ff7-4039-93ec",
        "<svg onload=x>",
        "0x" + 30 * "1",
        "+" + 31 * "1",
        32 * "\N{FULLWIDTH DIGIT ONE}",
    ],
)
def test_what_is_no_model_is_named(own: Gateway, adam: Holder, line: str) -> None:
    page = demand(adam, models=f"{UUID(bytes=AAGUID)}\n{line}", employee="required")
    assert page.status == 422
    employee = page.body.decode().partition('<select id="employee"')[2].partition("</select>")[0]
    assert 'value="required" selected' in employee  # what was chosen stays
    assert "isn’t the identifier" in page.body.decode()
    assert "<svg onload" not in page.body.decode()


def test_a_key_without_attestation_is_enough_where_nobody_demands_it(own: Gateway, adam: Holder) -> None:
    erin = Holder(own)
    erin.give_password("/me/security")
    asked = erin.ask("/me/security/passkeys/options")
    assert asked["options"]["attestation"] == "none"
    answer = erin.authenticator.register(replace(erin.said(asked)))
    assert erin.send("/me/security/passkeys", {"challenge": asked["challenge"], "answer": answer}).status == 200


# A site where everyone types a password.


@pytest.fixture
def typing(recorder: RecordingUpstream, tmp_path: Path) -> Iterator[Gateway]:
    changes = {"FACTORS__PASSWORDLESS": "[]"}
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def test_a_form_that_does_not_ask_about_passwords_forbids_nothing(typing: Gateway) -> None:
    adam = Holder(typing, "adam@acme.example")
    adam.give_password()
    assert 'name="passwordless"' not in adam.open("/admin/security").body.decode()
    demand(adam, passwordless="")
    assert policies(typing)["acme"] == "manager=required"


def test_a_list_of_models_has_an_end(own: Gateway, adam: Holder) -> None:
    page = demand(adam, models="\n".join(str(UUID(int=number)) for number in range(51)))
    assert page.status == 422
    assert "at most 50 models" in page.body.decode()
