"""Network rules on a running gateway: what comes from elsewhere is refused and audited, however it comes (THREATS 66)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import ORIGIN, PASSWORD, PROXY, Gateway
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person, code_of
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_tokens import bearer, new_token, question

OFFICE, ELSEWHERE = "127.0.10.1", "127.0.20.1"
RULE = "127.0.10.0/24 Office"
ERIN, ADAM, OLGA, OTTO = "erin@acme.example", "adam@acme.example", "olga@beta.example", "otto@otium.example"
SPELLED = ["198.51.100.7", "::ffff:198.51.100.7", "::ffff:c633:6407", "198.51.100.7:4711", "[::ffff:198.51.100.7]:80"]


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, changes = tmp_path_factory.mktemp("networks"), {"TOKENS__ON": "true"}
    upstream = f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, upstream, changes=changes, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(autouse=True)
def open_to_all(own: Gateway, recorder: RecordingUpstream) -> Iterator[None]:
    yield
    own.write("UPDATE tenants SET networks = ''")
    own.write("UPDATE accounts SET networks = ''")
    recorder.reset()


def rule_for_tenant(own: Gateway, text: str = RULE, tenant: str = "acme") -> None:
    own.write("UPDATE tenants SET networks = :text WHERE slug = :tenant", text=text, tenant=tenant)


def rule_for_account(own: Gateway, text: str = RULE, email: str = ERIN) -> None:
    own.write("UPDATE accounts SET networks = :text WHERE identifier = :email", text=text, email=email)


def signed_in(own: Gateway, email: str = ERIN, source: str = OFFICE) -> Person:
    person = Person(own, email, source=source)
    person.give_password()
    assert person.is_signed_in
    return person


def moved(person: Person, source: str = ELSEWHERE) -> Person:
    person.source = source
    return person


def audited(own: Gateway, where: str, address: str = ELSEWHERE, email: str = ERIN) -> int:
    """Wait for the rows about refusals, and return how many there are."""
    query = """SELECT id FROM audit WHERE event = 'network_refused' AND outcome = 'failure'
        AND address = :address AND identifier = :email AND details LIKE :where"""
    return len(own.wait_for_rows(query, address=address, email=email, where=f'%"{where}"%'))


@pytest.mark.parametrize("whose", [rule_for_tenant, rule_for_account])
def test_a_request_from_elsewhere_gets_a_page_with_its_address_and_the_session_stays(
    own: Gateway, recorder: RecordingUpstream, whose: object
) -> None:
    person = signed_in(own)
    assert callable(whose)
    whose(own)
    recorder.reset()
    refused = moved(person).open("/probe")
    assert refused.status == 403
    assert "can’t be used from your network" in refused.body.decode()
    assert ELSEWHERE in refused.body.decode()
    assert "send this address to your administrator" in refused.body.decode()
    assert refused.get("cache-control") == "no-store"
    assert refused.all("set-cookie") == []
    assert recorder.requests == []
    assert moved(person, OFFICE).is_signed_in


def test_a_program_is_told_in_json(own: Gateway) -> None:
    person = signed_in(own)
    rule_for_tenant(own)
    refused = own.exchange(get("/api/x", person.cookie_line), source=ELSEWHERE)
    told = json.loads(refused.body)
    assert (refused.status, told["error"], told["address"]) == (403, "other_network", ELSEWHERE)
    assert refused.get("cache-control") == "no-store"


@pytest.mark.parametrize("path", ["/me/security", "/me/sessions", "/me/tokens", "/me/password", "/me/networks"])
def test_our_own_pages_are_refused_too(own: Gateway, path: str) -> None:
    person = signed_in(own)
    rule_for_account(own)
    assert moved(person).open(path).status == 403
    assert moved(person).send(path, {"x": "y"}).status == 403


def test_what_is_public_stays_so_without_the_identity(own: Gateway, recorder: RecordingUpstream) -> None:
    person = signed_in(own)
    rule_for_account(own)
    recorder.reset()
    assert moved(person).open("/public").status == 200
    (request,) = recorder.requests
    assert ERIN not in request.all("remote-email")
    assert moved(person).open("/login").status == 200


def test_signing_out_is_possible_from_elsewhere(own: Gateway) -> None:
    person = signed_in(own)
    rule_for_account(own)
    assert moved(person).open("/logout").status == 200
    cookies = dict(person.cookies)
    person.submit("/logout", follow=False)
    person.cookies = cookies
    assert not moved(person, OFFICE).is_signed_in


def test_refusals_are_audited_and_a_flood_is_counted(own: Gateway) -> None:
    person = signed_in(own)
    rule_for_account(own)
    for _ in range(30):
        own.exchange(get("/probe", person.cookie_line), source="127.0.21.1")
    assert audited(own, "request", "127.0.21.1") in (1, 2)  # a minute may end meanwhile


def test_signing_in_from_elsewhere_is_refused_after_the_password_and_nobody_else_learns_of_the_rule(
    own: Gateway,
) -> None:
    rule_for_account(own)
    wrong = own.post("/login", {"email": ERIN, "password": "wrong"}, source="127.0.22.1")
    stranger = own.post("/login", {"email": "nobody@acme.example", "password": "wrong"}, source="127.0.22.1")
    assert (wrong.status, stranger.status) == (422, 422)
    assert "network" not in wrong.body.decode()
    refused = own.post("/login", {"email": ERIN, "password": PASSWORD}, source="127.0.22.1")
    assert refused.status == 403
    assert "127.0.22.1" in refused.body.decode()
    assert [line for line in refused.all("set-cookie") if "session" in line or "attempt" in line] == []
    assert audited(own, "sign-in", "127.0.22.1") == 1
    assert own.write("SELECT id FROM sessions WHERE address = '127.0.22.1'") == []


def test_the_second_step_is_refused_from_elsewhere_too(own: Gateway) -> None:
    person = signed_in(own, "mara@acme.example")
    secret, _ = person.enrol()
    person.send("/logout", {})
    person.cookies.clear()
    person.give_password()
    rule_for_account(own, email="mara@acme.example")
    refused = moved(person).submit("/login/totp", code=code_of(own, person.email, secret))
    assert refused.status == 403
    assert ELSEWHERE in refused.body.decode()
    own.write("DELETE FROM totp")
    own.write("UPDATE accounts SET enrolled = ''")


def test_a_token_from_elsewhere_is_refused_and_audited(own: Gateway) -> None:
    token = new_token(own, name="Moved")
    rule_for_tenant(own, "127.0.0.1\n127.0.10.0/24")
    assert own.exchange(get("/probe", bearer(token)), source=OFFICE).status == 200
    refused = own.exchange(get("/probe", bearer(token)), source="127.0.23.1")
    assert (refused.status, json.loads(refused.body)["error"]) == (403, "other_network")
    rows = own.wait_for_rows("SELECT personal FROM audit WHERE event = 'token_refused' AND address = '127.0.23.1'")
    assert "in none of the networks" in str(rows)
    assert own.write("SELECT id FROM audit WHERE event = 'token_used_elsewhere' AND address = '127.0.23.1'") == []


@pytest.mark.parametrize("path", ["/login", "/logout", "/me/sessions"])
def test_a_token_from_elsewhere_opens_no_page(own: Gateway, path: str) -> None:
    token = new_token(own)
    rule_for_tenant(own)
    refused = own.exchange(get(path, bearer(token)), source=ELSEWHERE)
    assert (refused.status, json.loads(refused.body)["error"]) == (403, "other_network")
    assert own.post("/logout", {}, bearer(token), source=ELSEWHERE).status == 403


@pytest.mark.parametrize("spelled", SPELLED)
def test_behind_a_proxy_every_spelling_of_the_clients_address_is_one(own: Gateway, spelled: str) -> None:
    person = signed_in(own)
    rule_for_account(own, "198.51.100.7\n127.0.10.0/24")
    line = f"X-Forwarded-For: 10.1.1.1, {spelled}"
    assert own.exchange(get("/probe", person.cookie_line, line), source=PROXY).status == 200
    assert own.exchange(get("/probe", person.cookie_line, f"{line}, 198.51.100.8"), source=PROXY).status == 403
    assert own.exchange(get("/probe", person.cookie_line, line), source=ELSEWHERE).status == 403


def test_a_proxy_that_asks_is_told_so_in_its_dialect(own: Gateway) -> None:
    person = signed_in(own)
    rule_for_account(own, "198.51.100.7\n127.0.10.0/24")
    assert question(own, person.cookie_line).status == 204
    rule_for_account(own, "127.0.10.0/24")
    nginx = question(own, person.cookie_line)
    assert (nginx.status, nginx.get("x-otium-status")) == (403, "403")
    lines = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /probe", "X-Forwarded-For: 198.51.100.7")
    traefik = own.exchange(get("/_gateway/auth", *lines, person.cookie_line), source=PROXY)
    assert (traefik.status, json.loads(traefik.body)["address"]) == (403, "198.51.100.7")


def test_an_open_socket_ends_when_the_rule_leaves_it_out(own: Gateway, recorder: RecordingUpstream) -> None:
    person = signed_in(own, source="127.0.0.1")
    recorder.scripts["/ws"] = accept
    with open_socket(own, person.cookie_line, f"Origin: {ORIGIN}") as opened:
        answer = opened.response()
        assert answer is not None
        assert answer.status == 101
        assert opened.read_exactly(5) == b"hello"
        rule_for_account(own)
        assert opened.read_to_end().endswith(b"\x03\xf0")  # 1008


def test_another_tenants_rule_and_another_persons_change_nothing(own: Gateway) -> None:
    erin, olga = signed_in(own), signed_in(own, OLGA)
    rule_for_tenant(own)
    assert not moved(erin).is_signed_in
    assert moved(olga).is_signed_in
    rule_for_tenant(own, "")
    rule_for_account(own)
    assert not moved(erin).is_signed_in
    assert moved(olga).is_signed_in
    assert moved(signed_in(own, ADAM)).is_signed_in


def test_a_role_has_a_list_of_its_own(own: Gateway) -> None:
    erin, adam = signed_in(own), signed_in(own, ADAM)
    rule_for_tenant(own, f"{RULE}\n[admin]\n127.0.0.0/8")
    assert not moved(erin).is_signed_in
    assert moved(adam).is_signed_in


def test_an_exempt_account_and_the_shell_are_the_ways_back_in(own: Gateway) -> None:
    adam = signed_in(own, ADAM)
    done = own.cli("networks", "set", "198.51.100.0/24 Office", "--tenant", "acme")
    assert re.search(r"refuses [1-9]\d* session", done.stdout), done.stdout
    assert "nothing changed" in done.stdout
    assert own.cli("networks", "set", "198.51.100.0/24 Office", "--tenant", "acme", "--confirm").returncode == 0
    assert not adam.is_signed_in
    assert "another administrator, or to the server’s operator" in adam.open("/probe").body.decode()
    assert own.cli("networks", "exempt", ADAM).returncode == 0
    assert adam.is_signed_in
    assert own.cli("networks", "exempt", ADAM, "--end").returncode == 0
    assert not adam.is_signed_in
    shown = own.cli("explain", "GET", "/x", "--as", ADAM, "--address", OFFICE).stdout
    assert "refused with 403" in shown
    assert f"{OFFICE} is in none of the networks of the tenant" in shown
    assert own.cli("networks", "clear", "--tenant", "acme", "--confirm").returncode == 0
    assert adam.is_signed_in


def test_a_forged_forwarded_for_opens_nothing(own: Gateway) -> None:
    person = signed_in(own)
    rule_for_account(own)
    for line in (f"X-Forwarded-For: {OFFICE}", f"X-Real-IP: {OFFICE}", f"Forwarded: for={OFFICE}"):
        answer: Response = own.exchange(get("/probe", person.cookie_line, line), source=ELSEWHERE)
        assert answer.status == 403, line


def test_the_list_for_owners_applies_with_a_reload_and_only_to_them(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, _ = enrol_owner(own, mailbox, source=ELSEWHERE)
    adam = signed_in(own, ADAM, source=ELSEWHERE)
    own.reload("rules = [", f'owner_networks = ["{RULE}"]\nrules = [')
    assert not owner.is_signed_in
    assert adam.is_signed_in
    refused = own.post("/login", {"email": owner.email, "password": PASSWORD}, source=ELSEWHERE)
    assert refused.status == 403
    assert moved(owner, OFFICE).is_signed_in
    own.reload(f'owner_networks = ["{RULE}"]\nrules = [', "rules = [")
    assert moved(owner).is_signed_in
    assert own.post("/login", {"email": owner.email, "password": PASSWORD}, source=ELSEWHERE).status == 303
