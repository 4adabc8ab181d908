"""Passkeys in the hands of attackers: what is forged, repeated, borrowed or late proves nothing."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.authenticator import Authenticator, Said, base64url, unbase64url
from tests.support.gateway import COOKIE, HOST, ORIGIN, PASSWORD, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.owner import path_of
from tests.support.person import Person
from tests.support.raw import Response
from tests.support.upstream import RecordingUpstream

browsers = itertools.count(1)
Forge = Callable[[Said], Said]


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("passkeys")
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def add_account(own: Gateway, number: int) -> str:
    """Add an account like that of crowd0, and return its email."""
    email = f"holder{number}@acme.example"
    shared = "name, tenant, role, modules, status, password_hash, created_at"
    own.write(
        f"INSERT INTO accounts (id, identifier, {shared}) SELECT 'acc_holder' || :number, :email, {shared}"
        " FROM accounts WHERE identifier = 'crowd0@acme.example'",
        number=number,
        email=email,
    )
    return email


class Holder(Person):
    """A person with an authenticator in software."""

    def __init__(self, own: Gateway, email: str = "") -> None:
        number = next(browsers)
        super().__init__(own, email or add_account(own, number), source=f"127.0.2.{number}")
        self.authenticator = Authenticator(credential=number.to_bytes(32))
        self.count = 0

    def elsewhere(self) -> Holder:
        """The same person and authenticator at another browser."""
        other = Holder(self.gateway, self.email)
        other.authenticator = self.authenticator
        return other

    def ask(self, path: str, **fields: str) -> dict[str, Any]:
        answer = self.send(path, fields)
        assert answer.status == 200, (answer.status, answer.get("location"))
        return dict(json.loads(answer.body))

    def said(self, asked: dict[str, Any]) -> Said:
        account = self.gateway.write("SELECT id FROM accounts WHERE identifier = :who", who=self.email)[0][0]
        challenge = unbase64url(asked["options"]["challenge"])
        return Said(challenge, ORIGIN, HOST, handle=account.encode(), count=self.count)

    def add(self, **flags: bool) -> Holder:
        """Sign in, add the passkey, and sign out."""
        self.give_password("/me/security")
        asked = self.ask("/me/security/passkeys/options")
        answer = self.authenticator.register(replace(self.said(asked), **flags))
        done = self.send("/me/security/passkeys", {"challenge": asked["challenge"], "answer": answer})
        assert done.status == 200, done.status
        assert "phone" not in shown(done)
        self.cookies.clear()
        return self

    def prove(self, forge: Forge = lambda said: said, asked: dict[str, Any] | None = None) -> Response:
        """Answer as the second step, after the password."""
        asked = asked or self.ask("/login/passkey/options")
        answer = self.authenticator.prove(forge(self.said(asked)))
        fields = {"challenge": asked["challenge"], "answer": answer, "next": "/probe"}
        return self.send("/login/passkey", fields)

    def age_proofs(self) -> None:
        """Have all proofs of this person's sessions be an hour old."""
        whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
        for session, proofs in self.gateway.write(f"SELECT id, proofs FROM sessions WHERE {whose}", who=self.email):
            aged = json.dumps([[name, at - 3_600, *more] for name, at, *more in json.loads(proofs)])
            self.gateway.write("UPDATE sessions SET proofs = :aged WHERE id = :id", aged=aged, id=session)
        self.gateway.announce()

    def enter(self, forge: Forge = lambda said: said, asked: dict[str, Any] | None = None) -> Response:
        """Answer instead of a password."""
        asked = asked or self.ask("/login/passkey/first-options")
        answer = self.authenticator.prove(forge(self.said(asked)))
        fields = {"challenge": asked["challenge"], "answer": answer, "next": "/probe"}
        return self.send("/login/passkey/first", fields)


def shown(page: Response) -> str:
    """Return the text of a page's main part, without markup."""
    return re.sub(r"<[^>]*>", "", page.body.decode().partition("<main")[2].partition("</main>")[0])


def events_of(own: Gateway, person: Person) -> list[str]:
    rows = own.write("SELECT event FROM audit WHERE identifier = :who ORDER BY id", who=person.email)
    return [event for (event,) in rows]


def passkey_of(own: Gateway, person: Person) -> str:
    """Return the id of the person's only passkey."""
    query = "SELECT p.id FROM passkeys p JOIN accounts a ON a.id = p.account WHERE a.identifier = :who"
    ((passkey,),) = own.write(query, who=person.email)
    return str(passkey)


def details_of(own: Gateway, person: Person, event: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the facts and the personal details of the person's last row of that event."""
    query = "SELECT details, personal FROM audit WHERE identifier = :who AND event = :event ORDER BY id DESC LIMIT 1"
    ((facts, personal),) = own.write(query, who=person.email, event=event)
    return json.loads(facts), json.loads(personal) if personal else {}


def test_it_is_the_second_step(own: Gateway) -> None:
    person = Holder(own).add()
    person.give_password()
    assert not person.is_signed_in
    assert person.prove().get("location") == "/probe"
    assert person.is_signed_in


def test_it_stands_for_password_and_second_step(own: Gateway) -> None:
    person = Holder(own).add()
    assert person.enter().get("location") == "/probe"
    assert person.is_signed_in


FORGED: dict[str, Forge] = {
    "another challenge": lambda said: replace(said, challenge=bytes(32)),
    "another origin": lambda said: replace(said, origin="https://app.example.org"),
    "another port": lambda said: replace(said, origin=f"{ORIGIN}:8443"),
    "without TLS": lambda said: replace(said, origin=f"http://{HOST}"),
    "another RP ID": lambda said: replace(said, rp_id="example.com"),
    "in a frame": lambda said: replace(said, client={"crossOrigin": True}),
    "below another site": lambda said: replace(said, client={"topOrigin": "https://evil.example"}),
    "of a registration": lambda said: replace(said, client={"type": "webauthn.create"}),
    "nobody present": lambda said: replace(said, is_present=False),
    "another eligibility": lambda said: replace(said, is_backup_eligible=False, is_backed_up=False),
    "another handle": lambda said: replace(said, handle=b"acc_somebody_else"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_answer_is_refused_counted_and_audited(own: Gateway, forge: Forge) -> None:
    person = Holder(own).add()
    person.give_password()
    assert person.prove(forge).status == 422
    assert not person.is_signed_in
    assert "login_2fa_failed" in events_of(own, person)
    stranger = person.elsewhere()
    assert stranger.enter(forge).status == 422
    assert not stranger.is_signed_in
    assert "login_failed" in events_of(own, person)
    assert "Traceback" not in own.logged()


def test_without_verification_it_is_only_the_second_step(own: Gateway) -> None:
    person = Holder(own).add()
    assert person.enter(lambda said: replace(said, is_verified=False)).status == 422
    assert person.enter(lambda said: replace(said, handle=None)).status == 422
    assert not person.is_signed_in
    person.give_password()
    assert person.prove(lambda said: replace(said, is_verified=False, handle=None)).get("location") == "/probe"


def test_a_key_that_never_verified_anybody_does_so_beside_a_password_first(own: Gateway) -> None:
    """Else whoever finds it gives it a PIN."""
    person = Holder(own).add(is_verified=False)
    assert "needs your password first" in person.enter().body.decode()
    person.give_password()
    assert person.prove().get("location") == "/probe"
    person.cookies.clear()
    assert person.enter().get("location") == "/probe"


def test_an_answer_counts_once(own: Gateway) -> None:
    person = Holder(own).add()
    person.give_password()
    asked = person.ask("/login/passkey/options")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: person.prove(asked=asked), range(4)))
    assert sum(COOKIE in str(answer.all("set-cookie")) for answer in answers) == 1
    again = person.elsewhere()
    asked = again.ask("/login/passkey/first-options")
    assert [again.enter(asked=asked).status for _ in range(2)] == [303, 422]


def test_a_challenge_is_for_one_attempt_one_browser_and_one_purpose(own: Gateway) -> None:
    person, thief = Holder(own).add(), Holder(own)
    person.give_password()
    for_second, for_first = person.ask("/login/passkey/options"), person.ask("/login/passkey/first-options")
    other = person.elsewhere()
    other.give_password()
    assert other.prove(asked=for_second).status == 422
    assert other.enter(asked=for_first).status == 422
    assert person.prove(asked=for_first).status == 422
    assert person.enter(asked=for_second).status == 422
    thief.open("/login")
    assert thief.elsewhere().enter(asked=for_first).status == 422
    assert not any(who.is_signed_in for who in (person, other, thief))


def test_whoever_knows_the_password_locks_nobody_out(own: Gateway) -> None:
    """A signature can't be guessed, so refusals are only recorded: here more than would lock codes at any address."""
    person = Holder(own).add()
    attacker = person.elsewhere()
    attacker.authenticator = Authenticator(credential=b"stranger" * 4)
    attacker.give_password()
    assert {attacker.prove().status for _ in range(12)} == {422}
    assert events_of(own, person).count("login_lockout") == 0
    assert "login_2fa_failed" in events_of(own, person)
    for where in (person, person.elsewhere()):
        where.give_password()
        assert where.prove().get("location") == "/probe"


def test_guessed_codes_do_not_lock_the_passkey(own: Gateway) -> None:
    person = Holder(own).add()
    attacker = person.elsewhere()
    attacker.give_password()
    assert [attacker.send("/login/backup", {"code": "AAAAA-BBBBB"}).status for _ in range(6)][-1] == 429
    assert attacker.prove().get("location") == "/probe"


def test_another_accounts_passkey_is_no_second_step(own: Gateway) -> None:
    person, thief = Holder(own).add(), Holder(own).add()
    attacker = person.elsewhere()
    attacker.authenticator = thief.authenticator
    attacker.give_password()
    assert attacker.prove().status == 422
    handle = own.write("SELECT id FROM accounts WHERE identifier = :who", who=thief.email)[0][0].encode()
    assert attacker.prove(lambda said: replace(said, handle=handle)).status == 422
    assert not attacker.is_signed_in


def test_a_passkey_that_somebody_has_is_not_added_again(own: Gateway) -> None:
    person, thief = Holder(own).add(), Holder(own)
    thief.authenticator = person.authenticator
    thief.give_password("/me/security")
    asked = thief.ask("/me/security/passkeys/options")
    fields = {"challenge": asked["challenge"], "answer": thief.authenticator.register(thief.said(asked))}
    assert thief.send("/me/security/passkeys", fields).status == 422
    assert own.write("SELECT count(*) FROM passkeys WHERE credential = :id", id=person.authenticator.id) == [(1,)]


def test_a_counter_that_runs_backwards_is_told_and_not_refused(own: Gateway, mailbox: Mailbox) -> None:
    person = Holder(own)
    person.count = 7
    person.add()
    person.count = 6
    assert person.enter().get("location") == "/probe"
    mailbox.wait_for(person.email, "may have been copied")
    assert "passkey_went_back" in events_of(own, person)


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[" * 15_000, '{"id": "' + "A" * 50_000 + '"}', "null", '{"rawId":1}', "\0", '{"type":"public-key"}'],
    ids=["nothing", "empty", "deep", "long", "null", "number", "NUL", "type"],
)
def test_what_no_browser_sends_is_refused(own: Gateway, answer: str) -> None:
    person = Holder(own).add()
    person.give_password()
    asked = person.ask("/login/passkey/options")
    assert person.send("/login/passkey", {"challenge": asked["challenge"], "answer": answer}).status in (400, 422)
    first = person.ask("/login/passkey/first-options")
    assert person.send("/login/passkey/first", {"challenge": first["challenge"], "answer": answer}).status in (400, 422)
    assert person.send("/login/passkey/first", {"challenge": "00", "answer": answer}).status in (400, 422)
    assert not person.is_signed_in
    assert "Traceback" not in own.logged()


def test_what_the_sign_in_page_asks_for_depends_on_nobody(own: Gateway) -> None:
    person = Holder(own).add()
    options = [who.ask("/login/passkey/first-options")["options"] for who in (person, Holder(own))]
    for each in options:
        assert len(each.pop("challenge")) == len(base64url(bytes(32)))
    assert options[0] == options[1]
    assert options[0]["allowCredentials"] == []


def test_the_sign_in_page_may_stay_open_for_a_day_of_work(own: Gateway) -> None:
    """Its challenges are renewed, and bound to a cookie that the browser must keep meanwhile."""
    person = Holder(own).add()
    answer = person.send("/login/passkey/first-options", {})
    (line,) = answer.all("set-cookie")
    assert "Max-Age=43200" in line.split("; ")
    assert person.send("/login/passkey/first-options", {}).all("set-cookie") == []
    assert person.enter(asked=json.loads(answer.body)).get("location") == "/probe"


def test_the_log_says_which_passkey_was_used(own: Gateway) -> None:
    """Its name is personal: it is erased with the person."""
    person = Holder(own).add()
    own.write("UPDATE passkeys SET name = 'Ann’s red key' WHERE credential = :id", id=person.authenticator.id)
    named = {"passkey": "Ann’s red key"}
    person.enter()
    assert details_of(own, person, "login") == ({"method": "2fa", "proved": "passkey"}, named)
    asked = person.ask("/login/passkey/options", again="1")
    fields = {"challenge": asked["challenge"], "answer": person.authenticator.prove(person.said(asked)), "again": "1"}
    assert person.send("/login/passkey", fields).status == 303
    assert details_of(own, person, "step_up") == ({"proved": "passkey"}, named)
    asked = person.ask("/login/passkey/first-options", again="1")
    fields = {"challenge": asked["challenge"], "answer": person.authenticator.prove(person.said(asked)), "again": "1"}
    assert person.send("/login/passkey/first", fields).status == 303
    assert details_of(own, person, "step_up") == ({"proved": "passkey"}, named)
    assert events_of(own, person).count("step_up") == 2
    person.cookies.clear()
    person.give_password()
    person.prove()
    assert details_of(own, person, "login") == ({"method": "2fa", "proved": "password passkey"}, named)


def test_the_log_says_which_passkey_an_owner_used_on_the_way(own: Gateway) -> None:
    person = Holder(own).add()
    own.reload('owners = ["', f'owners = ["{person.email}", "')
    person.give_password()
    assert person.prove().status == 303
    facts, personal = details_of(own, person, "login_step")
    assert (facts, list(personal)) == ({"proved": "passkey", "next": "magic_link"}, ["passkey"])
    own.reload(f'owners = ["{person.email}", "', 'owners = ["')


def test_whoever_has_only_a_passkey_reads_nothing_about_a_phone(own: Gateway) -> None:
    """While signing in, with backup codes, and when an administrator resets it; `add` looks at new codes."""
    person, admin = Holder(own).add(), Person(own, "admin", source="127.0.3.1")
    person.give_password()
    pages = [person.open("/login/passkey"), person.open("/login/backup")]
    admin.sign_in()
    account = own.write("SELECT id FROM accounts WHERE identifier = :who", who=person.email)[0][0]
    pages.append(admin.open(f"/admin/accounts/reset-2fa?account={account}"))
    assert "removes their authenticator app, passkeys and backup codes" in shown(pages[-1])
    pages.append(admin.submit("/admin/accounts/reset-2fa"))
    assert "set up a second step again" in shown(pages[-1])
    assert [page.status for page in pages] == [200] * 4
    assert [page for page in pages if "phone" in shown(page)] == []


def test_administrators_and_the_shell_see_which_passkeys_somebody_has(own: Gateway) -> None:
    person = Holder(own).add(is_backed_up=False)
    name = "<b>red\u202e key"
    own.write("UPDATE passkeys SET name = :name WHERE credential = :id", name=name, id=person.authenticator.id)
    person.enter(lambda said: replace(said, is_backed_up=False))
    admin = Person(own, "admin", source="127.0.3.2")
    admin.sign_in()
    account = own.write("SELECT id FROM accounts WHERE identifier = :who", who=person.email)[0][0]
    page = admin.open(f"/admin/accounts/member?account={account}").body.decode()
    assert "&lt;b&gt;red" in page
    for words in ("Passkey</dd>", "On one device only", "Backup code", "Codes left: 8"):
        assert words in page, words
    told = json.loads(own.cli("account", "show", person.email, "--json").stdout)
    assert (told["email"], told["second_step"]) == (person.email, "passkey")
    passkey, codes = told["second_steps"]
    assert (passkey["factor"], passkey["name"], passkey["note"]) == ("passkey", name, "On one device only")
    assert (codes["factor"], codes["last_used"], codes["note"]) == ("backup_code", "never", "Codes left: 8")
    text = own.cli("account", "show", person.email).stdout
    assert f"email: {person.email}\n" in text
    assert "<b>red" in text
    assert "\u202e" not in text
    listed = json.loads(own.cli("account", "list", "--json").stdout)
    assert {row["email"]: row["second_step"] for row in listed}[person.email] == "passkey"
    assert {row["email"]: row["second_step"] for row in listed}["crowd0@acme.example"] == "none"


def test_the_admin_of_another_tenant_sees_no_passkeys(own: Gateway) -> None:
    person = Holder(own).add()
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    stranger = Person(own, "other", source="127.0.3.3")
    stranger.sign_in()
    account = own.write("SELECT id FROM accounts WHERE identifier = :who", who=person.email)[0][0]
    assert stranger.open("/admin/accounts").status == 200
    assert stranger.open(f"/admin/accounts/member?account={account}").status == 404


def test_strangers_are_told_nothing_about_somebodys_passkeys(own: Gateway) -> None:
    person = Holder(own)
    assert person.send("/login/passkey/options", {}).status == 409
    assert person.open("/login/passkey", follow=False).status == 303
    assert person.send("/me/security/passkeys/options", {}).status in (303, 401)


def test_another_site_can_ask_for_nothing(own: Gateway) -> None:
    person = Holder(own).add()
    for path in ("/login/passkey/first-options", "/login/passkey/options", "/login/passkey/first", "/login/passkey"):
        answer = own.post(path, {}, "Origin: https://evil.example", source=person.source)
        assert answer.status == 403, path


def test_an_owner_types_the_password_all_the_same(own: Gateway) -> None:
    person = Holder(own).add()
    own.reload('owners = ["', f'owners = ["{person.email}", "')
    assert "needs your password first" in person.enter().body.decode()
    own.reload(f'owners = ["{person.email}", "', 'owners = ["')


def test_whoever_resets_the_second_step_removes_passkeys(own: Gateway) -> None:
    person = Holder(own).add()
    command = ("account", "unlock", "--email", person.email, "--reset-2fa", "--confirm")
    assert own.cli(*command).returncode == 0
    assert "isn’t known here" in person.enter().body.decode()
    person.give_password()
    assert not person.is_signed_in  # a second step has to be set up first


def test_whoever_came_in_by_a_passkey_alone_stays_in_after_adding_another(own: Gateway) -> None:
    person = Holder(own).add()
    person.enter()
    person.authenticator = Authenticator(credential=b"another" * 4)
    asked = person.ask("/me/security/passkeys/options")
    fields = {"challenge": asked["challenge"], "answer": person.authenticator.register(person.said(asked))}
    assert person.send("/me/security/passkeys", fields).status == 303
    assert person.is_signed_in


WAYS = ["the shell resets it", "the shell sets it", "a mailed link", "the page of one's own"]


@pytest.mark.parametrize("way", WAYS)
def test_a_passkey_from_before_a_new_password_needs_it_once(own: Gateway, mailbox: Mailbox, way: str) -> None:
    """Who knew the old password may have added it."""
    person, new = Holder(own).add(), "several unusual words 7"
    match way:
        case "the shell resets it":
            reset = own.cli("account", "unlock", "--email", person.email, "--reset-password", "--confirm")
            new = reset.stdout.partition("new password: ")[2].strip()
        case "the shell sets it":
            assert own.cli("account", "set-password", person.email, "--password-stdin", stdin=new).returncode == 0
        case "a mailed link":
            person.send("/forgot-password", {"email": person.email})
            link = path_of(links_in(mailbox.wait_for(person.email, "Reset your OtiumWork password"))[0])
            assert person.send(link, {"password": new}).status == 303
        case _:
            person.elsewhere().enter()
            person.enter()
            assert person.send("/me/password", {"current": PASSWORD, "password": new}).status == 303
            assert person.is_signed_in
            person.cookies.clear()
    assert "needs your password first" in person.enter().body.decode()
    person.give_password(password=new)
    assert person.prove().get("location") == "/probe"
    person.cookies.clear()
    assert person.enter().get("location") == "/probe"


def test_whoever_removes_a_stolen_passkey_is_told_to_sign_out_its_thief(own: Gateway) -> None:
    person = Holder(own).add()
    thief = person.elsewhere()
    thief.give_password()  # and knows the password
    assert thief.prove().get("location") == "/probe"
    person.enter()
    passkey = passkey_of(own, person)
    is_told = "Other devices where you used a passkey will ask you to confirm it’s you."
    assert is_told in person.open(f"/me/security/passkey?id={passkey}").body.decode()
    done = person.send("/me/security/passkey", {"id": passkey, "remove": "yes"}, follow=True)
    assert is_told in done.body.decode()
    assert thief.is_signed_in
    person.submit("/me/sessions/others")
    assert person.is_signed_in
    assert not thief.is_signed_in
    assert thief.enter().status == 422


def test_a_refused_change_says_why(own: Gateway) -> None:
    person = Holder(own).add()
    person.enter()
    passkey = passkey_of(own, person)
    answer = person.send("/me/security/passkey", {"id": passkey, "name": "\u200b"})
    assert (answer.status, "invisible characters" in answer.body.decode()) == (422, True)
    assert person.send("/me/security/passkey", {"id": "psk_other", "name": "x"}).status == 404


def test_a_passkey_that_is_not_added_is_refused_with_a_reason(own: Gateway) -> None:
    other, person = Holder(own).add(), Holder(own)
    person.give_password("/me/security")

    def add(authenticator: Authenticator, asked: dict[str, Any]) -> str:
        answer = authenticator.register(person.said(asked))
        page = person.send("/me/security/passkeys", {"challenge": asked["challenge"], "answer": answer})
        assert page.status == 422
        return shown(page)

    asked = person.ask("/me/security/passkeys/options")
    forged = Authenticator(credential=b"forged".ljust(32))
    forged.public_key = b"no key"
    assert "couldn’t verify your browser’s answer" in add(forged, asked)
    assert "took too long" in add(person.authenticator, asked)  # the challenge is used
    assert "in use already" in add(other.authenticator, person.ask("/me/security/passkeys/options"))


def test_the_twenty_first_passkey_is_refused_with_a_reason(own: Gateway) -> None:
    person = Holder(own).add()
    own.write(
        "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 19)"
        " INSERT INTO passkeys SELECT id || n, account, credential || CAST(n AS BLOB), public_key, sign_count,"
        " is_backup_eligible, is_backed_up, is_discoverable, verifies, aaguid, transports, rp_id, name, created_at,"
        " used_at FROM passkeys, more WHERE credential = :id",
        id=person.authenticator.id,
    )
    person.enter()
    assert "maximum number of passkeys" in person.open("/me/security/passkeys").body.decode()


def test_a_removed_passkey_has_proved_nothing(own: Gateway) -> None:
    """Its thief, who has just signed in with it, has no fresh proof any more, and no session without the password."""
    victim = Holder(own).add()
    victim.enter()
    thief = victim.elsewhere()
    assert thief.enter().get("location") == "/probe"
    [(key,)] = own.write(
        "SELECT p.id FROM passkeys p JOIN accounts a ON a.id = p.account WHERE a.identifier = :who", who=victim.email
    )
    assert victim.send("/me/security/passkey", {"id": key, "remove": "yes"}).status == 303
    assert not thief.is_signed_in
    assert thief.send("/me/security/passkeys/options", {}).status == 303
    assert victim.is_signed_in
