"""Who has to prove what, and who has proved it: tables and whole small spaces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.factor import (
    NOTHING_ENROLLED,
    Enrolled,
    Factor,
    Proof,
    amr_of,
    first_missing,
    method_of,
    read_enrolled,
    with_proof,
)
from gateway.model.factor_policy import Second, required_factors
from gateway.sessions.rows import read_proofs, write_proofs

PASSWORD, TOTP, BACKUP, LINK = FACTORS = Factor.PASSWORD, Factor.TOTP, Factor.BACKUP_CODE, Factor.MAGIC_LINK
PASSKEY = Factor.PASSKEY
RETINA = Factor("retina")  # one that the policy has no line for
HAS_TOTP = NOTHING_ENROLLED.having(TOTP)
COUNTS_AS = {BACKUP: (TOTP,), PASSKEY: (PASSKEY, TOTP)}
MEMBER = (PASSWORD,)
MEMBER_WITH_TOTP = (PASSWORD, TOTP)
OWNER_WITH_TOTP = (PASSWORD, TOTP, LINK)
OWNER_WITHOUT_TOTP = (PASSWORD, LINK, TOTP)
REQUIRED = (MEMBER, MEMBER_WITH_TOTP, OWNER_WITH_TOTP, OWNER_WITHOUT_TOTP)

factors = st.sampled_from(FACTORS)


def proof(factor: Factor, at: int) -> Proof:
    return Proof(factor, at, COUNTS_AS.get(factor, ()))


proofs = st.lists(st.builds(proof, factors, st.integers(0, 5)), max_size=8)
required = st.sampled_from(REQUIRED)


def proved(*which: Factor, at: int = 100) -> tuple[Proof, ...]:
    return tuple(proof(factor, at) for factor in which)


# What is required.


@pytest.mark.parametrize(
    ("is_owner", "enrolled", "expected"),
    [
        (False, NOTHING_ENROLLED, MEMBER),
        (False, NOTHING_ENROLLED.demanding(TOTP), MEMBER_WITH_TOTP),
        (False, HAS_TOTP, MEMBER_WITH_TOTP),
        (True, NOTHING_ENROLLED, OWNER_WITHOUT_TOTP),
        (True, NOTHING_ENROLLED.demanding(TOTP), OWNER_WITHOUT_TOTP),
        (True, HAS_TOTP, OWNER_WITH_TOTP),
        (False, NOTHING_ENROLLED.having(PASSKEY), MEMBER_WITH_TOTP),
        (False, HAS_TOTP.having(PASSKEY), MEMBER_WITH_TOTP),
        (True, NOTHING_ENROLLED.having(PASSKEY), OWNER_WITH_TOTP),
        (False, NOTHING_ENROLLED.having(RETINA), (*MEMBER, RETINA)),
        (False, HAS_TOTP.having(RETINA), (*MEMBER_WITH_TOTP, RETINA)),
        (True, NOTHING_ENROLLED.demanding(RETINA), (*OWNER_WITHOUT_TOTP, RETINA)),
        (True, HAS_TOTP.having(RETINA), (*OWNER_WITH_TOTP, RETINA)),
    ],
)
def test_what_each_account_has_to_prove_and_in_which_order(
    is_owner: bool, enrolled: Enrolled, expected: tuple[Factor, ...]
) -> None:
    assert required_factors(Second.OPTIONAL, is_owner=is_owner, enrolled=enrolled) == expected


@pytest.mark.parametrize("is_owner", [False, True])
@pytest.mark.parametrize("other", [NOTHING_ENROLLED, HAS_TOTP, NOTHING_ENROLLED.demanding(TOTP)])
@pytest.mark.parametrize("factor", [TOTP, PASSKEY, RETINA])
def test_setting_a_factor_up_never_makes_a_sign_in_easier(is_owner: bool, other: Enrolled, factor: Factor) -> None:
    without = required_factors(Second.OPTIONAL, is_owner=is_owner, enrolled=other)
    assert set(without) <= set(required_factors(Second.OPTIONAL, is_owner=is_owner, enrolled=other.having(factor)))


# What is set up.


@pytest.mark.parametrize(
    ("enrolled", "text"),
    [
        (NOTHING_ENROLLED, ""),
        (HAS_TOTP, "totp"),
        (HAS_TOTP.having(PASSKEY), "passkey totp"),
        (NOTHING_ENROLLED.demanding(TOTP), "!totp"),
        (HAS_TOTP.demanding(PASSKEY), "totp !passkey"),
        (HAS_TOTP.demanding(TOTP), "!totp"),
        (HAS_TOTP.demanding(TOTP).having(TOTP), "totp"),
        (HAS_TOTP.having(PASSKEY).without(TOTP), "passkey"),
        (NOTHING_ENROLLED.demanding(TOTP).without(TOTP), ""),
    ],
)
def test_what_is_set_up_and_what_is_demanded_is_one_text(enrolled: Enrolled, text: str) -> None:
    assert enrolled.text == text
    assert read_enrolled(text) == enrolled


def test_proofs_are_stored_as_pairs_unless_they_count_as_something_unexpected() -> None:
    shown = (Proof(PASSWORD, 1), Proof(BACKUP, 2, (TOTP,)), Proof(PASSKEY, 3, (PASSWORD, TOTP)))
    written = '[["password",1],["backup_code",2],["passkey",3,"password","totp"]]'
    assert write_proofs(shown) == written
    assert read_proofs(written) == shown


# What is missing.


@pytest.mark.parametrize("asked", REQUIRED)
@pytest.mark.parametrize("size", range(5))
def test_every_set_of_proofs_is_judged_as_the_rule_says(asked: tuple[Factor, ...], size: int) -> None:
    """The rule, told factor by factor: TOTP is shown by TOTP or a backup code, everything else by itself alone."""
    shown_by = {PASSWORD: {PASSWORD}, TOTP: {TOTP, BACKUP}, LINK: {LINK}}
    for given_factors in itertools.combinations(FACTORS, size):
        missing = [factor for factor in asked if not shown_by[factor] & set(given_factors)]
        assert first_missing(asked, proved(*given_factors)) == (missing[0] if missing else None), given_factors


def test_a_proof_shows_what_it_counts_as_and_no_longer_itself() -> None:
    shown = (Proof(PASSKEY, 100, (PASSWORD, TOTP)),)
    assert first_missing(MEMBER_WITH_TOTP, shown) is None
    assert first_missing((PASSKEY,), shown) == PASSKEY
    assert method_of(shown) == "2fa"


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ((), []),
        ((Proof(PASSWORD, 1),), ["pwd"]),
        (proved(PASSWORD, BACKUP), ["mfa", "otp", "pwd"]),
        (proved(PASSWORD, PASSKEY), ["mfa", "pop", "pwd"]),
        ((Proof(PASSKEY, 1, (PASSWORD, TOTP, PASSKEY)),), ["mfa", "pop", "user"]),
        (proved(PASSWORD, TOTP, LINK), ["mfa", "otp", "pwd"]),
    ],
)
def test_applications_are_told_the_standard_names(shown: tuple[Proof, ...], names: list[str]) -> None:
    assert amr_of(shown) == names


def test_totp_does_not_stand_for_a_backup_code() -> None:
    assert first_missing((BACKUP,), proved(TOTP)) == BACKUP


@pytest.mark.parametrize(("since", "missing"), [(99, None), (100, None), (101, TOTP)])
def test_a_proof_counts_from_the_second_asked_for(since: int, missing: Factor | None) -> None:
    assert first_missing((TOTP,), proved(TOTP), since=since) == missing


def test_a_fresh_backup_code_stands_for_a_stale_totp_proof() -> None:
    assert first_missing((TOTP,), (proof(TOTP, 10), proof(BACKUP, 50)), since=50) is None


def test_a_stale_backup_code_stands_for_nothing() -> None:
    assert first_missing((TOTP,), (proof(BACKUP, 49),), since=50) == TOTP


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


@given(proofs, st.builds(proof, factors, st.just(5)), required, st.integers(0, 5))
def test_a_newer_proof_never_takes_completeness_away(
    shown: list[Proof], newer: Proof, asked: tuple[Factor, ...], since: int
) -> None:
    if first_missing(asked, shown, since=since) is None:
        assert first_missing(asked, with_proof(shown, newer), since=since) is None


@given(st.lists(st.builds(proof, factors, st.integers(0, 5)), unique_by=lambda given: given.factor), required)
def test_proofs_given_one_by_one_in_any_order_lead_to_the_same_verdict(
    shown: list[Proof], asked: tuple[Factor, ...]
) -> None:
    collected: tuple[Proof, ...] = ()
    for given_proof in shown:
        collected = with_proof(collected, given_proof)
    assert first_missing(asked, collected) == first_missing(asked, shown)


# One more proof.


def test_a_new_proof_takes_the_place_of_an_older_one_and_of_no_other() -> None:
    shown = (Proof(PASSWORD, 1), Proof(TOTP, 2), Proof(LINK, 3))
    assert with_proof(shown, Proof(TOTP, 9)) == (Proof(PASSWORD, 1), Proof(LINK, 3), Proof(TOTP, 9))


def test_a_backup_code_leaves_the_proof_of_totp() -> None:
    assert with_proof(proved(PASSWORD, TOTP), Proof(BACKUP, 9)) == (*proved(PASSWORD, TOTP), Proof(BACKUP, 9))


@given(st.lists(st.builds(proof, factors, st.integers(0, 5)), max_size=8))
def test_no_factor_is_held_twice(shown: list[Proof]) -> None:
    collected: tuple[Proof, ...] = ()
    for given_proof in shown:
        collected = with_proof(collected, given_proof)
    assert len(collected) == len({given_proof.factor for given_proof in shown})


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
