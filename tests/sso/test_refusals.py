"""What goes wrong at the provider: the administrator's trial says it in plain words, other people are told what to do."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sso.journey import GATEWAY, Employee, connect, save, try_out, way_on
from tests.support.gateway import PASSWORD, Gateway
from tests.support.identity_provider import IdentityProvider, Json, PlainBrowser, Realm, User, forgery

GUID = "21ec2020-3aea-4069-a2dd-08002b30309d"
PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    User("nobody", "", "Nobody"),
    User("far", "far@far.example", "Far"),
]
numbers = itertools.count()


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    realm = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    connect(own, realm)
    return realm


@pytest.fixture(autouse=True)
def healed(realm: Realm, adam: Employee) -> Iterator[None]:
    adam.elsewhere = PlainBrowser(realm.provider)
    yield
    realm.heal()
    realm.set(callback=None, id_token=None, clock=0)


@pytest.fixture(scope="module")
def adam(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> Employee:
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    return adam


def last(own: Gateway) -> tuple[Json, str]:
    """Return the details and the tenant of the last refusal in the audit log."""
    query = "SELECT details, personal, tenant FROM audit WHERE event = 'login_failed' ORDER BY id DESC LIMIT 1"
    details, personal, tenant = own.write(query)[0]
    return {**json.loads(details), **json.loads(personal or "{}")}, tenant


def refusal(error: str, description: str) -> Json:
    return {"code": None, "error": error, "error_description": description}


@pytest.mark.parametrize(
    ("switches", "words", "reason"),
    [
        ({"clock": 3_700}, "is from the future: the clocks differ", "issued_in_future"),
        ({"id_token": forgery({"aud": "another"})}, "wasn’t made by your provider for this site", "audience"),
        ({"id_token": forgery({"iss": "https://evil.example"})}, "an issuer other than", "issuer"),
        ({"callback": refusal("invalid_scope", "groups?")}, "all of the scopes", "scope"),
        ({"callback": refusal("server_error", "oh <b>no</b>")}, "having problems at the moment", "unavailable"),
        ({"callback": {"iss": "https://evil.example"}}, "from a provider other than yours", "answer_issuer"),
    ],
)
def test_a_trial_says_what_is_wrong(
    own: Gateway, adam: Employee, realm: Realm, switches: Json, words: str, reason: str
) -> None:
    realm.set(**switches)
    page = try_out(adam, "erin")
    assert words in page
    assert "<b>no" not in page
    details, tenant = last(own)
    assert (details["reason"], tenant) == (reason, "acme")


def test_a_trial_says_where_to_mend_a_wrong_secret(own: Gateway, adam: Employee, realm: Realm) -> None:
    save(adam, realm, kind="keycloak", client_secret="a wrong secret of mine")
    page = try_out(adam, "erin")
    assert "client secret is wrong" in page
    assert "Clients › your client › Credentials" in page
    assert "invalid_client: client authentication failed" in page
    assert last(own)[0]["said"] == "invalid_client: client authentication failed"
    assert '"reason": "client"' in own.logged()
    assert "a wrong secret of mine" not in own.logged()
    save(adam, realm)


@pytest.mark.parametrize(
    ("ending", "words"), [("/", "issuer differs from the one"), ("/x", "doesn’t know the address")]
)
def test_a_wrong_issuer_is_told_before_anybody_leaves(adam: Employee, realm: Realm, ending: str, words: str) -> None:
    save(adam, realm, issuer=realm.issuer + ending)
    answer = adam.send("/admin/sso", {"do": "trial"})
    assert answer.status == 422
    assert words in answer.body.decode()
    save(adam, realm)


def test_a_person_without_an_email_and_one_of_another_domain_are_told_apart(adam: Employee, realm: Realm) -> None:
    assert "gave no email address" in try_out(adam, "nobody")
    adam.elsewhere = PlainBrowser(realm.provider)
    assert "isn’t at one of your domains" in try_out(adam, "far")


def test_only_who_began_the_trial_sees_what_went_wrong(
    own: Gateway, adam: Employee, realm: Realm, identity_provider: IdentityProvider
) -> None:
    realm.set(callback=refusal("invalid_scope", "groups?"))
    way = way_on(adam.send("/admin/sso", {"do": "trial"}))
    kept = adam.cookies.pop("__Host-otium_session")
    page = adam.come_back(way, "erin").body.decode()
    adam.cookies["__Host-otium_session"] = kept
    assert "didn’t work" in page
    assert "scope" not in page


@pytest.mark.parametrize(
    ("error", "number", "words", "reason"),
    [
        ("access_denied", 50105, "doesn’t let you in here", "not_assigned"),
        ("access_denied", 65004, "You cancelled", "declined"),
        ("invalid_client", 65001, "didn’t work", "consent"),
    ],
)
def test_a_person_is_told_what_to_do_and_the_log_why(
    own: Gateway, realm: Realm, identity_provider: IdentityProvider, error: str, number: int, words: str, reason: str
) -> None:
    adam = connect_again(own, realm)
    realm.set(callback=refusal(error, f"AADSTS{number}: It is so."))
    person = Employee(own, identity_provider, "erin@acme.example")
    answer = person.come_back(person.leave(), "erin")
    assert answer.status == 422
    assert words in answer.body.decode()
    assert "AADSTS" not in answer.body.decode()
    details, tenant = last(own)
    assert (details["reason"], details["said"], tenant) == (reason, f"{error}: AADSTS{number}: It is so.", "acme")
    page = adam.open("/admin/audit?event=login_failed").body.decode()
    assert "with single sign-on failed" in page
    assert f"AADSTS{number}" in page


def connect_again(own: Gateway, realm: Realm) -> Employee:
    own.write("UPDATE identity_providers SET is_enabled = :yes", yes=True)
    adam = Employee(own, realm.provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    return adam


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("", 400, "state"),
        ("code=x", 400, "state"),
        ("state=x&code=y", 422, "state"),
        (f"state={43 * 'A'}&code=y", 422, "state"),
        ("state=x&code=y&error=z", 400, "answer"),
        ("state=x&state=y&code=z", 400, "duplicate"),
    ],
)
def test_an_answer_to_nothing_is_refused_and_recorded(
    own: Gateway, identity_provider: IdentityProvider, query: str, status: int, reason: str
) -> None:
    stranger = Employee(own, identity_provider, "x")
    answer = stranger.open(f"/login/sso/callback/acme?{query}", follow=False)
    assert answer.status == status
    assert last(own)[0]["reason"] == reason


def test_entra_ids_own_words_are_shown(own: Gateway, adam: Employee, identity_provider: IdentityProvider) -> None:
    lena = User(GUID, "lena@acme.example", "Lena")
    entra = identity_provider.entra(users=[lena], clients=[GATEWAY])
    save(adam, entra, kind="entra", client_secret="wrong")
    page = try_out(adam, GUID)
    assert "AADSTS7000215: Invalid client secret provided." in page
    assert "Certificates &amp; secrets › Client secrets" in page


def test_people_with_another_way_in_are_not_held_up_by_a_provider_that_never_answers(
    own: Gateway, identity_provider: IdentityProvider
) -> None:
    stuck = identity_provider.realm(users=PEOPLE, clients=[GATEWAY])
    stuck.fail(seconds=60)
    own.write(
        "UPDATE identity_providers SET issuer = :issuer, kind = 'generic', is_enabled = :yes",
        issuer=stuck.issuer,
        yes=True,
    )
    crowd = [Employee(own, identity_provider, f"crowd{n}@acme.example") for n in range(30)]
    with ThreadPoolExecutor(len(crowd)) as pool:
        waiting = [pool.submit(person.send, "/login/sso", {"email": person.email}) for person in crowd]
        while not stuck.requests("discovery"):
            pass
        erin = Employee(own, identity_provider, "erin@acme.example")
        erin.give_password()
        assert erin.is_signed_in
        assert not any(each.done() for each in waiting)
        pages = [each.result() for each in waiting]
    assert {page.status for page in pages} == {502}
    assert all("use your password" in page.body.decode() for page in pages)
    assert len(stuck.requests("discovery")) <= 2  # one for each worker
    way = re.search(r'class="button" href="(/login\?[^"]+)"', pages[0].body.decode())
    assert way is not None
    crowd[0].open(html.unescape(way[1]))
    crowd[0].submit("/login", email=crowd[0].email, password=PASSWORD)
    assert crowd[0].is_signed_in
