"""Two companies: an administrator of one sends everything to every page of single sign-on, and finds nothing of the other."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.scim.provider import make_token
from tests.sso.journey import GATEWAY, Employee, connect, linked, save
from tests.support.gateway import Gateway
from tests.support.identity_provider import IdentityProvider, Realm, User
from tests.support.mail import Mailbox

PAGES = ("", "/key", "/domains", "/roles", "/required", "/provisioning")
WORDS = (
    "saved", "trial", "on", "off", "removed", "made", "used", "retired", "dropped", "added", "checked", "required",
    "optional", "created", "revoked", "more", "granted", "taken",
)  # fmt: skip
WAITING = "not-proved-yet.example"
OF_A_TENANT = ("identity_providers", "domain_claims", "domain_challenges", "scim_tokens", "scim_users", "scim_groups")
OF_A_PROVIDER = ("sso_links", "sso_sessions", "sso_keys")


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider, mailbox: Mailbox) -> Realm:
    """Acme, which uses all that there is."""
    people = [User("erin", "erin@acme.example", "Erin"), User("olga", "olga@beta.example", "Olga")]
    realm = identity_provider.realm(users=people, clients=[GATEWAY])
    own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'olga@beta.example'")
    adam = connect(own, realm)
    erin = linked(Employee(own, identity_provider, "erin@acme.example"), mailbox)
    erin.come_back(erin.leave(), "erin")
    adam.send("/admin/sso/key", {"do": "made"})
    adam.send("/admin/sso/domains", {"do": "added", "domain": WAITING})
    adam.send("/admin/sso/roles", {"do": "saved", "claim": "", "default": "employee", "names_follow": "yes"})
    make_token(own)
    return realm


@pytest.fixture
def olga(own: Gateway, realm: Realm) -> Employee:
    olga = Employee(own, realm.provider, "olga@beta.example")
    olga.give_password("/admin/sso")
    return olga


def everything_of(own: Gateway, tenant: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {
        table: list(own.write(f"SELECT * FROM {table} WHERE tenant = :tenant", tenant=tenant)) for table in OF_A_TENANT
    }
    for table in OF_A_PROVIDER:
        whose = "(SELECT id FROM identity_providers WHERE tenant = :tenant)"
        found[table] = list(own.write(f"SELECT * FROM {table} WHERE provider IN {whose}", tenant=tenant))
    found["tenants"] = list(own.write("SELECT * FROM tenants WHERE slug = :tenant", tenant=tenant))
    people = "SELECT id, role, status, enrolled, modules FROM accounts WHERE tenant = :tenant ORDER BY id"
    return {**found, "accounts": list(own.write(people, tenant=tenant))}


def marks_of(own: Gateway, realm: Realm) -> list[str]:
    """Return what must not be on a page for others: addresses, ids, names, values."""
    values = own.write("SELECT value FROM domain_challenges WHERE tenant = 'acme'")
    hints = own.write("SELECT hint FROM scim_tokens WHERE tenant = 'acme'")
    return [realm.issuer, WAITING, "acme", "Adam", "Mara", *ids_of(own), *(text for (text,) in [*values, *hints])]


def ids_of(own: Gateway) -> list[str]:
    queries = (
        "SELECT id FROM identity_providers WHERE tenant = 'acme'",
        "SELECT id FROM scim_tokens WHERE tenant = 'acme'",
        "SELECT k.id FROM sso_keys k JOIN identity_providers p ON p.id = k.provider WHERE p.tenant = 'acme'",
        "SELECT id FROM accounts WHERE tenant = 'acme'",
    )
    return [str(found) for query in queries for (found,) in own.write(query)]


def test_there_is_something_to_find(own: Gateway, realm: Realm) -> None:
    there = everything_of(own, "acme")
    empty = [table for table, rows in there.items() if not rows]
    assert empty == ["scim_users", "scim_groups"]
    assert len(marks_of(own, realm)) > 12


@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_anything_of_the_other_company(own: Gateway, realm: Realm, olga: Employee, page: str) -> None:
    shown = olga.open(f"/admin/sso{page}").body.decode()
    assert "Olga" in shown or "Single sign-on" in shown
    texts = re.sub(r"placeholder=\"[^\"]*\"|acme\.(?:okta\.com|example/|example\b)|id\.acme", "", shown)
    assert [mark for mark in marks_of(own, realm) if mark in texts] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_form_changes_anything_of_the_other_company(own: Gateway, realm: Realm, olga: Employee, page: str) -> None:
    save(olga, realm)  # so that there is something to change
    before, ids = everything_of(own, "acme"), ids_of(own)
    names = ("token", "key", "id", "provider", "account", "tenant")
    statuses = set()
    for what, confirmed, domain in itertools.product(WORDS, ("", "yes"), ("acme.example", WAITING)):
        fields = {
            "do": what, "confirmed": confirmed, "domain": domain, "days": "90", "claim": "roles", "default": "manager",
            "tenant": "acme", "kind": "generic", "issuer": realm.issuer, "client_id": GATEWAY.client_id,
            "client_secret": "guessed", **{f"exempt_{each}": "yes" for each in ids},
        }  # fmt: skip
        for each in (ids[0], ids[-1]):
            answer = olga.send(f"/admin/sso{page}", fields | dict.fromkeys(names, each))
            statuses.add(answer.status)
            assert answer.status < 500, (what, answer.status)
    assert statuses & {200, 303}  # some of it was done, for her own company
    assert everything_of(own, "acme") == before
    if page == "/provisioning":
        for token in ids:
            olga.send(f"/admin/sso{page}", {"do": "revoked", "confirmed": "yes", "token": token})
        assert everything_of(own, "acme") == before


def test_no_key_of_the_other_company_is_shown(own: Gateway, olga: Employee) -> None:
    [(key,)] = own.write(
        "SELECT k.id FROM sso_keys k JOIN identity_providers p ON p.id = k.provider WHERE p.tenant = 'acme'"
    )
    assert olga.open(f"/admin/sso/certificate/{key}").status == 404


def test_the_other_companys_people_sign_in_nowhere_else(own: Gateway, realm: Realm, olga: Employee) -> None:
    """Olga's company connects the same provider: whom Acme knows by a name there is nobody at hers."""
    save(olga, realm)
    own.write("UPDATE identity_providers SET is_enabled = :yes, tried_at = 1 WHERE tenant = 'beta'", yes=True)
    erin = Employee(own, realm.provider, "somebody@beta.example")
    answer = erin.come_back(erin.leave(), "erin")
    assert answer.status == 422
    assert not erin.is_signed_in
    other = Employee(own, realm.provider, "erin@acme.example")
    assert other.come_back(other.leave(), "olga").status == 422
    assert not other.is_signed_in
