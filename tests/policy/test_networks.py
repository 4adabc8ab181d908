"""A request from outside its account's networks: what is open to strangers stays so, everything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.account import Role
from gateway.model.api_token import Grant
from gateway.model.network_rule import rule_of
from gateway.model.session import Session
from gateway.policy.decision import Decision, Forward, Need, Outside, Page, Refuse, Rules, SignIn, decide
from gateway.policy.entries import OpenPath, Rule
from tests.login.people import inbound_of
from tests.policy.test_gate import NOW, person

INSIDE, ELSEWHERE = "10.0.0.1", "192.0.2.1"
RULES = Rules(
    public={"/open": OpenPath("/open", True)},
    machine={"/hook": OpenPath("/hook", True)},
    rules={"": Rule("")},
    pages={"/me": Need.SESSION, "/login": Need.NOBODY, "/logout": Need.LEAVING, "/auth": Need.PROXY},
)


def bound(session: Session) -> Session:
    return replace(session, networks=rule_of("10.0.0.0/8", "", Role.EMPLOYEE, is_owner=False))


def ask(path: str, session: Session | None, address: str, method: str = "GET") -> Decision:
    target = path.encode()
    return decide(
        inbound_of()._replace(method=method, target=target, readings=(path,), address=address), session, RULES, NOW
    )


PERSON = bound(person())
PROGRAM = replace(PERSON, grant=Grant("tok_1", NOW + 10))
MISSING = replace(PERSON, missing=person().proofs[0].factor)


@pytest.mark.parametrize("session", [PERSON, PROGRAM, MISSING], ids=["person", "program", "missing a factor"])
@pytest.mark.parametrize("path", ["/", "/any/thing", "/me"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
def test_what_needs_a_session_is_refused(path: str, session: Session, method: str) -> None:
    decision = ask(path, session, ELSEWHERE, method)
    assert isinstance(decision, Outside)
    assert decision.session is session
    assert ELSEWHERE in decision.by


@pytest.mark.parametrize("path", ["/me", "/login", "/logout"])
def test_a_token_opens_no_page_from_elsewhere_either(path: str) -> None:
    assert isinstance(ask(path, PROGRAM, ELSEWHERE), Outside)
    assert isinstance(ask(path, PROGRAM, INSIDE), Refuse)


@pytest.mark.parametrize(
    ("path", "session"),
    [("/open", PERSON), ("/open", PROGRAM), ("/hook", PERSON), ("/hook", PROGRAM), ("/login", PERSON)],
)
def test_what_is_open_to_strangers_is_opened_as_one(path: str, session: Session) -> None:
    decision = ask(path, session, ELSEWHERE)
    assert decision == ask(path, None, ELSEWHERE)
    assert isinstance(decision, Forward | Page)
    assert decision.session is None


def test_signing_out_is_possible_from_everywhere_and_a_proxy_asks_about_another_request() -> None:
    assert ask("/logout", PERSON, ELSEWHERE) == Page(PERSON, "page /logout, open to everyone, from every network")
    assert getattr(ask("/auth", PERSON, ELSEWHERE), "session", None) is PERSON


@pytest.mark.parametrize("path", ["/", "/any/thing", "/me", "/open", "/hook", "/login", "/logout"])
def test_inside_a_rule_changes_nothing(path: str) -> None:
    free = replace(PERSON, networks=None)
    assert ask(path, PERSON, INSIDE).by == ask(path, free, ELSEWHERE).by  # type: ignore[comparison-overlap]
    assert type(ask(path, PERSON, INSIDE)) is type(ask(path, free, ELSEWHERE))


def test_a_stranger_is_asked_to_sign_in_wherever_they_are() -> None:
    assert isinstance(ask("/", None, ELSEWHERE), SignIn)
