"""What a factor and a proof are, and who has to prove what. Pure: nothing stores how far somebody has come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Factor(StrEnum):
    PASSWORD = "password"  # noqa: S105 - the factor's name, not a password
    TOTP = "totp"
    BACKUP_CODE = "backup_code"
    MAGIC_LINK = "magic_link"


# Who has lost the phone proves the same with a code written down on paper.
STANDS_FOR = {Factor.BACKUP_CODE: Factor.TOTP}


@dataclass(frozen=True, slots=True)
class Proof:
    """A factor that was verified, `at` in UTC seconds."""

    factor: Factor
    at: int


def required_factors(*, is_owner: bool, has_totp: bool, must_enrol: bool = False) -> tuple[Factor, ...]:
    """Return what has to be proved to sign in, in the order in which it is asked for.

    An owner without TOTP sets it up last, when password and mail link are proved: who knows only the password could
    otherwise put a phone of their own there, and lock the owner out with it.
    """
    if is_owner and has_totp:
        return (Factor.PASSWORD, Factor.TOTP, Factor.MAGIC_LINK)
    if is_owner:
        return (Factor.PASSWORD, Factor.MAGIC_LINK, Factor.TOTP)
    if has_totp or must_enrol:
        return (Factor.PASSWORD, Factor.TOTP)
    return (Factor.PASSWORD,)


def first_missing(required: Iterable[Factor], proofs: Iterable[Proof], *, since: int = 0) -> Factor | None:
    """Return the first of `required` that no proof since then (UTC seconds) shows, or None."""
    proved = {STANDS_FOR.get(proof.factor, proof.factor) for proof in proofs if proof.at >= since}
    return next((factor for factor in required if factor not in proved), None)


def with_proof(proofs: Iterable[Proof], new: Proof) -> tuple[Proof, ...]:
    """Return the proofs with `new` in the place of an older one of the same factor."""
    return (*(proof for proof in proofs if proof.factor is not new.factor), new)


def method_of(proofs: Iterable[Proof]) -> str:
    """Return how the audit log names a sign-in: "1fa", "2fa" or "3fa"."""
    return f"{len({STANDS_FOR.get(proof.factor, proof.factor) for proof in proofs})}fa"
