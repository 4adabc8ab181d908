"""Service accounts over a real server: administrators make them, programs use them, and nobody signs in with one."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

import pytest

from gateway.policy.freshness import FRESH_SECONDS
from tests.support.gateway import ACCESS, PASSWORD, Gateway, form
from tests.support.mail import Mailbox
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream
from tests.threats.test_tokens import ADAM, ask, basic, bearer

PAGE, ALL = "/admin/tokens/service", "/admin/tokens"
TOKEN = {"do": "token", "name": "Night job", "days": "90", "access": "all"}


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("services")
    changes = {"TOKENS__ON": "true", "SSO__ON": "true"}
    where = f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, where, access=ACCESS, changes=changes, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(scope="module")
def adam(own: Gateway) -> Person:
    person = Person(own, ADAM)
    person.give_password()
    return person


@pytest.fixture(autouse=True)
def quiet(recorder: RecordingUpstream) -> None:
    recorder.reset()


def new_service(adam: Person, name: str = "Payroll export", role: str = "employee") -> tuple[str, str]:
    """Create one on the page, with access to finance. Returns its id and user name."""
    sent = adam.send(PAGE, {"do": "created", "name": name, "role": role, "module-finance": "1"})
    found = re.fullmatch(rf"{PAGE}\?account=(acc_\w+)&done=created", sent.get("location") or "")
    assert found, sent.body
    ((identifier,),) = adam.gateway.write("SELECT identifier FROM accounts WHERE id = :i", i=found[1])
    return found[1], str(identifier)


def new_token(adam: Person, account: str, **fields: str) -> str:
    page = adam.send(PAGE, {**TOKEN, "account": account, **fields}).body.decode()
    found = re.search(r"otw_svc_[0-9A-Za-z]{38}", page)
    assert found, re.sub(r"<[^>]+>", "", page)
    return found[0]


def test_a_program_acts_for_it_with_a_token(own: Gateway, adam: Person, recorder: RecordingUpstream) -> None:
    account, identifier = new_service(adam)
    token = new_token(adam, account)
    for line in (bearer(token), basic(identifier, token), basic("", token)):
        recorder.reset()
        assert ask(own, line).status == 200
        (request,) = recorder.requests
        assert request.all("remote-email") == [identifier]
        assert request.all("remote-name") == ["Payroll export"]
        assert request.all("x-otium-tenant") == ["acme"]
        assert request.all("x-otium-role") == ["employee"]
        assert "finance" in request.all("remote-groups")[0]
        assert request.all("x-otium-factors") == ["token"]
    assert re.fullmatch(r"payroll-export\.[0-9a-f]{8}@service\.invalid", identifier)
    assert ask(own, basic(ADAM, token)).status == 401
    assert ask(own, bearer(token), path="/admin").status == 403


def test_its_role_is_the_most_that_a_token_of_it_can_have(own: Gateway, adam: Person) -> None:
    account, _ = new_service(adam, role="manager")
    refused = adam.send(PAGE, {**TOKEN, "account": account, "role": "admin"})
    assert (refused.status, "otw_svc_" in refused.body.decode()) == (422, False)
    assert ask(own, bearer(new_token(adam, account, role="manager")), path="/team").status == 200
    assert ask(own, bearer(new_token(adam, account, role="employee")), path="/team").status == 403


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "a\nb"}, {"role": "boss"}, {"role": ""}])
def test_a_form_that_is_wrong_makes_none(own: Gateway, adam: Person, fields: dict[str, str]) -> None:
    before = own.write("SELECT count(*) FROM accounts")
    refused = adam.send(PAGE, {"do": "created", "name": "Backup", "role": "employee", **fields})
    assert refused.status == 422
    assert 'role="alert"' in refused.body.decode()
    assert own.write("SELECT count(*) FROM accounts") == before


def test_rights_are_given_after_a_fresh_proof_only_and_taken_at_once(own: Gateway, adam: Person) -> None:
    account, _ = new_service(adam)
    token = new_token(adam, account)
    late = Person(own, ADAM, source="127.0.0.9")
    late.give_password()
    ((session, proofs),) = own.write("SELECT id, proofs FROM sessions WHERE address = '127.0.0.9' AND ended_at IS NULL")
    aged = json.dumps([[name, at - FRESH_SECONDS - 60] for name, at in json.loads(str(proofs))])
    own.write("UPDATE sessions SET proofs = :p WHERE id = :s", p=aged, s=session)
    own.announce()
    count = own.write("SELECT count(*) FROM accounts")
    for fields in ({"do": "created", "name": "x", "role": "employee"}, {**TOKEN, "account": account}):
        assert (late.send(PAGE, fields).get("location") or "").startswith("/login?next=")
    assert own.write("SELECT count(*) FROM accounts") == count
    late.send(PAGE, {"do": "disabled", "account": account, "confirmed": "yes"})
    assert ask(own, bearer(token)).status == 401
    assert (late.send(PAGE, {"do": "enabled", "account": account}).get("location") or "").startswith("/login?next=")


def test_disabling_and_removing_ask_first_and_say_how_many_tokens_stop(own: Gateway, adam: Person) -> None:
    account, identifier = new_service(adam)
    token, other = new_token(adam, account), new_token(adam, account)
    for what in ("disabled", "removed"):
        asked = adam.send(PAGE, {"do": what, "account": account})
        assert "<dt>Tokens that stop working</dt><dd>2</dd>" in asked.body.decode()
        assert ask(own, bearer(token)).status == 200
    adam.send(PAGE, {"do": "disabled", "account": account, "confirmed": "yes"})
    assert [ask(own, bearer(each)).status for each in (token, other)] == [401, 401]
    assert adam.send(PAGE, {**TOKEN, "account": account}).status == 404
    adam.send(PAGE, {"do": "enabled", "account": account})
    assert ask(own, bearer(token)).status == 200
    removed = adam.send(PAGE, {"do": "removed", "account": account, "confirmed": "yes"}, follow=True)
    assert "Service account removed" in removed.body.decode()
    assert ask(own, bearer(token)).status == 401
    assert own.write("SELECT count(*) FROM accounts WHERE id = :i", i=account) == [(0,)]
    events = own.write("SELECT event FROM audit WHERE identifier = :e ORDER BY id", e=identifier)
    assert [event for (event,) in events if not str(event).startswith("token_used")] == [
        "account_added", "token_created", "token_created", "account_disabled", "account_enabled", "account_removed",
    ]  # fmt: skip


def test_administrators_get_its_mails(own: Gateway, adam: Person, mailbox: Mailbox) -> None:
    account, identifier = new_service(adam, "Nightly invoices")
    other = "crowd1@acme.example"
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = :e", e=other)
    token = new_token(adam, account, name="Cron")
    mailbox.wait_for(other, "service account has a new API token", said="Nightly invoices")
    ask(own, bearer(token))
    mailbox.wait_for(other, "token was used from a new network", said="Cron")
    ((row,),) = own.write("SELECT id FROM api_tokens WHERE account = :a", a=account)
    revoked = adam.send(ALL, {"token": str(row), "account": account})
    assert revoked.get("location") == f"{PAGE}?account={account}&done=revoked"
    mailbox.wait_for(other, "token of a service account was revoked", said="Cron")
    own.write("UPDATE accounts SET role = 'employee' WHERE identifier = :e", e=other)
    assert own.write("SELECT count(*) FROM outbox WHERE recipient = :e", e=identifier) == [(0,)]


def test_whoever_finds_its_token_may_revoke_it(own: Gateway, adam: Person) -> None:
    token = new_token(adam, new_service(adam)[0])
    assert own.exchange(form("/_gateway/tokens/revoke", {"token": token})).status == 204
    assert ask(own, bearer(token)).status == 401


def test_nobody_else_sees_or_changes_it(own: Gateway, adam: Person) -> None:
    account, _ = new_service(adam, "Only of acme")
    token = new_token(adam, account)
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    olga, erin = Person(own, "other"), Person(own, "employee")
    for person, refusal in ((olga, 404), (erin, 403)):
        person.give_password()
        assert person.open(f"{PAGE}?account={account}").status == refusal
        for what in ("token", "disabled", "enabled", "removed"):
            fields = {**TOKEN, "do": what, "account": account, "confirmed": "yes"}
            assert person.send(PAGE, fields).status == refusal, what
    assert "Only of acme" not in olga.open(ALL).body.decode()
    assert ask(own, bearer(token)).status == 200


def test_a_person_is_no_service_account(own: Gateway, adam: Person) -> None:
    ((erin,),) = own.write("SELECT id FROM accounts WHERE identifier = 'erin@acme.example'")
    assert adam.open(f"{PAGE}?account={erin}").status == 404
    for what in ("token", "disabled", "removed"):
        assert adam.send(PAGE, {**TOKEN, "do": what, "account": str(erin), "confirmed": "yes"}).status == 404


def test_people_pages_show_it_and_change_nothing_of_it(own: Gateway, adam: Person) -> None:
    account, identifier = new_service(adam, "Shown to all")
    listed = html.unescape(adam.open(f"/admin/accounts?q={identifier}").body.decode())
    assert "Shown to all" in listed
    assert "Service account" in listed
    page = adam.open(f"/admin/accounts/member?account={account}").body.decode()
    assert "It can’t sign in." in page
    assert "<form" not in page.partition("<main")[2]
    state = own.write("SELECT * FROM accounts WHERE id = :a", a=account)
    attempts = [
        ("/admin/accounts/member", {"do": what, "name": "x", "role": "admin", "email": "x@acme.example"})
        for what in ("resent", "saved", "disabled", "enabled", "removed", "unlocked", "device-out", "tokens-revoked")
    ]
    attempts += [("/admin/accounts/reset-2fa", {}), ("/admin/accounts/sign-out", {}), ("/admin/accounts/secure", {})]
    for path, fields in attempts:
        assert adam.send(path, {**fields, "account": account, "confirmed": "yes"}).status == 404, (path, fields)
    assert own.write("SELECT * FROM accounts WHERE id = :a", a=account) == state


def test_no_way_leads_to_signing_in_with_it(own: Gateway, adam: Person) -> None:
    account, identifier = new_service(adam)
    token = new_token(adam, account)
    links = own.write("SELECT count(*) FROM mailed_links WHERE account = :a", a=account)
    for password in (PASSWORD, token, ""):
        person = Person(own, identifier, source="127.0.0.8")
        person.give_password(password=password)
        assert not person.is_signed_in
    visitor = Person(own, identifier, source="127.0.0.8")
    visitor.open("/forgot-password")
    visitor.submit("/forgot-password", email=identifier)
    visitor.open("/login/sso")
    visitor.submit("/login/sso", email=identifier)
    assert own.write("SELECT count(*) FROM mailed_links WHERE account = :a", a=account) == links == [(0,)]
    assert own.write("SELECT count(*) FROM sessions WHERE account = :a", a=account) == [(0,)]
    assert own.write("SELECT count(*) FROM attempts WHERE account = :a", a=account) == [(0,)]


def test_nobody_can_be_invited_under_a_name_like_that(own: Gateway, adam: Person) -> None:
    for email in ("payroll@service.invalid", "payroll@mail.service.invalid"):
        invited = adam.send("/admin/accounts/invite", {"name": "P", "email": email, "role": "employee"})
        assert invited.status == 422
    assert own.write("SELECT count(*) FROM accounts WHERE NOT is_service AND identifier LIKE '%.invalid'") == [(0,)]


def test_a_page_of_ours_is_open_to_none_of_its_tokens(own: Gateway, adam: Person) -> None:
    token = new_token(adam, new_service(adam, role="admin")[0], role="admin")
    for path in (ALL, PAGE, "/me/tokens", "/me/security", "/admin/accounts", "/ops"):
        assert ask(own, bearer(token), "Accept: text/html", path=path).status == 403, path
