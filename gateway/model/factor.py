"""What a factor and a proof are, and who has to prove what. Pure: nothing stores how far somebody has come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

DEMAND = "!"


class Factor(str):
    """The name of a way to prove who somebody is: up to 16 of a-z and _. Each has a folder in gateway/factors.

    The ones named here are those that the policy below, or a page, asks for by name. A further factor needs no line.
    """

    __slots__ = ()

    PASSWORD: ClassVar[Factor]
    TOTP: ClassVar[Factor]
    BACKUP_CODE: ClassVar[Factor]
    MAGIC_LINK: ClassVar[Factor]


Factor.PASSWORD = Factor("password")
Factor.TOTP = Factor("totp")
Factor.BACKUP_CODE = Factor("backup_code")
Factor.MAGIC_LINK = Factor("magic_link")


@dataclass(frozen=True, slots=True)
class Proof:
    """A factor that was verified, `at` in UTC seconds, and the factors that this shows.

    A backup code shows TOTP: who has lost the phone proves the same with a code written down on paper.
    """

    factor: Factor
    at: int
    counts_as: tuple[Factor, ...] = ()

    @property
    def shows(self) -> tuple[Factor, ...]:
        return self.counts_as or (self.factor,)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The factors that an account has set up, and those that it has to set up at the next sign-in.

    As text, in the account's row: names with spaces between them, first what is set up, then what is demanded, with a
    `!` before each name. A factor that stands for another one (a backup code) is not among them.
    """

    factors: frozenset[Factor] = frozenset()
    demanded: frozenset[Factor] = frozenset()

    def __contains__(self, factor: Factor) -> bool:
        """Whether it is set up."""
        return factor in self.factors

    @property
    def all(self) -> frozenset[Factor]:
        return self.factors | self.demanded

    @property
    def text(self) -> str:
        return " ".join((*sorted(self.factors), *(DEMAND + factor for factor in sorted(self.demanded))))

    def having(self, factor: Factor) -> Enrolled:
        return Enrolled(self.factors | {factor}, self.demanded - {factor})

    def demanding(self, factor: Factor) -> Enrolled:
        return Enrolled(self.factors - {factor}, self.demanded | {factor})

    def without(self, factor: Factor) -> Enrolled:
        return Enrolled(self.factors - {factor}, self.demanded - {factor})


NOTHING_ENROLLED = Enrolled()


@lru_cache(maxsize=256)
def read_enrolled(text: str) -> Enrolled:
    """Read the text of a column (see Enrolled)."""
    names = text.split()
    return Enrolled(
        frozenset(Factor(name) for name in names if not name.startswith(DEMAND)),
        frozenset(Factor(name.removeprefix(DEMAND)) for name in names if name.startswith(DEMAND)),
    )


def required_factors(*, is_owner: bool, enrolled: Enrolled = NOTHING_ENROLLED) -> tuple[Factor, ...]:
    """Return what has to be proved to sign in, in the order in which it is asked for.

    An owner without TOTP sets it up last, when password and mail link are proved: who knows only the password could
    otherwise put a phone of their own there, and lock the owner out with it. What an account has set up is asked for
    whether or not the policy knows it by name.
    """
    named: tuple[Factor, ...] = (Factor.PASSWORD,)
    if is_owner and Factor.TOTP in enrolled:
        named = (Factor.PASSWORD, Factor.TOTP, Factor.MAGIC_LINK)
    elif is_owner:
        named = (Factor.PASSWORD, Factor.MAGIC_LINK, Factor.TOTP)
    elif Factor.TOTP in enrolled.all:
        named = (Factor.PASSWORD, Factor.TOTP)
    return (*named, *sorted(enrolled.all.difference(named)))


def first_missing(required: Iterable[Factor], proofs: Iterable[Proof], *, since: int = 0) -> Factor | None:
    """Return the first of `required` that no proof since then (UTC seconds) shows, or None."""
    proved = shown_by(proof for proof in proofs if proof.at >= since)
    return next((factor for factor in required if factor not in proved), None)


def shown_by(proofs: Iterable[Proof]) -> frozenset[Factor]:
    return frozenset(factor for proof in proofs for factor in proof.shows)


def with_proof(proofs: Iterable[Proof], new: Proof) -> tuple[Proof, ...]:
    """Return the proofs with `new` in the place of an older one of the same factor."""
    return (*(proof for proof in proofs if proof.factor != new.factor), new)


def method_of(proofs: Iterable[Proof]) -> str:
    """Return how the audit log names a sign-in: "1fa", "2fa" or "3fa"."""
    return f"{len(shown_by(proofs))}fa"
