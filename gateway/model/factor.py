"""Factors, proofs, and what an account has set up. Pure: the progress of a sign-in is computed, not stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

DEMAND = "!"
ONLY_PASSKEYS = "=passkey"
EXEMPT = "=exempt"


class Factor(str):
    """The name of a factor: up to 16 characters of a-z and _. Each has a folder in gateway/factors.

    Only factors that the policy below or a page refers to have a constant here.
    """

    __slots__ = ()

    PASSWORD: ClassVar[Factor]
    TOTP: ClassVar[Factor]
    BACKUP_CODE: ClassVar[Factor]
    MAGIC_LINK: ClassVar[Factor]
    PASSKEY: ClassVar[Factor]


Factor.PASSWORD = Factor("password")
Factor.TOTP = Factor("totp")
Factor.BACKUP_CODE = Factor("backup_code")
Factor.MAGIC_LINK = Factor("magic_link")
Factor.PASSKEY = Factor("passkey")

API_TOKEN = Factor("token")
"""What the sessions of API tokens prove. It has no folder: nobody signs in with it."""

SECOND = frozenset((Factor.TOTP, Factor.PASSKEY))
"""Each of them can be the second step. A policy that names TOTP means the second step, whichever it is."""

STANDARD_NAMES: Mapping[Factor, str] = {
    Factor.PASSWORD: "pwd",
    Factor.TOTP: "otp",
    Factor.BACKUP_CODE: "otp",
    Factor.PASSKEY: "pop",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified factor, `at` in UTC seconds.

    `counts_as`: the factors that it satisfies instead of its own. A backup code counts as TOTP, for people without
    their phone; a passkey as itself and TOTP.
    """

    factor: Factor
    at: int
    counts_as: tuple[Factor, ...] = ()

    @property
    def shows(self) -> tuple[Factor, ...]:
        return self.counts_as or (self.factor,)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The factors that an account has set up, and those that it must set up at the next sign-in.

    `only_passkeys`: the person has chosen that nothing else than a passkey is accepted as the second step.
    `is_exempt`: a break-glass account, which signs in with its password even if its tenant demands another first proof.

    As text, in the account's row: names separated by spaces, then `=passkey` and `=exempt` for these two, then those to
    be set up, with a `!` in front. A factor that counts as another one (a backup code) is not included.
    """

    factors: frozenset[Factor] = frozenset()
    demanded: frozenset[Factor] = frozenset()
    only_passkeys: bool = False
    is_exempt: bool = False

    def __contains__(self, factor: Factor) -> bool:
        """Whether the factor is set up."""
        return factor in self.factors

    @property
    def all(self) -> frozenset[Factor]:
        return self.factors | self.demanded

    @property
    def has_second(self) -> bool:
        """Whether a second step is set up."""
        return not self.factors.isdisjoint(SECOND)

    def has_second_besides(self, factor: Factor) -> bool:
        """Whether another second step than `factor` is set up."""
        return not self.factors.isdisjoint(SECOND - {factor})

    @property
    def text(self) -> str:
        marks = [*([ONLY_PASSKEYS] if self.only_passkeys else []), *([EXEMPT] if self.is_exempt else [])]
        return " ".join((*sorted(self.factors), *marks, *(DEMAND + factor for factor in sorted(self.demanded))))

    def having(self, factor: Factor) -> Enrolled:
        demanded = self.demanded - (SECOND if factor in SECOND else {factor})
        return replace(self, factors=self.factors | {factor}, demanded=demanded)

    def demanding(self, factor: Factor) -> Enrolled:
        return replace(self.without(factor), demanded=self.demanded | {factor})

    def without(self, factor: Factor) -> Enrolled:
        return replace(
            self,
            factors=self.factors - {factor},
            demanded=self.demanded - {factor},
            only_passkeys=self.only_passkeys and factor != Factor.PASSKEY,
        )


NOTHING_ENROLLED = Enrolled()


@lru_cache(maxsize=256)
def read_enrolled(text: str) -> Enrolled:
    """Parse the stored column (see Enrolled)."""
    words = text.split()
    names = [word for word in words if word not in (ONLY_PASSKEYS, EXEMPT)]
    return Enrolled(
        frozenset(Factor(name) for name in names if not name.startswith(DEMAND)),
        frozenset(Factor(name.removeprefix(DEMAND)) for name in names if name.startswith(DEMAND)),
        only_passkeys=ONLY_PASSKEYS in words,
        is_exempt=EXEMPT in words,
    )


def ask_for(missing: Factor | None, enrolled: Enrolled) -> Factor | None:
    """Return the factor whose page asks for `missing`: a passkey, if the account has one, comes before TOTP."""
    return Factor.PASSKEY if missing == Factor.TOTP and Factor.PASSKEY in enrolled else missing


def first_missing(required: Iterable[Factor], proofs: Iterable[Proof], *, since: int = 0) -> Factor | None:
    """Return the first of `required` without a proof at or after `since` (UTC seconds), or None."""
    proved = shown_by(proof for proof in proofs if proof.at >= since)
    return next((factor for factor in required if factor not in proved), None)


def shown_by(proofs: Iterable[Proof]) -> frozenset[Factor]:
    return frozenset(factor for proof in proofs for factor in proof.shows)


def as_owner(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """Return an owner's proofs: for an owner a passkey does not stand for the password."""
    return tuple(
        replace(proof, counts_as=tuple(shown for shown in proof.counts_as if shown != Factor.PASSWORD))
        for proof in proofs
    )


def with_proof(proofs: Iterable[Proof], new: Proof) -> tuple[Proof, ...]:
    """Return the proofs with `new`, which replaces an older proof of the same factor that does not count as more."""
    shown = set(new.shows)
    return (*(proof for proof in proofs if proof.factor != new.factor or not shown.issuperset(proof.shows)), new)


def amr_of(proofs: Iterable[Proof]) -> list[str]:
    """Return the standard names of what was proved (RFC 8176 §2), sorted.

    A passkey is "pop", and "user" if it verified its user instead of a password. Links have no standard name.
    """
    given = tuple(proofs)
    names = {STANDARD_NAMES[proof.factor] for proof in given if proof.factor in STANDARD_NAMES}
    if any(proof.factor == Factor.PASSKEY and Factor.PASSWORD in proof.shows for proof in given):
        names.add("user")
    return sorted(names | {"mfa"} if len(shown_by(given) - {Factor.PASSKEY}) > 1 else names)


def method_of(proofs: Iterable[Proof]) -> str:
    """Return the audit log's name for the strength of a sign-in: "1fa", "2fa" or "3fa"."""
    return f"{len(shown_by(proofs) - {Factor.PASSKEY})}fa"  # which counts as TOTP as well
