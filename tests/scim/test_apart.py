"""Two companies' tokens walk every route of each other, and requests without a token: nothing seen, nothing changed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.scim.routes import MACHINES
from tests.scim.provider import Provider
from tests.support.gateway import Gateway
from tests.support.person import Person

TABLES = ("accounts", "scim_users", "scim_groups", "scim_members", "scim_tokens", "sso_links", "sessions")
BODIES: dict[str, Any] = {
    "POST": {"userName": "new@beta.example", "displayName": "New"},
    "PUT": {"userName": "user@beta.example", "displayName": "Taken over", "active": False},
    "PATCH": {"Operations": [{"op": "replace", "value": {"displayName": "Taken over", "active": False}}]},
}


def snapshot(own: Gateway) -> dict[str, list[Any]]:
    columns = {"scim_tokens": "id, tenant, key, expires_at"}  # and not when it was used
    return {t: sorted(map(str, own.write(f"SELECT {columns.get(t, '*')} FROM {t}"))) for t in TABLES}


@pytest.fixture(scope="module")
def theirs(beta: Provider) -> tuple[str, str]:
    """A user and a group of the other company."""
    user = beta.add_user("user@beta.example", externalId="theirs").id
    return user, beta.add_group("Theirs", user).id


def test_a_token_walks_every_route_of_the_other_company(
    own: Gateway, acme: Provider, beta: Provider, theirs: tuple[str, str]
) -> None:
    user, group = theirs
    before, walked = snapshot(own), 0
    for path in (f"/Users/{user}", f"/Groups/{group}"):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            answer = acme.ask(method, path, BODIES.get(method))
            assert answer.status == 404, (method, path, answer.body)
            walked += 1
    assert walked == 10
    for path, text in (
        ("/Users", 'userName eq "user@beta.example"'),
        ("/Users", 'externalId eq "theirs"'),
        ("/Users", f'id eq "{user}"'),
        ("/Groups", 'displayName eq "Theirs"'),
        ("/Groups", f'id eq "{group}"'),
        ("/Groups", f'members eq "{user}"'),
    ):
        assert acme.find(path, text).body["totalResults"] == 0, text
    for path in ("/Users", "/Groups"):
        assert acme.ask("GET", path).body["totalResults"] == 0
        assert beta.ask("GET", path).body["totalResults"] > 0
    assert acme.ask("POST", "/Users", BODIES["POST"]).status == 400
    assert snapshot(own) == before
    assert beta.ask("GET", f"/Users/{user}").status == 200


def paths(user: str = "acc_1", group: str = "grp_1") -> list[str]:
    found = [route.path.removeprefix("/_gateway/scim/v2") for route in MACHINES.routes]
    return [re.sub(r"\{\w+\}", "Schemas" if "endpoint" in path else user, path) for path in found]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_without_a_good_token_every_route_answers_401(
    own: Gateway, acme: Provider, theirs: tuple[str, str], method: str
) -> None:
    before = snapshot(own)
    good = acme.token
    asked = 0
    for token in ("", "x", good[:-1], good[:-1] + ("a" if good[-1] != "a" else "b"), good[9:], "otw_scim_" + "A" * 49):
        for path in paths():
            answer = Provider(own, token).ask_once(method, path, BODIES.get(method))
            assert answer.status == 401, (token, path)
            assert answer.response.get("www-authenticate") == 'Bearer realm="SCIM"'
            assert answer.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
            assert answer.body["status"] == "401"
            asked += 1
    assert asked == 6 * len(MACHINES.routes)
    assert snapshot(own) == before


def test_two_tokens_in_one_request_are_none(own: Gateway, acme: Provider, beta: Provider) -> None:
    answer = acme.ask("GET", "/Users", None, f"Authorization: Bearer {beta.token}")
    assert answer.status == 401


def test_a_cookie_is_no_token_and_changes_nothing_beside_one(own: Gateway, acme: Provider) -> None:
    adam = Person(own, "adam@acme.example", source="127.0.5.1")
    adam.give_password()
    assert Provider(own, "").ask("GET", "/Users", None, adam.cookie_line).status == 401
    assert (
        Provider(own, "")
        .ask("POST", "/Users", BODIES["POST"], adam.cookie_line, "Origin: https://app.example.com")
        .status
        == 401
    )
    olga = Person(own, "olga@beta.example", source="127.0.5.2")
    olga.give_password()
    made = acme.ask(
        "POST", "/Users", {"userName": "cookie@acme.example"}, olga.cookie_line, "Origin: https://evil.example"
    )
    assert made.status == 201
    assert own.write("SELECT tenant FROM accounts WHERE id = :i", i=made.id) == [("acme",)]


def test_a_suspended_companys_token_is_refused(own: Gateway, beta: Provider) -> None:
    own.write("UPDATE tenants SET status = 'suspended' WHERE slug = 'beta'")
    try:
        assert beta.ask("GET", "/Users").status == 401
    finally:
        own.write("UPDATE tenants SET status = 'active' WHERE slug = 'beta'")
    assert beta.ask("GET", "/Users").status == 200


def test_what_there_is_not_is_said_in_json(acme: Provider) -> None:
    asked = [
        ("GET", "/Nothing", 404), ("POST", "/Nothing", 404), ("POST", "/Bulk", 501), ("GET", "/Me", 501),
        ("POST", "/.search", 501), ("POST", "/Users/.search", 405), ("DELETE", "/Users", 405), ("PUT", "/Groups", 405),
        ("PATCH", "/Schemas", 405), ("GET", "/Schemas/none", 404), ("GET", "/ResourceTypes/None", 404),
        ("GET", "/Schemas?filter=x", 403),
    ]  # fmt: skip
    for method, path, status in asked:
        answer = acme.ask(method, path, {} if method != "GET" else None)
        assert (answer.status, answer.body.get("status")) == (status, str(status)), (method, path)
        assert (answer.response.get("content-type") or "").startswith("application/scim+json")
        if status == 405:
            assert answer.response.get("allow")
