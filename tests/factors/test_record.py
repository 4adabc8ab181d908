"""Who has to prove what, and who has proved it: tables and whole small spaces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.factor import STANDS_FOR, Factor, Proof, first_missing, method_of, required_factors, with_proof

PASSWORD, TOTP, BACKUP, LINK = Factor.PASSWORD, Factor.TOTP, Factor.BACKUP_CODE, Factor.MAGIC_LINK
MEMBER = (PASSWORD,)
MEMBER_WITH_TOTP = (PASSWORD, TOTP)
OWNER_WITH_TOTP = (PASSWORD, TOTP, LINK)
OWNER_WITHOUT_TOTP = (PASSWORD, LINK, TOTP)
REQUIRED = (MEMBER, MEMBER_WITH_TOTP, OWNER_WITH_TOTP, OWNER_WITHOUT_TOTP)

factors = st.sampled_from(list(Factor))
proofs = st.lists(st.builds(Proof, factors, st.integers(0, 5)), max_size=8)
required = st.sampled_from(REQUIRED)


def proved(*which: Factor, at: int = 100) -> tuple[Proof, ...]:
    return tuple(Proof(factor, at) for factor in which)


# What is required.


@pytest.mark.parametrize(
    ("is_owner", "has_totp", "must_enrol", "expected"),
    [
        (False, False, False, MEMBER),
        (False, False, True, MEMBER_WITH_TOTP),
        (False, True, False, MEMBER_WITH_TOTP),
        (False, True, True, MEMBER_WITH_TOTP),
        (True, False, False, OWNER_WITHOUT_TOTP),
        (True, False, True, OWNER_WITHOUT_TOTP),
        (True, True, False, OWNER_WITH_TOTP),
        (True, True, True, OWNER_WITH_TOTP),
    ],
)
def test_what_each_account_has_to_prove_and_in_which_order(
    is_owner: bool, has_totp: bool, must_enrol: bool, expected: tuple[Factor, ...]
) -> None:
    assert required_factors(is_owner=is_owner, has_totp=has_totp, must_enrol=must_enrol) == expected


def test_setting_totp_up_never_makes_a_sign_in_easier() -> None:
    for is_owner, must_enrol in itertools.product((False, True), repeat=2):
        without = required_factors(is_owner=is_owner, has_totp=False, must_enrol=must_enrol)
        having = required_factors(is_owner=is_owner, has_totp=True, must_enrol=must_enrol)
        assert set(without) <= set(having)


# What is missing.


@pytest.mark.parametrize("asked", REQUIRED)
@pytest.mark.parametrize("size", range(5))
def test_every_set_of_proofs_is_judged_as_the_rule_says(asked: tuple[Factor, ...], size: int) -> None:
    """The rule, told factor by factor: TOTP is shown by TOTP or a backup code, everything else by itself alone."""
    shown_by = {PASSWORD: {PASSWORD}, TOTP: {TOTP, BACKUP}, LINK: {LINK}}
    for given_factors in itertools.combinations(Factor, size):
        missing = [factor for factor in asked if not shown_by[factor] & set(given_factors)]
        assert first_missing(asked, proved(*given_factors)) == (missing[0] if missing else None), given_factors


def test_nothing_but_a_backup_code_stands_for_another_factor() -> None:
    assert STANDS_FOR == {BACKUP: TOTP}


def test_totp_does_not_stand_for_a_backup_code() -> None:
    assert first_missing((BACKUP,), proved(TOTP)) == BACKUP


@pytest.mark.parametrize(("since", "missing"), [(99, None), (100, None), (101, TOTP)])
def test_a_proof_counts_from_the_second_asked_for(since: int, missing: Factor | None) -> None:
    assert first_missing((TOTP,), proved(TOTP), since=since) == missing


def test_a_fresh_backup_code_stands_for_a_stale_totp_proof() -> None:
    assert first_missing((TOTP,), (Proof(TOTP, 10), Proof(BACKUP, 50)), since=50) is None


def test_a_stale_backup_code_stands_for_nothing() -> None:
    assert first_missing((TOTP,), (Proof(BACKUP, 49),), since=50) == TOTP


@given(proofs, required, st.integers(0, 6), st.randoms(use_true_random=False))
def test_the_order_of_proofs_never_matters(
    shown: list[Proof], asked: tuple[Factor, ...], since: int, random: object
) -> None:
    shuffled = list(shown)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert first_missing(asked, shuffled, since=since) == first_missing(asked, shown, since=since)


@given(proofs, required, st.integers(0, 6))
def test_the_order_of_what_is_required_never_matters_to_who_is_complete(
    shown: list[Proof], asked: tuple[Factor, ...], since: int
) -> None:
    verdicts = {first_missing(order, shown, since=since) is None for order in itertools.permutations(asked)}
    assert len(verdicts) == 1


@given(proofs, st.builds(Proof, factors, st.just(5)), required, st.integers(0, 5))
def test_a_newer_proof_never_takes_completeness_away(
    shown: list[Proof], newer: Proof, asked: tuple[Factor, ...], since: int
) -> None:
    if first_missing(asked, shown, since=since) is None:
        assert first_missing(asked, with_proof(shown, newer), since=since) is None


@given(st.lists(st.builds(Proof, factors, st.integers(0, 5)), unique_by=lambda proof: proof.factor), required)
def test_proofs_given_one_by_one_in_any_order_lead_to_the_same_verdict(
    shown: list[Proof], asked: tuple[Factor, ...]
) -> None:
    collected: tuple[Proof, ...] = ()
    for proof in shown:
        collected = with_proof(collected, proof)
    assert first_missing(asked, collected) == first_missing(asked, shown)


# One more proof.


def test_a_new_proof_takes_the_place_of_an_older_one_and_of_no_other() -> None:
    shown = (Proof(PASSWORD, 1), Proof(TOTP, 2), Proof(LINK, 3))
    assert with_proof(shown, Proof(TOTP, 9)) == (Proof(PASSWORD, 1), Proof(LINK, 3), Proof(TOTP, 9))


def test_a_backup_code_leaves_the_proof_of_totp() -> None:
    assert with_proof(proved(PASSWORD, TOTP), Proof(BACKUP, 9)) == (*proved(PASSWORD, TOTP), Proof(BACKUP, 9))


@given(st.lists(st.builds(Proof, factors, st.integers(0, 5)), max_size=8))
def test_no_factor_is_held_twice(shown: list[Proof]) -> None:
    collected: tuple[Proof, ...] = ()
    for proof in shown:
        collected = with_proof(collected, proof)
    assert len(collected) == len({proof.factor for proof in shown})


# The method.


@pytest.mark.parametrize(
    ("which", "method"),
    [
        ((), "0fa"),
        ((PASSWORD,), "1fa"),
        ((PASSWORD, TOTP), "2fa"),
        ((PASSWORD, BACKUP), "2fa"),
        ((PASSWORD, TOTP, BACKUP), "2fa"),
        ((PASSWORD, LINK), "2fa"),
        ((PASSWORD, TOTP, LINK), "3fa"),
        ((PASSWORD, BACKUP, LINK), "3fa"),
        ((PASSWORD, TOTP, BACKUP, LINK), "3fa"),
    ],
)
def test_how_the_audit_log_names_a_sign_in(which: tuple[Factor, ...], method: str) -> None:
    assert method_of(proved(*which)) == method
