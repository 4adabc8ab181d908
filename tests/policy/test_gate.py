"""The gate, decided by hand: every combination of a small world of paths, entries, rules and people."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.account import Role
from gateway.model.factor import Factor, Proof
from gateway.model.inbound import Resource
from gateway.model.session import Session
from gateway.policy.decision import (
    MEMO_BYTES,
    Decision,
    Forward,
    Need,
    Page,
    Refuse,
    Rules,
    SignIn,
    StepUp,
    decide,
)
from gateway.policy.entries import OpenPath, Rule
from tests.login.people import inbound_of
from tests.support.speed import slowness

NOW = 1_800_000_000
T = TypeVar("T")
PATHS = tuple("/" + "/".join(parts) for length in range(4) for parts in itertools.product("ab", repeat=length))
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


def person(
    role: Role = Role.EMPLOYEE,
    *,
    tenant: str = "acme",
    is_owner: bool = False,
    missing: Factor | None = None,
    proofs: tuple[Proof, ...] = (Proof(Factor.PASSWORD, NOW),),
) -> Session:
    return Session(
        id="ses_1", account="acc_1", identifier="x@acme.example", name="X", tenant=tenant, role=role,
        modules=frozenset(), is_owner=is_owner, proofs=proofs, started_at=NOW, seen_at=NOW, missing=missing,
    )  # fmt: skip


def ask(rules: Rules, path: str, session: Session | None = None, method: str = "GET", *readings: str) -> Decision:
    """Decide about `path`, which reads as it is spelled unless `readings` say otherwise."""
    inbound = inbound_of()._replace(method=method, target=path.encode(), readings=readings or (path,))
    return decide(inbound, session, rules, NOW)


def covers(path: str, prefix: str) -> bool:
    return path.rstrip("/") == prefix or path.startswith(prefix + "/")


def longest(path: str, entries: Mapping[str, T]) -> T | None:
    found = [prefix for prefix in entries if covers(path, prefix)]
    return entries[max(found, key=len)] if found else None


RULES = st.dictionaries(
    st.sampled_from([path.rstrip("/") for path in PATHS]),
    st.frozensets(st.sampled_from(list(Role)), max_size=2),
    max_size=4,
).map(lambda made: {path: Rule(path, roles) for path, roles in made.items()})


def entries_of(paths: tuple[str, ...]) -> st.SearchStrategy[dict[str, OpenPath]]:
    methods = st.frozensets(st.sampled_from(("GET", "POST", "OPTIONS")), max_size=2)
    made = st.dictionaries(st.sampled_from(paths), st.tuples(st.booleans(), methods), max_size=3)
    return made.map(lambda them: {path.rstrip("/"): OpenPath(path.rstrip("/"), *entry) for path, entry in them.items()})


ENTRIES = entries_of(PATHS)


@given(RULES, st.sampled_from(PATHS), st.sampled_from(list(Role)))
def test_the_most_specific_rule_decides(rules: dict[str, Rule], path: str, role: Role) -> None:
    session, rule = person(role), longest(path, rules)
    decision = ask(Rules(rules=rules), path, session)
    if rule is not None and (not rule.roles or role in rule.roles):
        assert decision == Forward(session, rule)
    else:
        assert isinstance(decision, Refuse)


@given(ENTRIES, st.sampled_from(PATHS), st.sampled_from(METHODS))
def test_an_entry_opens_itself_and_whole_segments_below_it(
    entries: dict[str, OpenPath], path: str, method: str
) -> None:
    admitting = {
        prefix: entry
        for prefix, entry in entries.items()
        if (entry.is_prefix or path.rstrip("/") == prefix) and entry.admits(method)
    }
    entry = longest(path, admitting)
    expected = SignIn if entry is None else Forward
    assert isinstance(ask(Rules(public=entries), path, None, method), expected)
    decision = ask(Rules(machine=entries), path, person(), method)
    if entry is not None:
        assert decision == Forward(None, entry)  # a machine's path carries nobody's identity
    else:
        assert not isinstance(decision, Forward)


@given(RULES, ENTRIES, st.lists(st.sampled_from(PATHS), min_size=2, max_size=2), st.sampled_from(METHODS))
def test_whatever_is_granted_is_granted_to_each_reading(
    rules: dict[str, Rule], public: dict[str, OpenPath], readings: list[str], method: str
) -> None:
    world = Rules(rules=rules, public=public)
    for session in (None, person()):
        if isinstance(ask(world, "/a%2fb", session, method, *readings), Forward):
            for reading in readings:
                assert isinstance(ask(world, reading, session, method), Forward)


@given(
    RULES,
    ENTRIES,
    ENTRIES,
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.sampled_from(("DELETE", "COPY", "POST", "PROPFIND")),
)
@example(
    {}, {}, {"/b": OpenPath("/b", is_prefix=False)}, "/b", "/b", "DELETE"
)  # one segment below is a page, and two are nothing
def test_what_covers_everything_below_is_granted_only_what_each_path_there_is(
    rules: dict[str, Rule],
    public: dict[str, OpenPath],
    machine: dict[str, OpenPath],
    path: str,
    other: str,
    method: str,
) -> None:
    """Each path there is: those of the small world, and one more below each of them."""
    world = Rules(
        rules=rules, public=public, machine=machine, pages={"/a/a": Need.OWNER}, page_parents={"/b": Need.ADMIN}
    )
    every = sorted({path.rstrip("/") + more for path in PATHS for more in ("", "/a", "/c")} - {""})
    below = [at for top in (path, other) for at in every if covers(at, top.rstrip("/"))]
    assert len(below) >= 2
    reach = tuple(Resource(top.encode(), (top,), True) for top in (path, other))
    for session in (None, person(), person(Role.ADMIN)):
        inbound = inbound_of()._replace(method=method, target=path.encode(), readings=(path,), reach=reach)
        is_granted = isinstance(decide(inbound, session, world, NOW), Forward)
        further = replace(world, pages={}, page_parents={}) if method == "PROPFIND" else world
        each = [isinstance(ask(further, at, session, method), Forward | Page) for at in (path, other, *below)]
        assert is_granted == (all(each) and isinstance(ask(world, path, session, method), Forward))


def test_a_refusal_goes_before_a_proof_that_is_missing() -> None:
    """Whoever gave the proof would be refused all the same."""
    rules = {"": Rule(""), "/a/a": Rule("/a/a", require=Factor.TOTP), "/a/b": Rule("/a/b", owner=True)}
    inbound = inbound_of()._replace(
        method="DELETE", target=b"/a", readings=("/a",), reach=(Resource(b"/a", ("/a",), True),)
    )
    assert isinstance(decide(inbound, person(), Rules(rules=rules), NOW), Refuse)
    decision = decide(inbound, person(is_owner=True), Rules(rules=rules), NOW)
    assert isinstance(decision, StepUp)
    assert "/a/a" in decision.by


@given(
    RULES,
    entries_of(PATHS[:3]),
    st.lists(st.tuples(st.sampled_from(PATHS[:3]), st.sampled_from(METHODS), st.sampled_from([None, *Role]))),
)
def test_what_was_asked_before_changes_no_decision(
    rules: dict[str, Rule], public: dict[str, OpenPath], asked: list[tuple[str, str, Role | None]]
) -> None:
    remembering = Rules(rules=rules, public=public)
    for path, method, role in asked + asked:
        session = None if role is None else person(role)
        assert ask(remembering, path, session, method) == ask(Rules(rules=rules, public=public), path, session, method)


def test_what_is_remembered_is_bounded() -> None:
    world = Rules(rules={"": Rule("")})
    for number in range(2_000):
        ask(world, f"/{number}/" + "x" * 500, person())
        assert 0 < sum(len(target) for _, target, _ in world.places.young) < MEMO_BYTES


@pytest.mark.parametrize(
    ("rule", "session", "passes"),
    [
        (Rule(""), person(), True),
        (Rule("", roles=frozenset((Role.ADMIN,))), person(Role.ADMIN), True),
        (Rule("", roles=frozenset((Role.ADMIN,))), person(Role.MANAGER), False),
        (Rule("", tenants=frozenset(("acme",))), person(), True),
        (Rule("", tenants=frozenset(("acme",))), person(tenant="globex"), False),
        (Rule("", owner=True), person(is_owner=True), True),
        (Rule("", owner=True), person(Role.ADMIN), False),
        (Rule("", roles=frozenset((Role.ADMIN,)), tenants=frozenset(("acme",))), person(Role.ADMIN, tenant="x"), False),
        (Rule("", roles=frozenset((Role.ADMIN,)), owner=True), person(Role.ADMIN), False),
    ],
)
def test_every_condition_of_a_rule_must_hold(rule: Rule, session: Session, passes: bool) -> None:
    assert isinstance(ask(Rules(rules={"": rule}), "/", session), Forward if passes else Refuse)


@pytest.mark.parametrize(
    ("rule", "proofs", "missing"),
    [
        (Rule("", require=Factor.TOTP), (Proof(Factor.PASSWORD, NOW),), Factor.TOTP),
        (Rule("", require=Factor.TOTP), (Proof(Factor.PASSWORD, NOW), Proof(Factor.TOTP, NOW - 9_999)), None),
        (Rule("", fresh=60), (Proof(Factor.PASSWORD, NOW - 60),), None),
        (Rule("", fresh=60), (Proof(Factor.PASSWORD, NOW - 61),), Factor.PASSWORD),
        (Rule("", require=Factor.TOTP, fresh=60), (Proof(Factor.PASSWORD, NOW), Proof(Factor.TOTP, NOW - 61)), Factor.TOTP),
    ],
)  # fmt: skip
def test_a_rule_asks_for_a_proof_and_how_old_it_may_be(
    rule: Rule, proofs: tuple[Proof, ...], missing: Factor | None
) -> None:
    decision = ask(Rules(rules={"": rule}), "/", person(proofs=proofs))
    assert (decision.factor if isinstance(decision, StepUp) else None) == missing
    assert isinstance(decision, Forward if missing is None else StepUp)


@pytest.mark.parametrize("public", [False, True])
def test_who_has_not_proved_everything_is_nobody(public: bool) -> None:
    entry, session = OpenPath("/a", False), person(is_owner=True, missing=Factor.TOTP)
    world = Rules(rules={"": Rule("")}, public={"/a": entry} if public else {}, pages={"/me": Need.SESSION})
    decision = ask(world, "/a", session)
    assert decision == (Forward(None, entry) if public else StepUp(session, Factor.TOTP, decision.by))
    assert isinstance(ask(world, "/me", session), StepUp)


def test_options_are_never_forwarded_with_an_identity() -> None:
    entry = OpenPath("/a", False, frozenset(("OPTIONS",)))
    world = Rules(rules={"": Rule("")}, public={"/a": entry})
    assert ask(world, "/a", person(), "OPTIONS") == Forward(None, entry)
    assert isinstance(ask(world, "/b", person(), "OPTIONS"), SignIn)


@pytest.mark.parametrize(
    ("need", "session", "expected"),
    [
        (Need.NOBODY, None, Page), (Need.NOBODY, person(), Page),
        (Need.SESSION, None, SignIn), (Need.SESSION, person(), Page),
        (Need.ADMIN, None, SignIn), (Need.ADMIN, person(Role.MANAGER), Refuse), (Need.ADMIN, person(Role.ADMIN), Page),
        (Need.OWNER, person(Role.ADMIN), Refuse), (Need.OWNER, person(is_owner=True), Page),
    ],
)  # fmt: skip
def test_a_page_is_for_those_it_needs(need: Need, session: Session | None, expected: type) -> None:
    assert type(ask(Rules(pages={"/p": need}), "/p", session)) is expected


@pytest.mark.parametrize(
    ("path", "readings", "is_page"),
    [
        ("/me/sessions", ("/me/sessions",), True),
        ("/me/sessions?x=1", ("/me/sessions",), True),
        ("/invite/abc", ("/invite/abc",), True),
        ("/invite/", ("/invite/",), False),
        ("/invite/abc/def", ("/invite/abc/def",), False),
        ("/me/sessions/", ("/me/sessions/",), False),
        ("/me/%73essions", ("/me/sessions",), False),
        ("/me//sessions", ("/me/sessions", "/me//sessions"), False),
    ],
)
def test_a_page_is_one_only_where_it_is_spelled_exactly_so(path: str, readings: tuple[str, ...], is_page: bool) -> None:
    world = Rules(pages={"/me/sessions": Need.NOBODY}, page_parents={"/invite": Need.NOBODY})
    assert isinstance(ask(world, path, None, "GET", *readings), Page) == is_page


def test_a_path_of_thousands_of_segments_is_decided_about_like_a_short_one_and_as_quickly() -> None:
    rules = Rules(
        public={"/open": OpenPath("/open", True)},
        rules={"": Rule(""), "/a/b": Rule("/a/b", frozenset((Role.ADMIN,))), "/a/b/c": Rule("/a/b/c")},
    )
    deep = "/x" * 30_000
    began = time.thread_time()
    for top, expected in (
        ("/a/b", Refuse),
        ("/a/b/", Refuse),
        ("/a/b/c", Forward),
        ("/a", Forward),
        ("/open", Forward),
    ):
        for path in (f"{top}{deep}", f"{top}{deep}//"):
            assert isinstance(ask(rules, path, person(role=Role.EMPLOYEE)), expected), top
    assert isinstance(ask(rules, f"/open{deep}"), Forward)
    assert isinstance(ask(rules, f"/opens{deep}"), SignIn)
    assert time.thread_time() - began < 0.5 * slowness()
