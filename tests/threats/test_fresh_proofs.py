"""Pages that change what an account is secured by, or what others may do, ask for a fresh proof and then lead back."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.app.nouns import ROUTES
from gateway.policy.decision import Need
from gateway.policy.freshness import FRESH_SECONDS
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream

FORM = {
    "account": "acc_1", "do": "role", "role": "admin", "id": "imp_1", "next": "/probe", "tenant": "acme",
    "email": "new@acme.example", "name": "New Person", "password": "seven green kettles",
}  # fmt: skip
CHANGE = {"account": "acc_1", "do": "saved", "name": "New Person", "role": "admin"}
OTHER_FORMS = {
    "admin_service": {"account": "acc_1", "do": "token"}, "accounts_member": CHANGE, "ops_accounts_member": CHANGE,
}  # fmt: skip
SEALED = re.compile(r"form%3D[\w-]+%26")  # the fields of a form
QUERY = "account=acc_1&id=imp_1&next=/probe&do=role&role=admin"
ASKED = {  # by route and method: the page of the proof, and where that leads back to
    ("security_totp", "GET"): ("/login", "/me/security/totp?next=/probe"),
    ("security_totp", "POST"): ("/login", "/me/security/totp?next=/probe"),
    ("security_codes", "GET"): ("/login", "/me/security/codes"),
    ("security_codes", "POST"): ("/login", "/me/security/codes"),
    ("security_off", "GET"): ("/login", "/me/security/off"),
    ("security_off", "POST"): ("/login", "/me/security/off"),
    ("passkeys", "GET"): ("/login", "/me/security/passkeys?next=/probe"),
    ("passkeys", "POST"): ("/login", "/me/security/passkeys?next=/probe"),
    ("passkeys_options", "POST"): ("/login", "/me/security/passkeys"),
    ("passkey_change", "GET"): ("/login", "/me/security/passkey?id=imp_1"),
    ("passkey_change", "POST"): ("/login", "/me/security/passkey?id=imp_1"),
    ("passkeys_only", "GET"): ("/login", "/me/security/passkeys-only"),
    ("passkeys_only", "POST"): ("/login", "/me/security/passkeys-only"),
    ("password", "GET"): ("/login/totp", "/me/password"),
    ("password", "POST"): ("/login/totp", "/me/password"),
    ("email", "GET"): ("/login", "/me/email?done=proved"),
    ("email", "POST"): ("/login", "/me/email?done=proved"),
    ("admin_sso", "POST"): ("/login", "/admin/sso?done=proved"),
    ("admin_sso_key", "POST"): ("/login", "/admin/sso/key?done=proved"),
    ("admin_sso_domains", "POST"): ("/login", "/admin/sso/domains?done=proved"),
    ("admin_sso_provisioning", "POST"): ("/login", "/admin/sso/provisioning?done=proved"),
    ("admin_sso_required", "POST"): ("/login", "/admin/sso/required?done=proved"),
    ("admin_sso_roles", "POST"): ("/login", "/admin/sso/roles?done=proved"),
    ("security_sso", "GET"): ("/login", "/me/security/sso"),
    ("security_sso", "POST"): ("/login", "/me/security/sso"),
    ("compromised", "POST"): ("/login", "/me/security/compromised?done=proved"),
    ("ops_tenants_secure", "GET"): ("/login", "/ops/tenants/secure"),
    ("ops_tenants_secure", "POST"): ("/login", "/ops/tenants/secure?tenant=acme"),
    ("tokens", "POST"): ("/login", "/me/tokens?done=proved"),
    ("access_reviewed", "POST"): ("/login", "/admin/access?done=proved"),
    ("access_unused", "POST"): ("/login", "/admin/access/unused?done=proved"),
    ("admin_service", "POST"): ("/login", "/admin/tokens/service?account=acc_1&done=proved"),
    ("networks", "POST"): ("/login", "/me/networks?done=proved"),
    ("admin_networks", "POST"): ("/login", "/admin/networks?done=proved"),
    ("admin_networks_member", "POST"): ("/login", "/admin/networks/member?account=acc_1&done=proved"),
    ("admin_security", "POST"): ("/login", "/admin/security?done=proved"),
    ("ops_sso", "POST"): ("/login", "/ops/sso?done=proved"),
    ("ops_tenants", "POST"): ("/login", "/ops/tenants?done=proved"),
    ("ops_page_views", "POST"): ("/login", "/ops/page-views?done=proved"),
    **{
        (f"{name}_{page}", method): ("/login", f"{path}/{back}")
        for name, path in (("accounts", "/admin/accounts"), ("ops_accounts", "/ops/accounts"))
        for page, method, back in (
            ("member", "POST", "member?account=acc_1&done=proved"),
            ("secure", "GET", "secure?account=acc_1"),
            ("secure", "POST", "secure?account=acc_1"),
            ("reset", "GET", "reset-2fa?account=acc_1"),
            ("reset", "POST", "reset-2fa?account=acc_1"),
            ("invite", "POST", "invite"),
            ("import_start", "POST", "import?id=imp_1"),
        )
    },
}
PAGES = {
    (route.name, method): route
    for route in ROUTES
    for method, _ in route.handlers()
    if method != "HEAD" and route.need not in (Need.NOBODY, Need.LEAVING) and "{" not in route.path
}


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("fresh")
    changes = {"SSO__ON": "true", "TOKENS__ON": "true"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="module")
def people(own: Gateway, mailbox: Mailbox) -> dict[Need, Person]:
    """An admin and an owner, both with TOTP."""
    admin = Person(own, "admin", source="127.0.0.3")
    admin.sign_in()
    admin.enrol()
    return {Need.ADMIN: admin, Need.OWNER: enrol_owner(own, mailbox, source="127.0.0.4")[0]}


def set_age(own: Gateway, seconds: int, *factors: str) -> None:
    """Have these proofs of every session be so old, and all others fresh; the worker looks again."""
    with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
        for session, proofs, at in connection.execute("SELECT id, proofs, strftime('%s') FROM sessions").fetchall():
            aged = [[name, int(at) - (seconds if name in factors else 0)] for name, _ in json.loads(proofs)]
            connection.execute("UPDATE sessions SET proofs = ? WHERE id = ?", (json.dumps(aged), session))
    own.announce()


def answer_of(
    people: dict[Need, Person], name: str, method: str, form: dict[str, str] | None = None
) -> tuple[int, str]:
    route = PAGES[name, method]
    fields = form or OTHER_FORMS.get(name, FORM)
    person = people.get(route.need, people[Need.ADMIN])
    target = f"{route.path}?{QUERY}"
    answer = person.open(target, follow=False) if method == "GET" else person.send(route.path, fields)
    return answer.status, SEALED.sub("", answer.get("location") or "")


def test_the_pages_that_ask_are_those_that_declare_it() -> None:
    assert {name for name, _ in ASKED} == {route.name for route in ROUTES if route.fresh}
    assert {route.fresh.seconds for route in ROUTES if route.fresh} == {FRESH_SECONDS}


def test_an_old_proof_is_asked_for_again_and_leads_back(own: Gateway, people: dict[Need, Person]) -> None:
    set_age(own, FRESH_SECONDS + 60, "password", "totp", "magic_link")
    for (name, method), (page, back) in ASKED.items():
        answer = answer_of(people, name, method)
        assert answer == (303, f"{page}?next={quote(back, safe='/')}&again=1"), (name, method)


def test_a_fresh_password_does_not_stand_for_an_old_code(own: Gateway, people: dict[Need, Person]) -> None:
    set_age(own, FRESH_SECONDS + 60, "totp")
    for (name, method), (_, back) in ASKED.items():
        answer = answer_of(people, name, method)
        assert answer == (303, f"/login/totp?next={quote(back, safe='/')}&again=1"), (name, method)


def test_nothing_else_asks(own: Gateway, people: dict[Need, Person]) -> None:
    set_age(own, FRESH_SECONDS + 60, "password", "totp", "magic_link")
    others = [page for page in PAGES if page not in ASKED and page[1] == "GET"]
    assert len(others) > 10
    for name, method in others:
        assert "again=1" not in answer_of(people, name, method)[1], name
    for name, changed in (
        ("accounts_member", {"do": "resent"}),
        ("accounts_member", {"do": "saved", "role": "", "email": ""}),
        ("accounts_invite", {"role": "employee"}),
        ("accounts_invite", {"email": "no email"}),
        ("accounts_import", {}),
        ("accounts_sign_out", {}),
    ):
        form = {field: text for field, text in {**FORM, **changed}.items() if text}
        status, location = answer_of(people, name, "POST", form)
        assert "again=1" not in location, (name, status)


def test_proofs_that_are_fresh_enough_are_not_asked_for(own: Gateway, people: dict[Need, Person]) -> None:
    set_age(own, FRESH_SECONDS - 60, "password", "totp", "magic_link")
    for name, method in ASKED:
        assert "again=1" not in answer_of(people, name, method, {**FORM, "do": "resumed"})[1], (name, method)
