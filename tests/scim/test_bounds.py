"""What is too much: refused, within bounds, and recorded."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.scim.provider import PATCH, Answer, Provider
from tests.support.gateway import Gateway
from tests.support.speed import slowness


@pytest.fixture(scope="module")
def user(acme: Provider) -> str:
    return acme.add_user("bounded@acme.example", displayName="Before").id


def refused(own: Gateway, reason: str) -> int:
    rows = own.write("SELECT details FROM audit WHERE event = 'scim_refused'")
    return sum(json.loads(text).get("reason") == reason for (text,) in rows)


def test_ten_thousand_operations_are_refused_and_none_is_done(own: Gateway, acme: Provider, user: str) -> None:
    operation = {"op": "replace", "path": "displayName", "value": "x"}
    began = own.processor_seconds()
    many = acme.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [operation] * 10_000})
    assert many.status == 413
    some = acme.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [operation] * 101})
    assert (some.status, some.body["scimType"]) == (400, "tooMany")
    in_a_group = acme.ask(
        "PATCH", f"/Groups/{acme.add_group('Many').id}", {"schemas": [PATCH], "Operations": [operation] * 10_000}
    )
    assert (in_a_group.status, in_a_group.body["scimType"]) == (400, "tooMany")
    assert own.processor_seconds() - began < 2 * slowness()
    assert acme.ask("GET", f"/Users/{user}").body["displayName"] == "Before"
    assert refused(own, "too_large") == 1
    assert refused(own, "too_many") == 2
    enough = acme.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [operation] * 100})
    assert enough.body["displayName"] == "x"


@pytest.mark.parametrize(
    "text", ["(" * 500, 'userName eq "' + "\\\\" * 500, 'userName eq "a" and ' * 60, " " * 1_000, "not " * 200]
)
def test_a_filter_that_is_long_and_odd_is_refused_quickly(own: Gateway, acme: Provider, text: str) -> None:
    began = own.processor_seconds()
    answer = acme.find("/Users", text)
    assert (answer.status, answer.body["scimType"]) == (400, "invalidFilter")
    assert own.processor_seconds() - began < slowness()


def test_a_filter_of_a_megabyte_does_not_get_past_the_edge(own: Gateway, acme: Provider) -> None:
    assert acme_status(acme, "/Users?filter=" + "a" * 2_000) == 400
    head = f"GET /_gateway/scim/v2/Users?filter={'a' * 1_000_000} HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
    assert own.exchange(head.encode()).status in (414, 431)


def acme_status(acme: Provider, path: str) -> int:
    return acme.ask("GET", path).status


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b'{"userName": NaN}',
        b'{"userName": "\\u0000@acme.example"}', b'{"userName": "\\ud800@acme.example"}', b'{"userName": ["a@acme.example"]}',
        b'{"userName": "a@acme.example", "emails": ' + json.dumps([{"value": "x"}] * 21).encode() + b"}",
        b'{"userName": "a@acme.example", "externalId": "' + b"x" * 300 + b'"}',
        b'{"userName": "a@acme.example", "externalId": "\\ud800"}',
        b'{"userName": "a@acme.example", "active": "perhaps"}',
        b'{"userName": "a@acme.example", "name": {"givenName": "\\u0000"}}',
    ],
)  # fmt: skip
def test_a_body_that_is_none_makes_no_user(own: Gateway, acme: Provider, body: bytes) -> None:
    answer = acme.ask("POST", "/Users", body)
    assert answer.status == 400, answer.body
    assert answer.body["scimType"] in ("invalidSyntax", "invalidValue", "tooMany")
    assert own.write("SELECT count(*) FROM accounts WHERE identifier = 'a@acme.example'") == [(0,)]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""])
def test_a_body_that_a_form_could_send_is_refused(acme: Provider, kind: str) -> None:
    assert acme.ask("POST", "/Users", {"userName": "form@acme.example"}, kind=kind).status == 415


@pytest.mark.parametrize(
    "operation",
    [
        5, {}, {"op": "move"}, {"op": "remove"}, {"op": "add", "path": "displayName"}, {"op": "replace", "value": 5},
        {"op": "replace", "path": 5, "value": 5}, {"op": "replace", "path": "id", "value": "x"},
        {"op": "replace", "path": "meta.created", "value": "x"}, {"op": "remove", "path": "userName"},
        {"op": "replace", "path": "active", "value": {"x": 1}}, {"op": "replace", "path": "name", "value": "x"},
        {"op": "replace", "path": "displayName.x", "value": "x"}, {"op": "replace", "path": "a[[b", "value": "x"},
        {"op": "replace", "path": "x" * 600, "value": "x"}, {"op": "replace", "path": 'emails[type gt "x"].value', "value": "x"},
        {"op": "replace", "path": 'displayName[type eq "x"]', "value": "x"}, {"op": "add", "path": "emails", "value": [[]]},
        {"op": "add", "path": "emails", "value": [{"value": str(n)} for n in range(21)]},
        {"op": "replace", "path": "displayName", "value": ["a", "b"]}, {"op": "replace", "path": "active", "value": None},
        {"op": "replace", "path": "displayName", "value": "x" * 255},
    ],
)  # fmt: skip
def test_an_operation_that_is_none_changes_nothing(acme: Provider, user: str, operation: Any) -> None:
    before = acme.ask("GET", f"/Users/{user}").body
    answer = acme.patch(f"/Users/{user}", operation)
    assert answer.status == 400, answer.body
    assert answer.body["scimType"]
    assert acme.ask("GET", f"/Users/{user}").body == before


def test_a_company_has_25_requests_a_second(acme: Provider, beta: Provider) -> None:
    def ask(_: int) -> Answer:
        return acme.ask_once("GET", "/ServiceProviderConfig")

    with ThreadPoolExecutor(16) as threads:
        for _ in range(10):  # a slow machine may not ask so often in a second
            answers = list(threads.map(ask, range(400)))
            if many := [answer for answer in answers if answer.status == 429]:
                break
        there = beta.ask_once("GET", "/ServiceProviderConfig")
    assert {answer.status for answer in answers} == {200, 429}
    assert many[0].response.get("retry-after") == "1"
    assert many[0].body["status"] == "429"
    assert there.status == 200
    assert acme.ask("GET", "/ServiceProviderConfig").status == 200
