"""What is read of a provider's requests: filters, paths, operations. Pure."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import Context, PatchOp, SCIMException

from gateway.scim.answers import Refusal
from gateway.scim.filters import Condition, InvalidFilter, read
from gateway.scim.groups import Changes, fold, read_patch
from gateway.scim.models import TOLERANT, User, check
from gateway.scim.patching import InvalidPatch, Place, apply, read_operations, read_path
from gateway.scim.shapes import GROUP, USER, Choice
from tests.support.speed import quickest, slowness

WORK = Condition("type", "work")


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ('userName eq "a"', [("username", "a")]),
        ('  userName  EQ  "a"  ', [("username", "a")]),
        ('userName eq "a and b eq \\"c\\""', [("username", 'a and b eq "c"')]),
        ('userName eq "\\u00e9\\/"', [("username", "é/")]),
        ('id eq "x" and members eq "y" AND active eq True', [("id", "x"), ("members", "y"), ("active", True)]),
        ('id eq "x"and active eq true', [("id", "x"), ("active", True)]),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a"', [("username", "a")]),
    ],
)
def test_a_filter_is_comparisons_joined_by_and(text: str, conditions: list[tuple[str, object]]) -> None:
    assert read(text, USER.schema) == conditions


@pytest.mark.parametrize(
    "text",
    [
        "", "userName", "userName eq", 'userName ne "a"', 'userName eq "a" or id eq "b"', '(userName eq "a")', 'not userName eq "a"',
        'userName eq "a" and', 'userName eq "a', "userName eq 'a'", "userName pr", 'userName eq "a" b', 'emails[type eq "work"] eq "a"',
        'userName eq "\\x"', 'userName eq "\\ud800"', 'userName eq "\\u0000"', 'userName eq "\x00"', 'userName eq "\n"', 'x eq "' + "a" * 1_100 + '"',
    ],
)  # fmt: skip
def test_another_filter_is_none(text: str) -> None:
    with pytest.raises(InvalidFilter):
        read(text)


@given(st.text(alphabet='aeq "\\()[]and\t.:u0', max_size=1_024))
def test_no_filter_takes_long(text: str) -> None:
    def read_it() -> None:
        with contextlib.suppress(InvalidFilter):
            assert len(read(text)) > 0

    assert quickest(read_it) < 0.05


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("userName", Place("userName")),
        ("USERNAME", Place("userName")),
        ("name.givenName", Place("name", (), "givenName")),
        ('emails[type eq "work"].value', Place("emails", (WORK,), "value")),
        ('Emails[Type eq "work"].Value', Place("emails", (WORK,), "value")),
        ('emails[type eq "work" and primary eq true]', Place("emails", (WORK, Condition("primary", True)))),
        ("emails.value", Place("emails", (), "value")),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName", Place("name", (), "familyName")),
        ("title", None),
        ('addresses[type eq "work"].country', None),
        ("name.middleName", None),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", None),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", None),
        ("urn:acme:2.0:User:userName", None),
    ],
)
def test_a_path_leads_to_what_the_resource_has(text: str, place: Place | None) -> None:
    assert read_path(text, USER) == place


@pytest.mark.parametrize("text", ["", " ", "a b", "a..b", "[", 'emails[type eq "work"', "emails[]", "emails[x]", "id", "meta.location",
    'emails[banana eq "x"]', 'userName[type eq "x"]', "userName.x", "a" * 513, "ä"])  # fmt: skip
def test_another_path_is_none(text: str) -> None:
    with pytest.raises(InvalidPatch) as caught:
        read_path(text, USER)
    assert caught.value.scim_type in ("invalidPath", "invalidFilter", "mutability")


# As scim2-models does, on what both read: it knows the RFC, and this is much quicker.

EMAIL = st.fixed_dictionaries(
    {"value": st.sampled_from(["a@x.example", "b@x.example"]), "type": st.sampled_from(["work", "home"])},
    optional={"primary": st.booleans()},
)
NAMES = st.fixed_dictionaries({}, optional={"givenName": st.sampled_from("GH"), "familyName": st.sampled_from("FE")})
TEXT = st.sampled_from(["a", "b"])
OPERATION = st.one_of(
    st.builds(lambda op, path, value: {"op": op, "path": path, "value": value}, st.sampled_from(["add", "replace", "Replace"]),
              st.sampled_from(["displayName", "externalId", "userName", "name.givenName", "name.familyName",
                               'emails[type eq "work"].value', 'emails[type eq "home"].value']), TEXT),
    st.builds(lambda op, value: {"op": op, "path": "name", "value": value}, st.sampled_from(["add", "replace"]), NAMES.filter(bool)),
    st.builds(lambda op, value: {"op": op, "path": "emails", "value": value}, st.sampled_from(["add", "replace"]),
              st.lists(EMAIL, min_size=1, max_size=1)),
    st.builds(lambda path: {"op": "remove", "path": path},
              st.sampled_from(["displayName", "externalId", "name", "name.givenName", "emails", 'emails[type eq "work"]'])),
    st.builds(lambda value: {"op": "replace", "value": value},
              st.fixed_dictionaries({}, optional={"displayName": TEXT, "name.givenName": TEXT, "active": st.booleans()}).filter(bool)),
)  # fmt: skip


def by_library(resource: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    user = User.model_validate({**resource, "schemas": [USER.schema]}, scim_policy=TOLERANT)
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    policy = TOLERANT.model_copy(update={"unmatched_path_filter": "create"})
    with policy:
        PatchOp[User].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(user)
    return {name: value for name, value in user.model_dump().items() if name != "schemas"}


def comparable(resource: dict[str, Any]) -> dict[str, Any]:
    """Entries have no order."""
    return {
        **resource,
        "emails": sorted(map(json.dumps, (dict(sorted(e.items())) for e in resource.get("emails", [])))),
    }


@given(st.lists(OPERATION, min_size=1, max_size=5))
def test_operations_do_what_they_do_in_the_library(operations: list[dict[str, Any]]) -> None:
    ours: dict[str, Any] = {"userName": "u", "active": True}
    for operation in operations:
        try:
            theirs = by_library(ours, operation)
        except (SCIMException, ValueError):
            return
        ours = apply(ours, read_operations({"Operations": [operation]}, USER), USER)
        assert comparable(ours) == comparable(theirs), operation


def test_a_hundred_operations_take_milliseconds() -> None:
    entries = [{"value": f"{n}@x.example", "type": str(n)} for n in range(20)]
    body = {"Operations": [{"op": "add", "path": "emails", "value": entries}] * 100}

    def patch() -> dict[str, Any]:
        return apply({"userName": "u"}, read_operations(body, USER), USER)

    assert quickest(patch) < 0.1 * slowness()
    assert patch()["emails"] == entries


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "emails", "value": [{"value": str(n)} for n in range(21)]}],
        [{"op": "add", "path": "emails", "value": {"value": str(n)}} for n in range(30)],
        [{"op": "replace", "value": {f"x{n}": 1 for n in range(201)}}],
        [{"op": "replace", "value": {f"x{n}": 1 for n in range(101)}}] * 2,
    ],
)
def test_more_than_anybody_needs_is_refused(operations: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidPatch) as caught:
        apply({}, read_operations({"Operations": operations}, USER), USER)
    assert caught.value.scim_type == "tooMany"


@pytest.mark.parametrize("value", [{"givenName": ["x"] * 300}, {"givenName": {str(n): n for n in range(300)}}])
def test_a_value_with_hundreds_of_parts_is_refused_before_it_is_checked(value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        check(USER, {"userName": "a@b.example", "name": value}, "POST")
    assert caught.value.scim_type == "tooMany"


# Members.


def test_operations_on_members_come_to_one_change() -> None:
    def after(*operations: dict[str, Any]) -> Changes:
        others, changes = read_patch({"Operations": list(operations)})
        assert others == []
        return changes

    add = {"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}
    remove = {"op": "remove", "path": 'members[value eq "a"]'}
    assert after(add) == Changes(frozenset("ab"))
    assert after(add, remove) == Changes(frozenset("b"), frozenset("a"))
    assert after(remove, add) == Changes(frozenset("ab"))
    assert after(add, {"op": "remove", "path": "members"}) == Changes(is_replaced=True)
    assert after({"op": "replace", "path": "members", "value": [{"value": "c"}]}, remove) == Changes(
        frozenset("c"), frozenset("a"), is_replaced=True
    )
    assert fold([]) == Changes()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "members.value", "value": "a"}, {"op": "add", "path": 'members[value eq "a"]', "value": "b"},
        {"op": "remove", "path": 'members[type eq "User"]'}, {"op": "remove", "path": 'members[value eq "a" and value eq "b"]'},
        {"op": "add", "path": "members", "value": [5]}, {"op": "add", "path": "members", "value": {"display": "a"}},
        {"op": "add", "path": "members", "value": [{"value": "\x00"}]}, {"op": "add", "path": "members", "value": ["a"] * 10_001},
    ],
)  # fmt: skip
def test_another_operation_on_members_is_none(operation: dict[str, Any]) -> None:
    with pytest.raises(InvalidPatch):
        read_patch({"Operations": [operation]})


# What is shown.


@pytest.mark.parametrize(
    ("only", "without", "shown"),
    [
        ("", "", {"schemas", "id", "userName", "name", "active", "meta"}),
        ("userName", "", {"schemas", "id", "userName"}),
        ("urn:ietf:params:scim:schemas:core:2.0:User:USERNAME , active", "", {"schemas", "id", "userName", "active"}),
        ("", "userName,meta", {"schemas", "id", "name", "active"}),
        ("", "id,schemas", {"schemas", "id", "userName", "name", "active", "meta"}),
        ("name.givenName", "name", {"schemas", "id", "name"}),
        ("nothing", "", {"schemas", "id"}),
    ],
)
def test_a_resource_has_what_was_asked_for(only: str, without: str, shown: set[str]) -> None:
    resource = {
        "schemas": [],
        "id": "1",
        "userName": "u",
        "name": {"givenName": "g", "familyName": "f"},
        "active": True,
        "meta": {},
    }
    assert set(Choice(USER, only, without).cut(resource)) == shown


def test_members_are_not_asked_for_where_they_are_excluded() -> None:
    assert Choice(GROUP, "", "").has("members")
    assert not Choice(GROUP, "", "Members").has("members")
    assert not Choice(GROUP, "displayName", "").has("members")
