"""What an application is told in headers of the operator's own: exactly once, in both deployments, and never by a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import PROXY, Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

HEADERS = {
    "X-WEBAUTH-USER": "{local}",
    "X-Second-Email": "{email}",
    "X-App-Secret": "{credential:app-token}",
    "X-Forwarded-Prefix": "/app",
}
PERSONAL = {"X-WEBAUTH-USER": ["erin"], "X-Second-Email": ["erin@acme.example"]}
FIXED = {"X-App-Secret": ["s3cret"], "X-Forwarded-Prefix": ["/app"]}
CLAIMED = [f"{name}: evil" for name in HEADERS]


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("told")
    table = ", ".join(f'"{name}" = "{template}"' for name, template in HEADERS.items())
    changes = {
        "IDENTITY__HEADERS": f"{{ {table} }}",
        "CREDENTIAL_APP_TOKEN": "s3cret",
        "IDENTITY__NAMES__ASSERTION": "",
    }
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0


def received(upstream: RecordingUpstream) -> dict[str, list[str]]:
    last = upstream.requests[-1]
    return {name: values for name in HEADERS if (values := last.all(name))}


def test_a_person_is_told_of_in_each_header_once(own: Gateway, upstream: RecordingUpstream) -> None:
    cookie = own.sign_in("employee")
    assert own.exchange(get("/x", cookie, *CLAIMED)).status == 200
    assert received(upstream) == PERSONAL | FIXED


def test_what_names_no_person_goes_with_every_request_and_the_rest_with_none(
    own: Gateway, upstream: RecordingUpstream
) -> None:
    for path in ("/public", "/api/desktop/status"):
        assert own.exchange(get(path, *CLAIMED)).status == 200
        assert received(upstream) == FIXED


def test_forward_auth_hands_out_the_same(own: Gateway) -> None:
    cookie = own.sign_in("employee")
    described = ("X-Original-Method: GET", "X-Original-URI: /x")
    answer = own.exchange(get("/_gateway/auth", cookie, *described), source=PROXY)
    assert answer.status == 204
    assert {name: answer.all(name) for name in HEADERS} == PERSONAL | FIXED
    public = own.exchange(get("/_gateway/auth", "X-Original-Method: GET", "X-Original-URI: /public"), source=PROXY)
    assert [public.get(name) for name in HEADERS] == ["", "", "s3cret", "/app"]


def test_explain_shows_the_headers_and_no_secret(own: Gateway) -> None:
    own.environ["GATEWAY_IDENTITY__HEADERS"] = '{ "X-Pair" = "{local}:{credential:app-token}" }'
    said = own.cli("explain", "GET", "/x", "--as", "erin@acme.example").stdout
    assert "X-Pair: erin:…" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "spelling", ["X-Otium-Assertion", "x-otium-assertion", "X_Otium_Assertion", "X.Otium.Assertion"]
)
def test_an_assertion_that_the_gateway_does_not_sign_comes_from_nobody_else(
    own: Gateway, upstream: RecordingUpstream, spelling: str
) -> None:
    cookie, claim = own.sign_in("employee"), f"{spelling}: forged-value"
    for path in ("/x", "/public", "/api/desktop/status"):
        assert own.exchange(get(path, cookie, claim)).status == 200
        assert b"forged-value" not in upstream.requests[-1].head
        assert upstream.requests[-1].all("x-otium-assertion") == []
    described = ("X-Original-Method: GET", "X-Original-URI: /x")
    answer = own.exchange(get("/_gateway/auth", cookie, *described), source=PROXY)
    assert (answer.status, answer.all("x-otium-assertion")) == (204, [""])
    # The proxy would pass it on unless it replaces it, which only the shipped files are known to do.
    assert own.exchange(get("/_gateway/auth", cookie, claim, *described), source=PROXY).status == 403
