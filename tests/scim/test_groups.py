"""Groups of a provider, over a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.scim.provider import Provider
from tests.support.gateway import Gateway

numbers = itertools.count()


@pytest.fixture
def names() -> Iterator[str]:
    return (f"Group {next(numbers)}" for _ in itertools.count())


@pytest.fixture(scope="module")
def users(acme: Provider) -> list[str]:
    return [acme.add_user(f"member{n}@acme.example").id for n in range(5)]


def members(acme: Provider, group: str) -> set[str]:
    return {member["value"] for member in acme.ask("GET", f"/Groups/{group}").body.get("members", [])}


def test_a_group_is_kept_with_its_members(acme: Provider, users: list[str], names: Iterator[str]) -> None:
    name = next(names)
    made = acme.add_group(name, *users[:2])
    assert made.status == 201
    assert (made.body["displayName"], {m["value"] for m in made.body["members"]}) == (name, set(users[:2]))
    assert acme.ask("GET", f"/Groups/{made.id}").body == made.body
    assert "members" not in acme.ask("GET", f"/Groups/{made.id}?excludedAttributes=members").body
    assert acme.ask("DELETE", f"/Groups/{made.id}").status == 204
    assert acme.ask("GET", f"/Groups/{made.id}").status == 404


def test_a_company_has_one_group_of_a_name(acme: Provider, beta: Provider, names: Iterator[str]) -> None:
    name, other = next(names), next(names)
    first, second = acme.add_group(name), acme.add_group(other)
    again = acme.add_group(name.upper())
    assert (again.status, again.body["scimType"]) == (409, "uniqueness")
    renamed = acme.patch(f"/Groups/{second.id}", {"op": "Replace", "path": "displayName", "value": name.lower()})
    assert (renamed.status, renamed.body["scimType"]) == (409, "uniqueness")
    own = acme.patch(f"/Groups/{first.id}", {"op": "Replace", "path": "displayName", "value": name.upper()})
    assert own.status == 204
    assert beta.add_group(name).status == 201


def test_members_come_and_go_in_every_form(acme: Provider, users: list[str], names: Iterator[str]) -> None:
    group = acme.add_group(next(names)).id
    a, b, c, d, _ = users

    def then(*operations: dict[str, object]) -> set[str]:
        answer = acme.patch(f"/Groups/{group}", *operations)
        assert answer.status == 204, answer.body
        return members(acme, group)

    assert then({"op": "Add", "path": "members", "value": [{"$ref": None, "value": a}]}) == {a}
    assert then({"op": "add", "value": {"members": [{"value": b}, {"value": c}]}}) == {a, b, c}
    assert then({"op": "Remove", "path": "members", "value": [{"value": a}]}) == {b, c}
    assert then({"op": "remove", "path": f'members[value eq "{b}"]'}) == {c}
    assert then({"op": "remove", "path": f'members[value eq "{b}"]'}) == {c}  # who is in no more
    assert then({"op": "Add", "path": "members", "value": {"value": d}}) == {c, d}
    assert then({"op": "replace", "path": "members", "value": [{"value": a}]}) == {a}
    assert then(
        {"op": "add", "path": "members", "value": [{"value": b}]},
        {"op": "remove", "path": "members", "value": [{"value": a}, {"value": b}]},
        {"op": "add", "path": "members", "value": [{"value": c}]},
    ) == {c}
    assert then({"op": "remove", "path": "members"}) == set()
    assert acme.ask("PUT", f"/Groups/{group}", {"displayName": "P", "members": [{"value": a}]}).status == 200
    assert members(acme, group) == {a}
    assert acme.ask("PUT", f"/Groups/{group}", {"displayName": "P"}).status == 200
    assert members(acme, group) == set()


@pytest.mark.parametrize("stranger", ["acc_0123456789abcdef0123", "", 5, {"value": None}, "é"])
def test_a_member_is_a_user_of_the_company(
    own: Gateway, acme: Provider, users: list[str], names: Iterator[str], stranger: object
) -> None:
    group = acme.add_group(next(names), users[0]).id
    value = stranger if isinstance(stranger, dict) else {"value": stranger}
    added = acme.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": users[1]}, value]})
    assert (added.status, added.body["scimType"]) == (400, "invalidValue")
    assert members(acme, group) == {users[0]}


def test_an_account_that_the_provider_does_not_manage_joins_no_group(
    own: Gateway, acme: Provider, beta: Provider, names: Iterator[str]
) -> None:
    group = acme.add_group(next(names)).id
    erin = own.write("SELECT id FROM accounts WHERE identifier = 'erin@acme.example'")[0][0]
    other = beta.add_user("stranger@beta.example").id
    for member in (erin, other):
        added = acme.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": member}]})
        assert added.status == 400
    assert members(acme, group) == set()


def test_a_user_that_is_deleted_leaves_its_groups(acme: Provider, names: Iterator[str]) -> None:
    user = acme.add_user("leaver@acme.example").id
    group = acme.add_group(next(names), user).id
    acme.set_active(user, False)
    assert members(acme, group) == {user}
    acme.ask("DELETE", f"/Users/{user}")
    assert members(acme, group) == set()
    acme.add_user("leaver@acme.example")
    assert members(acme, group) == set()


def test_groups_are_found_by_name_external_id_and_member(
    acme: Provider, users: list[str], names: Iterator[str]
) -> None:
    name = next(names)
    group = acme.ask("POST", "/Groups", {"displayName": name, "externalId": "g-1", "members": [{"value": users[4]}]}).id

    def ids(text: str) -> list[str]:
        return [found["id"] for found in acme.find("/Groups", text).body["Resources"]]

    assert ids(f'displayName eq "{name.lower()}"') == [group]
    assert ids('externalId eq "g-1"') == [group]
    assert ids(f'id eq "{group}" and members eq "{users[4]}"') == [group]
    assert ids(f'id eq "{group}" and members eq "{users[0]}"') == []
    assert acme.find("/Groups", 'userName eq "x"').status == 400


def test_every_change_is_recorded_also_about_who_comes_and_goes(
    own: Gateway, acme: Provider, users: list[str], names: Iterator[str]
) -> None:
    (last,) = own.write("SELECT max(id) FROM audit")[0]
    group = acme.add_group(next(names), users[0]).id
    acme.patch(f"/Groups/{group}", {"op": "remove", "path": "members", "value": [{"value": users[0]}]})
    acme.patch(f"/Groups/{group}", {"op": "remove", "path": "members", "value": [{"value": users[0]}]})
    acme.ask("DELETE", f"/Groups/{group}")
    rows = own.write("SELECT event, actor, tenant, account FROM audit WHERE id > :n ORDER BY id", n=last)
    assert [(event, account) for event, _, _, account in rows] == [
        ("scim_member_added", users[0]),
        ("scim_group_added", None),
        ("scim_member_removed", users[0]),
        ("scim_group_changed", None),
        ("scim_group_removed", None),
    ]
    assert {(actor, tenant) for _, actor, tenant, _ in rows} == {("provisioning", "acme")}
