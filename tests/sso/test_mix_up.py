"""Mix-up (RFC 9700 §4.4): a company's administrator makes the gateway hand them the codes of another company's people.

    a victim of Acme is led to /login/sso/beta -> Beta's provider leads them on to Acme's, which knows them and asks for
    nothing, with Beta's state and the question of the attacker's own sign-in -> the gateway takes the answer for Beta's
    and sends the code there -> the attacker brings it to their own sign-in at Acme

Acme's provider names no issuer in its answers (RFC 9207), as Entra ID, Google and Okta don't.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.sso.journey import GATEWAY, Employee, connect, save
from tests.support.gateway import COOKIE, Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.mail import Mailbox

GUID = "21ec2020-3aea-4069-a2dd-08002b30309d"


@pytest.fixture(scope="module")
def honest(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    """Acme's."""
    people = [User(GUID, "erin@acme.example", "Erin", claims={"xms_edov": True})]
    realm = identity_provider.entra(users=people, clients=[GATEWAY], optional_claims=["email"])
    connect(own, realm, subject=GUID, kind="entra")
    return realm


@pytest.fixture(scope="module")
def attackers(own: Gateway, identity_provider: IdentityProvider) -> Realm:
    """Beta's, which names no issuer either."""
    realm = identity_provider.realm(users=[User("olga", "olga@beta.example", "Olga")], clients=[GATEWAY], par="off")
    silent = {**realm.metadata(), "authorization_response_iss_parameter_supported": False}
    realm.fail("discovery", body=json.dumps(silent))
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    olga = Employee(own, identity_provider, "olga@beta.example")
    olga.give_password("/admin/sso")
    save(olga, realm)
    own.write("UPDATE identity_providers SET is_enabled = :yes, tried_at = 1 WHERE tenant = 'beta'", yes=True)
    return realm


def test_no_code_of_one_companys_provider_is_sent_to_anothers(
    own: Gateway, honest: Realm, attackers: Realm, mailbox: Mailbox, identity_provider: IdentityProvider
) -> None:
    victim = Employee(own, identity_provider, "erin@acme.example")
    assert "Check your email" in victim.come_back(victim.leave(), GUID).body.decode()
    victim.confirm(mailbox)
    assert victim.come_back(victim.leave(), GUID).get("location") == "/probe"  # Acme's provider knows them from now on
    attacker = Employee(own, identity_provider, "erin@acme.example")
    question = dict(parse_qsl(urlsplit(attacker.leave()).query))
    victim.cookies.pop(COOKIE)  # or the page would ask first: another company has signed them in
    theirs = dict(parse_qsl(urlsplit(victim.leave_by("beta")).query))
    lured = f"{honest.metadata()['authorization_endpoint']}?{urlencode({**question, 'state': theirs['state']})}"
    landed = victim.elsewhere.open(lured)
    assert landed.query["state"] == theirs["state"]
    answer = victim.open(landed.url.removeprefix(own.public_url), follow=False)
    assert answer.status == 422
    assert attackers.requests("token") == []
    code = landed.query["code"]
    attacker.bring({"code": code, "state": question["state"]})
    assert attacker.is_signed_in  # with the code, it is theirs: so it must never get to them
