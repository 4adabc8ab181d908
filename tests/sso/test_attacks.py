"""What attackers would try who know how single sign-on works here, each in the name of somebody else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, asked, connect, linked, try_out, way_on
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, PlainBrowser, Realm, User, forgery
from tests.support.mail import Mailbox, links_in
from tests.support.person import NAVIGATION
from tests.support.raw import Response, get

PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(40)),
]
NEEDS_PROOF = "/me/security/totp"
numbers = itertools.count()


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    connect(own, realm)
    return realm


@pytest.fixture
def person(own: Gateway, realm: Realm, identity_provider: IdentityProvider, mailbox: Mailbox) -> Iterator[Employee]:
    """Somebody who is connected and signed in, and whom the provider knows still."""
    person = linked(Employee(own, identity_provider, f"crowd{next(numbers)}@acme.example"), mailbox)
    person.come_back(person.leave(), subject_of(person))
    assert person.is_signed_in
    yield person
    realm.heal()
    realm.set(id_token=None, users=PEOPLE)


def subject_of(person: Employee) -> str:
    return person.email.partition("@")[0]


def age(own: Gateway, person: Employee) -> None:
    """Let a person have signed in an hour ago."""
    own.write(
        """UPDATE sessions SET started_at = started_at - 3600, proofs = '[["sso",1000,"sso","password"]]'
        WHERE account = (SELECT id FROM accounts WHERE identifier = :email)""",
        email=person.email,
    )


def is_let_in(person: Employee) -> bool:
    """Whether a page is shown that needs a fresh proof."""
    return person.open(NEEDS_PROOF, follow=False).status == 200


# Somebody at another person's unlocked machine: they have the session, and the provider asks them for nothing.


@pytest.mark.parametrize("seconds", [None, 3_600])
@pytest.mark.parametrize("again", ["", "1"])
def test_a_provider_that_knows_the_person_still_gives_no_fresh_proof(
    own: Gateway, realm: Realm, person: Employee, seconds: int | None, again: str
) -> None:
    age(own, person)
    assert not is_let_in(person)
    realm.set(id_token=forgery({"auth_time": None if seconds is None else int(time.time()) - seconds}))
    way = way_on(person.send("/login/sso", {"email": person.email, "next": NEEDS_PROOF, "again": again}))
    person.come_back(way, subject_of(person))
    assert person.is_signed_in
    assert not is_let_in(person)


def test_signing_in_anew_gives_no_fresh_proof_where_the_provider_says_when_that_was(
    realm: Realm, person: Employee
) -> None:
    realm.set(id_token=forgery({"auth_time": int(time.time()) - 3_600}))
    person.cookies.clear()
    assert person.come_back(person.leave(), subject_of(person)).get("location") == "/probe"
    assert person.is_signed_in
    assert not is_let_in(person)


def test_who_has_just_signed_in_at_the_provider_has_a_fresh_proof(realm: Realm, person: Employee) -> None:
    realm.set(id_token=forgery({"auth_time": int(time.time()) - 60}))
    person.cookies.clear()
    person.come_back(person.leave(), subject_of(person))
    assert is_let_in(person)


@pytest.mark.parametrize("says_when", [True, False])
def test_who_has_to_set_up_a_second_step_in_an_old_session_is_asked_anew_and_gets_there(
    own: Gateway, realm: Realm, person: Employee, says_when: bool
) -> None:
    age(own, person)
    own.write("UPDATE tenants SET factor_policy = 'employee=required' WHERE slug = 'acme'")
    try:
        assert not person.is_signed_in
        way = person.leave(NEEDS_PROOF)
        assert asked(realm, way)["prompt"] == "login"
        realm.set(id_token=None if says_when else forgery({"auth_time": None}))
        person.elsewhere = PlainBrowser(realm.provider)
        person.come_back(way, subject_of(person))
        assert 'id="key"' in person.open("/probe").body.decode()
    finally:
        own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")


# Ways around the demand that everyone signs in with the provider.


@pytest.fixture
def demanded(own: Gateway, realm: Realm) -> Iterator[None]:
    own.write("UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'")
    yield
    own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")
    own.write("UPDATE accounts SET role = 'manager' WHERE identifier = 'mara@acme.example'")
    own.write("UPDATE accounts SET enrolled = '' WHERE identifier IN ('mara@acme.example', 'adam@acme.example')")
    own.write("DELETE FROM totp")


@pytest.mark.usefixtures("demanded")
def test_an_exempt_administrator_who_is_none_any_more_needs_the_provider(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")
    adam, mara = (Employee(own, identity_provider, f"{name}@acme.example") for name in ("adam", "mara"))
    for each in (adam, mara):
        each.give_password()
        each.enrol()
    exempt = "UPDATE accounts SET role = 'admin', enrolled = 'totp =exempt' WHERE identifier = :email"
    for each in (adam, mara):
        own.write(exempt, email=each.email)
    own.write("UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'")
    assert mara.is_signed_in
    [(account,)] = own.write("SELECT id FROM accounts WHERE identifier = 'mara@acme.example'")
    fields = {"account": account, "do": "saved", "role": "employee"}
    assert "done=" in (adam.send("/admin/accounts/member", fields).get("location") or "")
    assert not mara.is_signed_in
    mara.cookies.clear()
    assert "requires you to use its own sign-in page" in mara.give_password().body.decode()
    assert own.write("SELECT enrolled FROM accounts WHERE identifier = 'mara@acme.example'") == [("totp",)]


@pytest.mark.usefixtures("demanded")
def test_an_exemption_counts_for_administrators_alone(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    """However the role was lost: by a statement in the store, say."""
    own.write("UPDATE accounts SET role = 'employee', enrolled = '=exempt' WHERE identifier = 'mara@acme.example'")
    mara = Employee(own, identity_provider, "mara@acme.example")
    assert "requires you to use its own sign-in page" in mara.give_password().body.decode()
    assert not mara.is_signed_in


# An administrator, or somebody with the session of one.


def test_the_client_secret_is_sent_to_no_other_issuer(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    """Whoever may change the issuer could read the stored secret otherwise: a trial would send it there."""
    adam, other = Employee(own, identity_provider, "adam@acme.example"), identity_provider.realm(clients=[GATEWAY])
    adam.give_password("/admin/sso")
    for issuer, client in ((other.issuer, GATEWAY.client_id), (realm.issuer, "another")):
        fields = {"do": "saved", "kind": "generic", "issuer": issuer, "client_id": client, "client_secret": ""}
        answer = adam.send("/admin/sso", fields)
        assert answer.status == 422
        assert "Enter the client secret" in answer.body.decode()
    assert own.write("SELECT issuer, client_id, is_enabled FROM identity_providers") == [
        (realm.issuer, GATEWAY.client_id, 1)
    ]


# Other sites, whose visitors' browsers load what they say, and programs.

PICTURE = ("Accept: image/avif,image/webp,*/*", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
FRAME = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
AHEAD = (*NAVIGATION, "Sec-Purpose: prefetch;prerender")
SCRIPT = ("Accept: */*", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")


def waiting(own: Gateway) -> int:
    return int(own.write("SELECT count(*) FROM sso_waits")[0][0])


@pytest.mark.parametrize("lines", [PICTURE, FRAME, AHEAD, SCRIPT], ids=["picture", "frame", "ahead", "script"])
def test_what_nobody_sees_begins_no_sign_in_and_uses_no_answer_up(
    own: Gateway, person: Employee, lines: tuple[str, ...]
) -> None:
    query = person.elsewhere.sign_in(person.leave(), subject_of(person)).query
    before = waiting(own)
    for path in ("/login/sso/acme", f"/login/sso/callback/acme?{urlencode(query)}"):
        answer = own.exchange(get(path, person.cookie_line, person.browser, *lines), source=person.source)
        assert not any("session" in line for line in answer.all("set-cookie"))
    assert waiting(own) == before
    assert person.bring(query).get("location") == "/probe"


def test_a_head_request_begins_no_sign_in_and_uses_no_answer_up(own: Gateway, person: Employee) -> None:
    query = person.elsewhere.sign_in(person.leave(), subject_of(person)).query
    before = waiting(own)
    for path in ("/login/sso/acme", f"/login/sso/callback/acme?{urlencode(query)}"):
        request = get(path, person.cookie_line, person.browser, *NAVIGATION).replace(b"GET ", b"HEAD ", 1)
        with own.connect(source=person.source) as connection:
            connection.send(request)
            answer = connection.response("HEAD")
        assert answer is not None
        assert not any("session" in line for line in answer.all("set-cookie"))
    assert waiting(own) == before
    assert person.bring(query).get("location") == "/probe"


def test_a_whole_office_begins_at_nine_and_nobody_is_locked_out(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    office = [Employee(own, identity_provider, f"crowd{n}@acme.example") for n in range(80)]
    for each in office:
        each.source = office[0].source
        each.leave()
    assert len(office) == 80


def test_answers_to_nothing_are_counted_and_keep_nobody_else_out(
    own: Gateway, person: Employee, identity_provider: IdentityProvider
) -> None:
    query = person.elsewhere.sign_in(person.leave(), subject_of(person)).query
    before = own.write("SELECT count(*) FROM audit")[0][0]
    stranger = Employee(own, identity_provider, "x")
    stranger.source = person.source
    statuses = [stranger.bring({"state": f"{n:043}", "code": "x"}).status for n in range(80)]
    assert (statuses[0], statuses[-1]) == (422, 429)
    assert own.write("SELECT count(*) FROM audit")[0][0] - before < 55
    assert person.bring(query).get("location") == "/probe"
    assert person.is_signed_in


def test_who_comes_back_from_the_provider_counts_no_more(own: Gateway, person: Employee) -> None:
    """Else as many as the limit allows could sign in from an office, and nobody after them."""
    query = person.elsewhere.sign_in(person.leave(), subject_of(person)).query
    key = f"sso:|{person.source}"
    [(began,)] = own.write("SELECT failures FROM limits WHERE key = :key", key=key)
    assert began
    own.write("UPDATE limits SET failures = :at WHERE key = :key", at=str(int(began) - 5), key=key)
    own.write("UPDATE sso_waits SET began_at = began_at - 5 WHERE ended_at IS NULL")
    assert person.bring(query).get("location") == "/probe"
    assert own.write("SELECT failures FROM limits WHERE key = :key", key=key) == [("",)]


def test_a_company_tries_out_so_many_providers_a_minute(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    """Each may have another name, and while one is looked up, a thread waits that other companies need as well."""
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    own.write("DELETE FROM limits WHERE key = 'sso-trials:acme'")
    statuses = [adam.send("/admin/sso", {"do": "trial"}).status for _ in range(20)]
    assert statuses == [200] * 12 + [429] * 8
    adam.leave()  # signing in goes on
    own.write("DELETE FROM limits WHERE key = 'sso-trials:acme'")


# A thief of an account, who has an identity at the same company.


def test_undoing_an_email_change_disconnects_whom_the_thiefs_mailbox_had_connected(
    own: Gateway, realm: Realm, mailbox: Mailbox, identity_provider: IdentityProvider
) -> None:
    """Else the thief came back by the provider, after the victim had the account again."""
    victim = Employee(own, identity_provider, f"crowd{next(numbers)}@acme.example")
    realm.set(users=[*PEOPLE, User("thief", "thief@acme.example", "Thief")])
    thief = Employee(own, identity_provider, victim.email)
    thief.give_password()
    thief.send("/me/email", {"email": "thief@acme.example"})
    path = urlsplit(links_in(mailbox.wait_for("thief@acme.example", "Confirm"))[0]).path
    thief.open(path)
    thief.send(path, {}, follow=True)
    undo = urlsplit(links_in(mailbox.wait_for(victim.email, "was changed"))[0]).path
    thief.email = "thief@acme.example"
    thief.cookies.clear()
    linked(thief, mailbox)
    thief.come_back(thief.leave(), "thief")
    assert thief.is_signed_in
    victim.open(undo)
    victim.send(undo, {})
    assert own.write("SELECT count(*) FROM accounts WHERE identifier = :email", email=victim.email) == [(1,)]
    assert not thief.is_signed_in
    assert thief.come_back(thief.leave(), "thief").status == 422
    assert not thief.is_signed_in
    realm.set(users=PEOPLE)


def test_a_connection_from_before_survives_an_email_change_that_is_undone(
    own: Gateway, person: Employee, mailbox: Mailbox
) -> None:
    own.write("UPDATE sso_links SET created_at = created_at - 60")
    new = f"new-{person.email}"
    person.send("/me/email", {"email": new})
    path = urlsplit(links_in(mailbox.wait_for(new, "Confirm"))[0]).path
    person.send(path, {}, follow=True)
    undo = urlsplit(links_in(mailbox.wait_for(person.email, "was changed"))[0]).path
    person.send(undo, {})
    assert not person.is_signed_in
    assert person.come_back(person.leave(), subject_of(person)).get("location") == "/probe"


# Login CSRF: a link signs its reader in as somebody else.


def follow_link(person: Employee, site: str, tenant: str = "acme") -> Response:
    lines = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", f"Sec-Fetch-Site: {site}")
    request = get(f"/login/sso/{tenant}?next=/probe", person.cookie_line, person.browser, *lines)
    return person._arrive(person.gateway.exchange(request, source=person.source), follow=False)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_asks_before_it_leads_to_a_companys_provider(
    own: Gateway, realm: Realm, person: Employee, site: str
) -> None:
    person.cookies.clear()
    before = waiting(own)
    page = follow_link(person, site)
    assert "Sign in with acme?" in page.body.decode()
    assert "You’ll sign in at 127.0.0.1" in page.body.decode()
    assert page.all("set-cookie") == []
    assert waiting(own) == before
    assert person.come_back(way_on(person.submit("/login/sso")), subject_of(person)).get("location") == "/probe"


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_a_bookmark_leads_straight_there(realm: Realm, person: Employee, site: str) -> None:
    assert way_on(follow_link(person, site)).startswith(realm.provider.origin)


def test_whom_another_company_signs_in_is_asked_before_that_ends(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider
) -> None:
    olga = Employee(own, identity_provider, "olga@beta.example")
    olga.give_password()
    page = follow_link(olga, "same-origin").body.decode()
    assert "Sign in with acme?" in page
    assert "You’re signed in as Olga (olga@beta.example)" in page
    assert olga.is_signed_in


# What a provider or a link says is shown, followed and stored as text.

ELSEWHERE = (
    "/\\evil.example", "//evil.example", "/%09/evil.example", "/%0a/evil.example", "/%2f%2fevil.example",
    "\\/evil.example", "https:evil.example", "https://app.example.com@evil.example", "https://app.example.com.evil.example",
    "javascript:alert(1)", "/login/sso/callback/acme?state=x&code=y", "/login/sso/acme",
)  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nobody_is_led_elsewhere_after_signing_in(realm: Realm, person: Employee, target: str) -> None:
    for way in (person.leave(target), way_on(person.open(f"/login/sso/acme?{urlencode({'next': target})}"))):
        assert person.come_back(way, subject_of(person)).get("location") == "/"


def test_a_target_that_is_given_twice_is_none(realm: Realm, person: Employee) -> None:
    way = way_on(person.open("/login/sso/acme?next=/probe&next=//evil.example"))
    assert person.come_back(way, subject_of(person)).get("location") == "/"


def test_what_a_provider_says_of_somebody_is_no_markup(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider, mailbox: Mailbox
) -> None:
    evil = "<svg onload=alert(1)>"
    claims = {"name": evil, "email": "crowd39@acme.example", "roles": [evil], "acr": evil, "amr": [evil]}
    realm.set(id_token=forgery(claims))
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    tried = try_out(adam, "crowd39")
    assert "&lt;svg onload" in tried
    assert "<svg onload" not in tried
    stranger = Employee(own, identity_provider, "crowd39@acme.example")
    assert "<svg onload" not in stranger.come_back(stranger.leave(), "crowd39").body.decode()
    mail = mailbox.wait_for("crowd39@acme.example", "Confirm your sign-in")
    assert b"<svg onload" not in mail.as_bytes()
    realm.set(id_token=None)
