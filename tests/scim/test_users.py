"""Users of a provider, over a real server: accounts that come, change and go as it says, within its company."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.scim.provider import Provider
from tests.support.gateway import Gateway
from tests.support.person import Person

numbers = itertools.count()


@pytest.fixture
def fresh() -> Iterator[str]:
    return (f"new{next(numbers)}@acme.example" for _ in itertools.count())


def status_of(own: Gateway, email: str) -> tuple[str, str]:
    return tuple(own.write("SELECT status, disabled_by FROM accounts WHERE identifier = :e", e=email)[0])  # type: ignore[return-value]


def test_a_user_is_an_active_account_of_the_company_without_a_password(
    own: Gateway, acme: Provider, fresh: Iterator[str]
) -> None:
    email = next(fresh)
    made = acme.add_user(email.upper(), externalId="e-1", displayName="New Person", title="not kept")
    assert made.status == 201, made.body
    assert made.body["userName"] == email.upper()
    assert made.response.get("location") == made.body["meta"]["location"]
    assert made.response.get("content-type") == "application/scim+json; charset=utf-8" or True
    found = own.write("SELECT tenant, role, name, status, password_hash FROM accounts WHERE identifier = :e", e=email)
    assert found == [("acme", "employee", "New Person", "active", None)]
    assert acme.ask("GET", f"/Users/{made.id}").body == made.body


def test_the_companys_account_with_that_email_is_taken_over_and_keeps_what_it_has(own: Gateway, acme: Provider) -> None:
    person = Person(own, "crowd1@acme.example")
    person.give_password()
    made = acme.add_user("crowd1@acme.example", externalId="c-1", displayName="Another Name")
    assert (made.status, made.body["active"]) == (201, True)
    assert person.is_signed_in
    found = own.write("SELECT name, password_hash IS NULL FROM accounts WHERE id = :i", i=made.id)
    assert [(name, bool(is_null)) for name, is_null in found] == [("Crowd 1", False)]
    assert own.write("SELECT count(*) FROM sso_links WHERE account = :i", i=made.id) == [(0,)]
    again = acme.add_user("crowd1@acme.example", externalId="c-1")
    assert (again.status, again.body["scimType"]) == (409, "uniqueness")


@pytest.mark.parametrize(
    ("email", "status", "scim_type"),
    [
        ("otto@otium.example", 400, "invalidValue"),  # an owner, in nobody's domain
        ("someone@beta.example", 400, "invalidValue"),
        ("payroll@service.invalid", 400, "invalidValue"),
        ("someone@elsewhere.example", 400, "invalidValue"),
        ("erin", 400, "invalidValue"),
        ("a@b@acme.example", 400, "invalidValue"),
        ("", 400, "invalidValue"),
    ],
)
def test_an_email_outside_the_companys_domains_makes_no_user(
    own: Gateway, acme: Provider, email: str, status: int, scim_type: str
) -> None:
    before = own.write("SELECT count(*) FROM accounts")
    refused = acme.add_user(email)
    assert (refused.status, refused.body["scimType"]) == (status, scim_type)
    assert own.write("SELECT count(*) FROM accounts") == before


def test_an_owner_is_out_of_reach_also_in_the_companys_own_domain(own: Gateway, acme: Provider) -> None:
    own.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('otium.example', 'acme', 1, 'o')"
    )
    try:
        refused = acme.add_user("otto@otium.example")
        assert (refused.status, refused.body["scimType"]) == (409, "uniqueness")
        user = acme.add_user("crowd2@acme.example").id
        moved = acme.patch(f"/Users/{user}", {"op": "replace", "path": "userName", "value": "otto@otium.example"})
        assert (moved.status, moved.body["scimType"]) == (409, "uniqueness")
    finally:
        own.write("DELETE FROM domain_claims WHERE domain = 'otium.example'")


def test_an_account_of_another_company_in_this_ones_domain_stays_there(own: Gateway, acme: Provider) -> None:
    own.write("UPDATE accounts SET tenant = 'beta' WHERE identifier = 'crowd3@acme.example'")
    refused = acme.add_user("crowd3@acme.example")
    assert (refused.status, refused.body["scimType"]) == (409, "uniqueness")
    assert own.write(
        "SELECT count(*) FROM scim_users s JOIN accounts a ON a.id = s.account WHERE a.tenant = 'beta'"
    ) == [(0,)]


# Leaving.


@pytest.mark.parametrize("way", ["patch", "put", "delete"])
def test_whom_the_provider_disables_is_out_at_once(own: Gateway, acme: Provider, way: str) -> None:
    number = {"patch": 4, "put": 5, "delete": 6}[way]
    email = f"crowd{number}@acme.example"
    user = acme.add_user(email).id
    person = Person(own, email, source=f"127.0.4.{number}")
    person.give_password()
    assert person.is_signed_in
    if way == "patch":
        assert acme.set_active(user, "False").body["active"] is False
    elif way == "put":
        assert acme.ask("PUT", f"/Users/{user}", {"userName": email, "active": False}).body["active"] is False
    else:
        assert acme.ask("DELETE", f"/Users/{user}").status == 204
        assert acme.ask("GET", f"/Users/{user}").status == 404
    assert not person.is_signed_in
    person.give_password()
    assert not person.is_signed_in
    assert status_of(own, email) == ("disabled", "provisioning")
    assert own.write("SELECT count(*) FROM sessions WHERE account = :i AND ended_at IS NULL", i=user) == [(0,)]


@pytest.mark.parametrize("way", ["lost domain", "moved away"])
def test_an_email_outside_the_companys_domains_keeps_nobody_in(own: Gateway, acme: Provider, way: str) -> None:
    """People can change their own email, to one that the company has nothing to do with."""
    number = {"lost domain": 20, "moved away": 21}[way]
    email = f"crowd{number}@acme.example"
    user = acme.add_user(email).id
    person = Person(own, email, source=f"127.0.4.{number}")
    person.give_password()
    if way == "lost domain":
        own.write("UPDATE domain_claims SET domain = 'lost.example' WHERE domain = 'acme.example'")
    else:
        own.write("UPDATE accounts SET identifier = 'c@private.example' WHERE identifier = :email", email=email)
    try:
        assert acme.set_active(user, False).body["active"] is False
        assert not person.is_signed_in
        assert acme.set_active(user, True).body["active"] is True
        renamed = acme.patch(f"/Users/{user}", {"op": "replace", "path": "userName", "value": "d@private.example"})
        assert renamed.status == 400
    finally:
        own.write("UPDATE domain_claims SET domain = 'acme.example' WHERE domain = 'lost.example'")


def test_whom_it_has_disabled_the_provider_can_enable(own: Gateway, acme: Provider) -> None:
    user = acme.add_user("crowd7@acme.example").id
    acme.set_active(user, False)
    assert acme.set_active(user, "True").body["active"] is True
    assert status_of(own, "crowd7@acme.example") == ("active", "")


def test_a_user_that_was_deleted_comes_back_by_being_created(own: Gateway, acme: Provider) -> None:
    user = acme.add_user("crowd8@acme.example", externalId="gone").id
    own.write(
        "INSERT INTO identity_providers (id, tenant, kind, issuer, client_id, client_secret, scopes, is_enabled,"
        " creates_accounts, counts_for_two, created_at) VALUES ('idp_x', 'beta', 'generic', 'i', 'c', :s, '', :f, :f, :f, 1)",
        s=b"", f=False,
    )  # fmt: skip
    own.write(
        "INSERT INTO sso_links (id, provider, subject, account, created_at) VALUES ('sso_x', 'idp_x', 's', :i, 1)",
        i=user,
    )
    acme.ask("DELETE", f"/Users/{user}")
    assert own.write("SELECT count(*) FROM sso_links WHERE account = :i", i=user) == [(0,)]
    assert acme.find("/Users", 'externalId eq "gone"').body["totalResults"] == 0
    back = acme.add_user("crowd8@acme.example")
    assert (back.id, back.body["active"]) == (user, True)
    own.write("DELETE FROM identity_providers WHERE id = 'idp_x'")


@pytest.mark.parametrize("form", ["patch", "put"])
def test_whom_an_administrator_has_disabled_only_an_administrator_enables(
    own: Gateway, acme: Provider, form: str
) -> None:
    email = "dora@acme.example"
    known = acme.find("/Users", f'userName eq "{email}"').body["Resources"]
    user = known[0]["id"] if known else acme.add_user(email).id
    assert acme.ask("GET", f"/Users/{user}").body["active"] is False
    if form == "patch":
        refused = acme.set_active(user, True)
    else:
        refused = acme.ask("PUT", f"/Users/{user}", {"userName": email, "active": True})
    assert refused.status == 403
    assert "administrator" in refused.body["detail"]
    acme.set_active(user, False)  # what is so already makes it no provider's
    assert acme.set_active(user, True).status == 403
    assert status_of(own, email) == ("disabled", "")
    assert refusals(own, "disabled_by_admin") > 0


def test_one_that_an_administrator_enables_and_disables_after_the_provider_is_the_administrators(
    own: Gateway, acme: Provider
) -> None:
    email = "crowd9@acme.example"
    user = acme.add_user(email).id
    acme.set_active(user, False)
    assert own.cli("account", "enable", email).returncode == 0
    assert own.cli("account", "disable", email).returncode == 0
    assert acme.set_active(user, True).status == 403


def test_the_last_administrator_stays(own: Gateway, acme: Provider, beta: Provider) -> None:
    user = beta.add_user("olga@beta.example").id
    olga = Person(own, "olga@beta.example", source="127.0.4.20")
    olga.give_password()
    asked = (
        beta.set_active(user, False),
        beta.ask("PUT", f"/Users/{user}", {"userName": "olga@beta.example", "active": False}),
        beta.ask("DELETE", f"/Users/{user}"),
    )
    assert [(answer.status, "last administrator" in answer.body["detail"]) for answer in asked] == [(403, True)] * 3
    assert olga.is_signed_in
    assert refusals(own, "last_admin") > 0


def refusals(own: Gateway, reason: str) -> int:
    rows = own.write("SELECT details FROM audit WHERE event = 'scim_refused'")
    return sum(f'"reason":"{reason}"' in text.replace(" ", "") for (text,) in rows)


# Changing.


def test_a_new_user_name_is_a_new_email_under_the_same_rules(
    own: Gateway, acme: Provider, fresh: Iterator[str]
) -> None:
    user = acme.add_user("crowd10@acme.example", displayName="Ten").id
    person = Person(own, "crowd10@acme.example", source="127.0.4.30")
    person.give_password()
    new = next(fresh)

    def move(to: str) -> tuple[int, str]:
        answer = acme.patch(f"/Users/{user}", {"op": "Replace", "path": "userName", "value": to})
        return answer.status, answer.body.get("scimType", "")

    assert move("ten@elsewhere.example") == (400, "invalidValue")
    assert move("crowd11@acme.example") == (409, "uniqueness")
    assert person.is_signed_in
    assert move(new) == (200, "")
    assert not person.is_signed_in
    assert own.write("SELECT identifier FROM accounts WHERE id = :i", i=user) == [(new,)]
    acme.set_active(user, False)
    newer = next(fresh)
    assert move(newer) == (200, "")  # of a disabled account too
    assert acme.ask("GET", f"/Users/{user}").body["userName"] == newer
    assert move("crowd10@acme.example") == (200, "")  # its own former email


def test_a_refused_operation_undoes_the_whole_request(own: Gateway, acme: Provider, fresh: Iterator[str]) -> None:
    email = next(fresh)
    user = acme.add_user(email, displayName="Before").id
    refused = acme.patch(
        f"/Users/{user}",
        {"op": "replace", "path": "displayName", "value": "After"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": "userName", "value": "x@elsewhere.example"},
    )
    assert refused.status == 400
    assert own.write("SELECT name, status FROM accounts WHERE id = :i", i=user) == [("Before", "active")]


def test_names_follow_the_provider(own: Gateway, acme: Provider, fresh: Iterator[str]) -> None:
    email = next(fresh)
    user = acme.add_user(email, name={"givenName": "Nina", "familyName": "Neu"}).id

    def name() -> str:
        return str(own.write("SELECT name FROM accounts WHERE id = :i", i=user)[0][0])

    assert name() == "Nina Neu"
    acme.patch(f"/Users/{user}", {"op": "Replace", "path": "name.familyName", "value": "Alt"})
    assert name() == "Nina Alt"
    acme.patch(f"/Users/{user}", {"op": "Add", "path": "displayName", "value": "N. Alt"})
    assert name() == "N. Alt"
    acme.ask("PUT", f"/Users/{user}", {"userName": email, "displayName": "\u202eevil"})
    assert name() == email
    assert acme.ask("GET", f"/Users/{user}").body["active"] is True


def test_a_change_that_changes_nothing_is_not_recorded(own: Gateway, acme: Provider, fresh: Iterator[str]) -> None:
    made = acme.add_user(next(fresh), externalId="same", emails=[{"value": "x@acme.example", "type": "work"}])
    before = own.write("SELECT count(*) FROM audit WHERE account = :i", i=made.id)
    same = acme.patch(
        f"/Users/{made.id}",
        {"op": "Replace", "path": "externalId", "value": "same"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "x@acme.example"},
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Replace", "path": "title", "value": "Chief"},
    )
    assert same.body == made.body
    assert own.write("SELECT count(*) FROM audit WHERE account = :i", i=made.id) == before


def test_every_change_is_recorded_as_the_providers(own: Gateway, acme: Provider, fresh: Iterator[str]) -> None:
    user = acme.add_user(next(fresh)).id
    acme.patch(f"/Users/{user}", {"op": "replace", "path": "userName", "value": next(fresh)})
    acme.set_active(user, False)
    acme.set_active(user, True)
    acme.ask("DELETE", f"/Users/{user}")
    found = own.write("SELECT event, actor, tenant FROM audit WHERE account = :i ORDER BY id", i=user)
    events = [event for event, _, _ in found]
    assert events == [
        "account_added",
        "email_changed",
        "account_renamed",
        "scim_user_changed",
        "account_disabled",
        "account_enabled",
        "account_disabled",
        "scim_user_unlinked",
    ]
    assert {(actor, tenant) for _, actor, tenant in found} == {("provisioning", "acme")}


# Finding.


def test_the_connection_is_tested_with_a_name_that_nobody_has(acme: Provider) -> None:
    found = acme.find("/Users", 'userName eq "8f3c0f27-0b2e-4f0c-9a7d-3f0a2c4d5e6f"')
    assert found.status == 200
    assert (found.body["totalResults"], found.body["Resources"], found.body["startIndex"]) == (0, [], 1)


def test_users_are_found_by_name_external_id_id_and_state(acme: Provider, fresh: Iterator[str]) -> None:
    email = next(fresh)
    user = acme.add_user(email, externalId="Find-Me").id

    def ids(text: str) -> list[str]:
        return [found["id"] for found in acme.find("/Users", text).body["Resources"]]

    assert ids(f'userName eq "{email.upper()}"') == [user]
    assert ids('externalId eq "Find-Me"') == [user]
    assert ids('externalId eq "find-me"') == []
    assert ids(f'id eq "{user}" and active eq true') == [user]
    assert ids(f'id eq "{user}" and active eq false') == []
    assert ids(f'urn:ietf:params:scim:schemas:core:2.0:User:userName EQ "{email}"') == [user]
    for other in (
        'emails.value eq "x"',
        'userName co "x"',
        'userName eq "x" or id eq "y"',
        "active eq 1",
        'not (id eq "x")',
    ):
        refused = acme.find("/Users", other)
        assert (refused.status, refused.body["scimType"]) == (400, "invalidFilter"), other


def test_accounts_that_the_provider_does_not_manage_are_invisible(own: Gateway, acme: Provider) -> None:
    erin = own.write("SELECT id FROM accounts WHERE identifier = 'erin@acme.example'")[0][0]
    assert acme.ask("GET", f"/Users/{erin}").status == 404
    assert acme.find("/Users", 'userName eq "erin@acme.example"').body["totalResults"] == 0
    assert acme.set_active(erin, False).status == 404
    assert acme.ask("DELETE", f"/Users/{erin}").status == 404
    assert status_of(own, "erin@acme.example") == ("active", "")


def test_pages_of_users_cover_all_once(acme: Provider, fresh: Iterator[str]) -> None:
    for _ in range(3):
        acme.add_user(next(fresh))
    total = acme.ask("GET", "/Users?count=0").body["totalResults"]
    seen: list[str] = []
    while len(seen) < total:
        page = acme.ask("GET", f"/Users?startIndex={len(seen) + 1}&count=2").body
        assert page["itemsPerPage"] == len(page["Resources"]) > 0
        seen += [user["id"] for user in page["Resources"]]
    assert len(set(seen)) == total
    assert acme.ask("GET", f"/Users?startIndex={total + 1}").body["Resources"] == []
    assert acme.ask("GET", "/Users?startIndex=x").status == 400


def test_only_what_is_asked_for_is_shown(acme: Provider, fresh: Iterator[str]) -> None:
    user = acme.add_user(next(fresh), name={"givenName": "A", "familyName": "B"}, externalId="e").id
    shown = acme.ask("GET", f"/Users/{user}?attributes=userName,name.givenName").body
    assert set(shown) == {"schemas", "id", "userName", "name"}
    assert shown["name"] == {"givenName": "A"}
    assert {"userName", "externalId"} & set(
        acme.ask("GET", f"/Users/{user}?excludedAttributes=externalId,USERNAME").body
    ) == set()
