"""What a person has proved, and what is still to prove. Pure: the next step is computed, never stored.

Members need their password; the platform's owner needs password, TOTP and the mailed link, all three. A factor
that is not built yet can't be proved, so who needs it is turned away: there is no way around a missing factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.factors.record import Factor, Proof, required_factors

AVAILABLE = frozenset((Factor.PASSWORD,))


@dataclass(frozen=True, slots=True)
class Complete:
    """Everything is proved that this account has to prove."""


@dataclass(frozen=True, slots=True)
class Needs:
    """`factor` comes next."""

    factor: Factor


@dataclass(frozen=True, slots=True)
class Unavailable:
    """`factor` comes next, and this version can't ask for it."""

    factor: Factor


def next_step(proofs: Sequence[Proof], *, is_owner: bool) -> Complete | Needs | Unavailable:
    """Return what is next after `proofs`."""
    proved = {proof.factor for proof in proofs}
    for factor in required_factors(is_owner=is_owner):
        if factor not in proved:
            return Needs(factor) if factor in AVAILABLE else Unavailable(factor)
    return Complete()


def method_of(proofs: Sequence[Proof]) -> str:
    """Return how the audit log names a sign-in: "1fa", "2fa" or "3fa"."""
    return f"{len({proof.factor for proof in proofs})}fa"
