"""What an import from the application's users would do, row by row: tables of one account and one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accounts.app_sync.plan import (
    BY_HAND,
    FOREIGN,
    MOVED,
    OTHER_USER,
    PASSWORD_STAYS,
    SERVICE,
    Disable,
    Follow,
    Keep,
    Known,
    State,
    Wishes,
    digest_of,
    plan,
)
from gateway.accounts.csv_import.reading import Create, Reject, Skip
from gateway.model.account import Account, Module, Role, Status
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence

OLD, NEW, OURS = (Secret(f"pbkdf2:sha256:1000${name}$00") for name in ("old", "new", "ours"))
ROW = {"email": "ann@acme.example", "name": "Ann", "department": "", "role": "employee"}


def account(identifier: str = "ann@acme.example", **changes: object) -> Account:
    values: dict[str, object] = {
        "id": f"acc_{identifier}",
        "identifier": identifier,
        "name": "Ann",
        "tenant": "acme",
        "role": Role.EMPLOYEE,
        "modules": frozenset(),
        "status": Status.ACTIVE,
        "password_hash": OLD,
        "created_at": 1,
    }
    return Account(**{**values, **changes})  # type: ignore[arg-type]


def known(of: Account, **changes: object) -> Known:
    values: dict[str, object] = {
        "account": of.id,
        "identifier": of.identifier,
        "hash_digest": digest_of(OLD),
        "was_created": True,
        "imported_at": 100,
        "disabled_at": None,
    }
    return Known(**{**values, **changes})  # type: ignore[arg-type]


def state(*accounts: Account, known: tuple[Known, ...] = (), **changes: frozenset[str]) -> State:
    return State(accounts, known, **{"repassworded": frozenset(), "owners": frozenset(), **changes})


def rows(*given: Mapping[str, str]) -> list[tuple[int, Mapping[str, str]]]:
    return [(number, {**ROW, **row}) for number, row in enumerate(given, 1)]


ALL = Wishes(adopt=True, disable_missing=True)


def only(*given: Mapping[str, str], of: State, wishes: Wishes = ALL) -> object:
    (verdict,) = plan(rows(*given), of, wishes)
    return verdict


def followed(row: Mapping[str, str], of: State, wishes: Wishes = ALL) -> Follow:
    verdict = only(row, of=of, wishes=wishes)
    assert isinstance(verdict, Follow), verdict
    return verdict


def test_who_is_new_becomes_an_account() -> None:
    verdict = only({"tenant": "acme", "password_hash": NEW.reveal(), "modules": "hr, Legal"}, of=state())
    modules = frozenset((Module.HR, Module.LEGAL))
    assert verdict == Create(1, "ann@acme.example", "Ann", "acme", Role.EMPLOYEE, modules, NEW)


REFUSED = [
    ({"email": "ann@@acme.example"}, "Enter a valid email address"),
    ({"name": "A\nB"}, "line breaks"),
    ({"name": ""}, "up to 200 characters"),
    ({"role": "boss"}, "Unknown role. Use employee, manager or admin."),
    ({"tenant": "Acme Inc"}, "lowercase letters, numbers and hyphens"),
    ({"modules": "hr,cooking"}, "Modules are finance"),
    ({"password_hash": "$2b$12$abc"}, "Unsupported password hash. Use"),
    ({"password_hash": "pbkdf2:sha256:999999999$a$b"}, "This password hash takes too long"),
    ({"password_hash": "scrypt:1073741824:8:1$a$b"}, "This password hash takes too long"),
    ({"password_hash": "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHQ$c2FsdA"}, "This password hash takes too long"),
    ({"password_hash": "pbkdf2:sha256:1$a\0$b"}, "Unsupported password hash. Use"),
]


@pytest.mark.parametrize(("row", "said"), REFUSED)
def test_a_row_that_can_not_be_read_is_refused_and_its_account_is_not_gone(row: Mapping[str, str], said: str) -> None:
    ann = account()
    verdicts = plan(rows(row), state(ann, known=(known(ann),)), Wishes(disable_missing="email" not in row))
    assert isinstance(verdicts[0], Reject)
    assert said in verdicts[0].reason
    assert [verdict for verdict in verdicts if isinstance(verdict, Disable)] == []


FOLLOWED: list[tuple[Mapping[str, str], Mapping[str, object]]] = [
    ({}, {}),
    ({"name": "Ann New"}, {"name": "Ann New"}),
    ({"role": "manager"}, {"role": Role.MANAGER}),
    ({"department": "HR"}, {"modules": frozenset((Module.HR,))}),
    ({"department": "HR", "modules": ""}, {}),
    ({"department": "HR", "modules": "legal"}, {"modules": frozenset((Module.LEGAL,))}),
    ({"tenant": "beta"}, {"tenant": "beta"}),
    ({"tenant": ""}, {}),
    ({"email": "ANN@acme.example."}, {}),
    ({"password_hash": OLD.reveal()}, {}),
    ({"password_hash": ""}, {}),
    ({"password_hash": NEW.reveal()}, {"password_hash": NEW}),
]


@pytest.mark.parametrize(("row", "changes"), FOLLOWED)
def test_an_account_follows_its_row(row: Mapping[str, str], changes: Mapping[str, object]) -> None:
    ann = account()
    assert followed(row, state(ann, known=(known(ann),))).after == replace(ann, **changes)  # type: ignore[arg-type]


HASHES = [
    # in the gateway, at the last import, in the application now, changed in the gateway since -> what holds
    (OURS, OLD, OLD, False, OURS),  # changed or renewed in the gateway before
    (OURS, OLD, OLD, True, OURS),
    (OURS, OLD, NEW, False, NEW),  # the application's is the later one
    (OURS, OLD, NEW, True, OURS),  # nobody can tell
    (OURS, OLD, None, False, OURS),
    (OURS, None, NEW, False, NEW),
    (OURS, None, NEW, True, OURS),
    (None, None, NEW, False, NEW),
    (None, NEW, NEW, False, NEW),
    (None, None, None, False, None),
]


@pytest.mark.parametrize(("ours", "then", "now", "is_changed_here", "holds"), HASHES)
def test_the_later_password_wins_and_in_doubt_the_gateways(
    ours: Secret[str] | None,
    then: Secret[str] | None,
    now: Secret[str] | None,
    is_changed_here: bool,
    holds: Secret[str] | None,
) -> None:
    ann = account(password_hash=ours)
    repassworded = frozenset((ann.id,)) if is_changed_here else frozenset()
    before = state(ann, known=(known(ann, hash_digest=digest_of(then)),), repassworded=repassworded)
    verdict = followed({"password_hash": now.reveal() if now else ""}, before)
    assert verdict.after.password_hash == holds
    assert verdict.hash_digest == digest_of(now or then)
    assert (PASSWORD_STAYS in verdict.remarks) is (is_changed_here and now is NEW)


def test_an_account_that_was_there_before_follows_only_when_asked_and_keeps_its_password() -> None:
    ann = account(name="Here")
    row = {"password_hash": NEW.reveal()}
    assert only(row, of=state(ann), wishes=Wishes()) == Skip(1, ann.identifier, FOREIGN)
    adopted = followed(row, state(ann), Wishes(adopt=True))
    assert adopted.after == replace(ann, name="Ann")
    assert adopted.hash_digest == digest_of(NEW)


def test_an_owner_is_neither_changed_nor_disabled() -> None:
    ann = account()
    here = state(ann, known=(known(ann),), owners=frozenset((ann.identifier,)))
    assert only({"name": "Else", "password_hash": NEW.reveal()}, of=here) == Skip(1, ann.identifier, BY_HAND)
    assert plan([], here, ALL) == [Keep(ann, BY_HAND)]


@pytest.mark.parametrize("second", [{"role": "admin"}, {"role": "boss"}, {"modules": "cooking"}, {"name": ""}])
def test_users_whose_emails_become_one_identifier_are_all_refused(second: Mapping[str, str]) -> None:
    ann = account()
    for here in (state(), state(ann, known=(known(ann),))):
        verdicts = plan(rows({}, {"email": "Ann@acme.example", **second}, {"email": "ANN@acme.example."}), here, ALL)
        assert [type(verdict) for verdict in verdicts] == [Reject, Reject, Reject]
        assert verdicts[0] == Reject(1, ann.identifier, Sentence("row {row} has the same email", row=2), ann.identifier)
        assert verdicts[2] == Reject(3, ann.identifier, Sentence("row {row} has the same email", row=1), ann.identifier)


KEYS = [
    # at the last import, in the row now -> whether it is another user
    (None, {"email": "Ann@acme.example"}, False),
    ("email:ann@acme.example", {}, False),
    ("email:Ann@acme.example", {}, True),
    ("email:ann@acme.example", {"email": "ann@acme.example."}, True),
    ("email:Ann@acme.example", {"id": "7"}, False),
    ("id:7", {}, False),
    ("id:7", {"id": "7", "email": "Ann@acme.example"}, False),
    ("id:7", {"id": "8"}, True),
]


@pytest.mark.parametrize(("was", "row", "is_another"), KEYS)
def test_another_user_of_the_application_does_not_get_an_account_by_its_email(
    was: str | None, row: Mapping[str, str], is_another: bool
) -> None:
    ann = account()
    here = state(ann, known=(known(ann, user_key=was),))
    row = {"password_hash": NEW.reveal(), **row}
    verdicts = plan(rows(row), here, Wishes(disable_missing=True))
    refused = Reject(1, ann.identifier, OTHER_USER, ann.identifier)
    assert (verdicts == [refused]) is is_another
    assert isinstance(verdicts[0], Reject if is_another else Follow)
    assert followed(row, here).after.password_hash == NEW  # --adopt says that it is meant


def test_a_user_whose_email_changed_in_the_application_gets_no_second_account() -> None:
    ann = account()
    here = state(ann, known=(known(ann, user_key="id:7"),))
    row = {"id": "7", "email": "ann.new@acme.example"}
    assert plan(rows(row), here, ALL) == [Skip(1, "ann.new@acme.example", MOVED.format("ann@acme.example"))]
    moved = replace(ann, identifier="ann.new@acme.example")
    assert followed(row, state(moved, known=(known(ann, user_key="id:7"),))).account is moved


def test_no_row_makes_an_owner() -> None:
    here = state(owners=frozenset(("ann@acme.example",)))
    for row in ({}, {"email": "ANN@acme.example"}, {"role": "admin", "password_hash": NEW.reveal()}, {"id": "1"}):
        assert only(row, of=here) == Skip(1, "ann@acme.example", BY_HAND)
    moved = account("ann.new@acme.example")
    here = state(moved, known=(known(moved, identifier="ann@acme.example"),), owners=frozenset(("ann@acme.example",)))
    assert plan(rows({"role": "admin"}), here, ALL) == [Skip(1, "ann@acme.example", BY_HAND)]


def test_who_is_gone_is_disabled_only_when_asked_and_only_if_an_import_made_them() -> None:
    ann, bob, cem, dan = (account(f"{name}@acme.example") for name in ("ann", "bob", "cem", "dan"))
    off = replace(dan, status=Status.DISABLED)
    here = state(ann, bob, cem, off, known=(known(ann), known(bob, was_created=False), known(off)))
    assert plan([], here, Wishes(disable_missing=True)) == [Disable(ann)]
    assert plan([], here, Wishes()) == [Keep(ann, "--disable-missing would disable it")]


def test_who_comes_back_is_enabled_unless_somebody_here_disabled_them() -> None:
    ann = account(status=Status.DISABLED)
    assert followed({}, state(ann, known=(known(ann, disabled_at=90),))).after.status is Status.ACTIVE
    assert followed({}, state(ann, known=(known(ann),))).after.status is Status.DISABLED


def test_an_email_changed_in_the_gateway_makes_no_second_account_and_nobody_missing() -> None:
    moved = account("ann@new.example", id="acc_1")
    here = state(moved, known=(known(moved, identifier="ann@acme.example"),))
    verdict = followed({"name": "Ann New"}, here)
    assert verdict.after == replace(moved, name="Ann New")
    assert followed({"email": "ann@new.example"}, here).account is moved  # changed on both sides
    both = plan(rows({}, {"email": "ann@new.example"}), here, ALL)
    assert [type(verdict) for verdict in both] == [Follow, Skip]
    back = plan(rows({"email": "ann@new.example"}, {}), here, ALL)
    assert [type(verdict) for verdict in back] == [Skip, Follow]


def test_a_tenant_keeps_its_last_admin() -> None:
    ann, bob = (account(f"{name}@acme.example", role=Role.ADMIN) for name in ("ann", "bob"))
    of_both = (known(ann), known(bob))
    gone = plan([], state(ann, bob, known=of_both), ALL)
    assert gone[0] == Disable(ann)
    assert isinstance(gone[1], Keep)
    assert "last admin of acme" in gone[1].reason
    alone = state(ann, known=(known(ann),))
    for row in ({"role": "employee"}, {"role": "admin", "tenant": "beta"}):
        verdict = followed({**row, "name": "Ann New"}, alone)
        assert verdict.after == replace(ann, name="Ann New")
        assert "last admin of acme" in verdict.remarks[0]
    demoted = plan(rows({}, {"email": "bob@acme.example", "name": "Bob"}), state(ann, bob, known=of_both), ALL)
    assert [verdict.after.role for verdict in demoted if isinstance(verdict, Follow)] == [Role.EMPLOYEE, Role.ADMIN]


def test_an_admin_who_is_only_now_added_takes_nobodys_place_yet() -> None:
    ann = account(role=Role.ADMIN)
    verdicts = plan(
        rows({"email": "new@acme.example", "tenant": "acme", "role": "admin"}), state(ann, known=(known(ann),)), ALL
    )
    assert isinstance(verdicts[0], Create)
    assert isinstance(verdicts[1], Keep)


NAMES = st.sampled_from(["ann", "bob", "cem", "dan", "eve"])
ACCOUNTS = st.lists(
    st.builds(
        lambda name, tenant, role, status: account(f"{name}@acme.example", tenant=tenant, role=role, status=status),
        NAMES, st.sampled_from(["acme", "beta"]), st.sampled_from(Role), st.sampled_from(Status),
    ),
    unique_by=lambda account: account.identifier,
)  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries(
        {"email": NAMES.map(lambda name: f"{name}@acme.example"), "role": st.sampled_from(["employee", "admin", "boss"]),
         "tenant": st.sampled_from(["acme", "beta", ""])}
    )
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(ACCOUNTS, ROWS, st.data())
def test_whatever_the_rows_say_no_tenant_loses_its_last_admin_and_owners_stay(
    accounts: list[Account], given_rows: list[dict[str, str]], data: st.DataObject
) -> None:
    following = [known(one) for one in accounts if data.draw(st.booleans())]
    owner = data.draw(NAMES)
    before = State(tuple(accounts), tuple(following), frozenset(), frozenset((f"{owner}@acme.example",)))
    after = {one.id: one for one in accounts}
    for verdict in plan(rows(*given_rows), before, ALL):
        if isinstance(verdict, Follow):
            after[verdict.account.id] = verdict.after
        if isinstance(verdict, Disable):
            after[verdict.account.id] = replace(after[verdict.account.id], status=Status.DISABLED)
    for tenant in ("acme", "beta"):
        had, has = (
            [one for one in some if one.tenant == tenant and one.role is Role.ADMIN and one.status is Status.ACTIVE]
            for some in (accounts, list(after.values()))
        )
        assert bool(has) >= bool(had)
    assert [one for one in accounts if one.identifier == f"{owner}@acme.example"] == [
        one for one in after.values() if one.identifier == f"{owner}@acme.example"
    ]


def test_a_service_account_is_nobodys_in_the_application_and_no_administrator() -> None:
    service = account("x@service.invalid", role=Role.ADMIN, password_hash=None, is_service=True)
    ann = account(role=Role.ADMIN)
    verdicts = plan(rows({"email": "x@service.invalid", "password_hash": NEW.reveal()}), state(service), Wishes(True))
    assert verdicts == [Skip(1, "x@service.invalid", SERVICE)]
    (kept,) = plan(rows(), state(service, ann, known=(known(ann),)), Wishes(disable_missing=True))
    assert isinstance(kept, Keep)  # the last one
