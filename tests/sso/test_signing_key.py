"""A key of ours takes the client secret's place: at a real provider, which reads it at its address, and by rotation."""

from __future__ import annotations

import itertools
import json
import re
import ssl
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography import x509
from joserfc.jwk import RSAKey

from gateway.model.base64url import encode_base64url
from tests.sso.journey import GATEWAY, Employee, connect, linked, save, try_out, way_on
from tests.support.gateway import ORIGIN, Gateway
from tests.support.identity_provider import IdentityProvider, Json, PlainBrowser, Realm, User
from tests.support.mail import Mailbox
from tests.support.person import Person

GUID = "21ec2020-3aea-4069-a2dd-08002b30309d"
PEOPLE = [
    User("erin", "erin@acme.example", "Erin"),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(20)),
]
PAGE = "/admin/sso/key"
JWKS = "/login/sso/jwks/acme"
SIGNING = replace(GATEWAY, method="private_key_jwt", jwks_uri=f"{ORIGIN}{JWKS}")
numbers = itertools.count()


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    """A provider that reads our keys at their address. An administrator chose the signature from the beginning."""
    via = {ORIGIN: f"http://127.0.0.1:{own.port}"}
    realm = identity_provider.realm(users=PEOPLE, clients=[SIGNING], via=via)
    connect(own, realm, signs="yes", client_secret="")
    return realm


@pytest.fixture
def adam(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> Employee:
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password(PAGE)
    return adam


@pytest.fixture
def person(own: Gateway, realm: Realm, mailbox: Mailbox, identity_provider: IdentityProvider) -> Employee:
    return linked(Employee(own, identity_provider, f"crowd{next(numbers)}@acme.example"), mailbox)


def published(own: Gateway) -> list[Json]:
    answer = Person(own, "x").open(JWKS)
    return list(json.loads(answer.body)["keys"])


def signs_in(person: Employee) -> bool:
    person.cookies.pop("__Host-otium_session", None)
    person.come_back(person.leave(), person.email.partition("@")[0])
    return person.is_signed_in


def do(adam: Employee, what: str) -> str:
    """Press a button on the page; return what it leads to, or what the page says."""
    answer = adam.send(PAGE, {"do": what})
    return answer.get("location") or answer.body.decode()


def events(own: Gateway) -> list[str]:
    found = own.write("SELECT event FROM audit WHERE event LIKE 'sso_key%' ORDER BY id")
    return [event for (event,) in found]


def test_people_sign_in_where_we_sign_and_no_secret_is_stored(own: Gateway, person: Employee, realm: Realm) -> None:
    assert signs_in(person)
    assert all("client_secret" not in request["form"] for request in realm.requests("token"))
    (key,) = published(own)
    assert (key["kty"], key["alg"], "d" in key) == ("EC", "ES256", False)
    stored = own.write("SELECT private FROM sso_keys")[0][0]
    assert b"PRIVATE" not in bytes(stored)


def test_a_key_is_rotated_and_people_sign_in_all_the_while(
    own: Gateway, adam: Employee, realm: Realm, person: Employee
) -> None:
    before = {key["kid"] for key in published(own)}
    assert do(adam, "made") == f"{PAGE}?done=made"
    assert "a new key already" in do(adam, "made")
    assert len(published(own)) == 2
    assert "Try the new key out first" in do(adam, "used")
    assert signs_in(person)
    realm.set(clients=[SIGNING])  # it reads our keys again, as it would after a minute
    page = adam.come_back(way_on(adam.send(PAGE, {"do": "trial"})), "erin").body.decode()
    assert "your provider answered" in page
    assert signs_in(person)
    assert do(adam, "used") == f"{PAGE}?done=used"
    assert signs_in(person)
    assert len(published(own)) == 2
    assert do(adam, "retired") == f"{PAGE}?done=retired"
    assert "no longer there" in do(adam, "retired")
    assert len(published(own)) == 1
    assert before.isdisjoint(key["kid"] for key in published(own))
    assert signs_in(person)
    assert events(own)[-3:] == ["sso_key_made", "sso_key_used", "sso_key_removed"]


def test_a_trial_with_a_key_that_the_provider_does_not_know_fails_and_changes_nothing(
    own: Gateway, adam: Employee, realm: Realm, person: Employee
) -> None:
    realm.set(clients=[replace(SIGNING, jwks_uri="", jwks={"keys": published(own)})])
    do(adam, "made")
    answer = adam.send(PAGE, {"do": "trial"})
    assert answer.status == 422
    assert "didn’t accept this site’s signature" in answer.body.decode()
    assert "Try the new key out first" in do(adam, "used")
    assert signs_in(person)
    assert do(adam, "dropped") == f"{PAGE}?done=dropped"
    assert "no longer there" in do(adam, "trial")
    realm.set(clients=[SIGNING])


def test_from_a_secret_to_the_signature_and_back_nobody_is_held_up(
    own: Gateway, adam: Employee, realm: Realm, person: Employee
) -> None:
    realm.set(clients=[GATEWAY])
    save(adam, realm, signs="")
    assert signs_in(person)
    fields = {"do": "saved", "kind": "generic", "issuer": realm.issuer, "client_id": GATEWAY.client_id, "signs": "yes"}
    refused = adam.send("/admin/sso", fields)
    assert refused.status == 422
    assert "doesn’t know the key yet" in refused.body.decode()
    do(adam, "made")
    realm.set(clients=[SIGNING])
    assert "your provider answered" in adam.come_back(way_on(adam.send(PAGE, {"do": "trial"})), "erin").body.decode()
    assert do(adam, "used") == f"{PAGE}?done=used"
    assert signs_in(person)


def test_the_keys_are_those_of_the_tenant(own: Gateway, realm: Realm, identity_provider: IdentityProvider) -> None:
    stranger = Employee(own, identity_provider, "x")
    assert stranger.open("/login/sso/jwks/beta").status == 404
    assert stranger.open("/login/sso/jwks/nowhere").status == 404
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    olga = Employee(own, identity_provider, "olga@beta.example")
    olga.give_password(PAGE)
    assert "Connect your provider first" in olga.open(PAGE).body.decode()
    kid = published(own)[0]["kid"]
    assert kid not in olga.open(PAGE).body.decode()
    assert olga.open(f"/admin/sso/certificate/{kid}").status == 404
    assert "no longer there" in do(olga, "made")


def test_entra_id_gets_a_certificate(own: Gateway, identity_provider: IdentityProvider, adam: Employee) -> None:
    lena = User(GUID, "lena@acme.example", "Lena")
    entra = identity_provider.entra(users=[lena])
    save(adam, entra, kind="entra", signs="yes", client_secret="")
    link = re.search(r'href="(/admin/sso/certificate/[^"]+)"', adam.open(PAGE).body.decode())
    assert link is not None
    answer = adam.open(link[1])
    assert (answer.get("content-disposition") or "").endswith('.cer"')
    read = x509.load_pem_x509_certificate(answer.body)
    assert read.subject.rfc4514_string() == "CN=Single sign-on acme"
    thumbprint = encode_base64url(sha256(ssl.PEM_cert_to_DER_cert(answer.body.decode())).digest())
    key = RSAKey.import_key(answer.body).as_dict(private=False)
    client = replace(GATEWAY, method="private_key_jwt", jwks={"keys": [dict(key)]}, certificate_thumbprint=thumbprint)
    entra.set(clients=[client])
    adam.elsewhere = PlainBrowser(identity_provider)
    assert "your provider answered" in try_out(adam, GUID)
    entra.set(clients=[replace(client, certificate_thumbprint="another")])
    page = try_out(adam, GUID)
    assert "didn’t accept this site’s signature" in page
    assert "Certificates &amp; secrets › Certificates" in page


def test_whoever_removes_the_provider_removes_its_keys(own: Gateway, adam: Employee) -> None:
    adam.send("/admin/sso", {"do": "removed", "confirmed": "yes"})
    assert own.write("SELECT count(*) FROM sso_keys") == [(0,)]
    assert Person(own, "x").open(JWKS).status == 404
