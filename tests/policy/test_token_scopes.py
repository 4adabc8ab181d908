"""What a token of each scope opens, at every kind of path: all combinations, judged by the decision alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.model.account import Role
from gateway.model.api_token import PERSON, Grant
from gateway.model.factor import API_TOKEN, Factor, Proof
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.policy.decision import Forward, Need, Refuse, Rules, decide
from gateway.policy.entries import OpenPath, Rule
from tests.edge.test_request import a_reader
from tests.policy.test_gate import NOW, person

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"
PROGRAM = replace(
    person(),
    role=Role.MANAGER,
    is_owner=False,
    proofs=(Proof(API_TOKEN, NOW),),
    missing=PERSON,
    grant=Grant("t", NOW + 9),
)
RULES = Rules(
    public={"/open": OpenPath("/open", True)},
    machine={"/hook": OpenPath("/hook", True)},
    rules={
        "": Rule(""),
        "/team": Rule("/team", roles=frozenset({Role.MANAGER, Role.ADMIN})),
        "/admin": Rule("/admin", roles=frozenset({Role.ADMIN})),
        "/vault": Rule("/vault", require=Factor.TOTP),
        "/pay": Rule("/pay", fresh=600),
    },
    pages={"/me": Need.SESSION, "/people": Need.ADMIN, "/ops": Need.OWNER, "/login": Need.NOBODY},
)
SCOPES = {
    "none": {},
    "method": {"methods": frozenset({"GET"})},
    "path": {"paths": ("/team", "/calendar")},
    "network": {"networks": (ip_network("192.0.2.0/24"),)},
}
FORWARDED, ANONYMOUS, REFUSED = "forwarded", "forwarded as nobody", "refused"
# What a token without a scope gets, and what one gets whose scope is for another request.
PATHS = {
    "/": (FORWARDED, REFUSED),
    "/team/x": (FORWARDED, REFUSED),
    "/open/x": (FORWARDED, ANONYMOUS),
    "/hook/x": (ANONYMOUS, ANONYMOUS),
    "/admin/x": (REFUSED, REFUSED),
    "/vault": (REFUSED, REFUSED),
    "/pay": (REFUSED, REFUSED),
    "/me": (REFUSED, REFUSED),
    "/people": (REFUSED, REFUSED),
    "/ops": (REFUSED, REFUSED),
    "/login": (REFUSED, REFUSED),
}
METHODS = ("GET", "POST")


def request(path: str, method: str = "GET", address: str = HERE, *lines: str) -> Inbound:
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: app.example.com", *lines))
    read = a_reader().read(head.encode(), address)
    assert isinstance(read, Inbound)
    return read


def outcome(inbound: Inbound, session: Session) -> str:
    match decide(inbound, session, RULES, NOW):
        case Forward(None):
            return ANONYMOUS
        case Forward():
            return FORWARDED
        case Refuse():
            return REFUSED
        case other:
            raise AssertionError(other)


def is_within(scope: str, path: str, method: str, address: str) -> bool:
    return {
        "none": True,
        "method": method == "GET",
        "path": path.startswith("/team"),
        "network": address == HERE,
    }[scope]


CASES = list(itertools.product(SCOPES, PATHS, METHODS, (HERE, ELSEWHERE)))


@pytest.mark.parametrize(("scope", "path", "method", "address"), CASES)
def test_a_scope_takes_away_and_never_adds(scope: str, path: str, method: str, address: str) -> None:
    session = replace(PROGRAM, grant=Grant("t", NOW + 9, **SCOPES[scope]))  # type: ignore[arg-type]
    within, outside = PATHS[path]
    expected = within if is_within(scope, path, method, address) else outside
    assert outcome(request(path, method, address), session) == expected


@pytest.mark.parametrize(("role", "is_allowed"), [(Role.EMPLOYEE, False), (Role.MANAGER, True), (Role.ADMIN, True)])
def test_a_role_is_that_of_the_token(role: Role, is_allowed: bool) -> None:
    assert outcome(request("/team"), replace(PROGRAM, role=role)) == (FORWARDED if is_allowed else REFUSED)
    assert outcome(request("/people"), replace(PROGRAM, role=role)) == REFUSED


BODY = "Content-Length: 1"
# Methods that affect more than their target: with a token for /calendar alone they need the whole site.
REACHING = [
    *(("/calendar/x", method, (BODY,)) for method in ("SEARCH", "BIND", "REBIND", "MERGE", "CHECKOUT")),
    *(("/calendar/x", method, ("Link: </team>; rel=a",)) for method in ("LINK", "UNLINK")),
    *(("/calendar/x", method, ()) for method in ("COPY", "MOVE")),  # where to, nobody says
    *(("/calendar/x", method, ("Destination: /team/x",)) for method in ("COPY", "MOVE")),
    *(("/calendar/x", method, ("Destination: /calendars",)) for method in ("COPY", "MOVE")),
    ("/calendar/x", "PUT", ("If: </team/x> (<urn:1>)",)),
    *(("/", method, ()) for method in ("PROPFIND", "REPORT", "DELETE")),
]
WITHIN = [
    *(("/calendar/x", method, ("Destination: /calendar/y",)) for method in ("COPY", "MOVE")),
    *(("/calendar", method, ()) for method in ("PROPFIND", "REPORT", "DELETE")),
    ("/calendar/x", "PUT", ("If: </calendar/x> (<urn:1>)",)),
]


@pytest.mark.parametrize(("path", "method", "lines"), REACHING)
def test_what_reaches_beyond_the_tokens_paths_is_refused(path: str, method: str, lines: tuple[str, ...]) -> None:
    rules = replace(RULES, rules={"": Rule("")}, pages={})  # which refuse nothing themselves
    inbound = request(path, method, HERE, *lines)
    limited = replace(PROGRAM, grant=Grant("t", NOW + 9, paths=("/calendar",)))
    assert isinstance(decide(inbound, limited, rules, NOW), Refuse)
    assert isinstance(decide(inbound, PROGRAM, rules, NOW), Forward)


@pytest.mark.parametrize(
    ("scope", "path", "method", "lines", "is_limit"),
    [
        ("method", "/team", "POST", (), True),
        ("path", "/", "GET", (), True),
        ("path", "/team/x", "MOVE", ("Destination: /x",), True),
        ("none", "/login", "GET", (), True),
        ("none", "/pay", "GET", (), True),
        ("none", "/admin/x", "GET", (), False),
    ],
)
def test_a_program_can_tell_its_tokens_limits_from_its_accounts(
    scope: str, path: str, method: str, lines: tuple[str, ...], is_limit: bool
) -> None:
    session = replace(PROGRAM, grant=Grant("t", NOW + 9, **SCOPES[scope]))  # type: ignore[arg-type]
    decision = decide(request(path, method, HERE, *lines), session, RULES, NOW)
    assert isinstance(decision, Refuse)
    assert decision.is_limit is is_limit


@pytest.mark.parametrize(("path", "method", "lines"), WITHIN)
def test_what_stays_within_the_tokens_paths_is_forwarded(path: str, method: str, lines: tuple[str, ...]) -> None:
    limited = replace(PROGRAM, grant=Grant("t", NOW + 9, paths=("/calendar",)))
    assert outcome(request(path, method, HERE, *lines), limited) == FORWARDED
