"""What a factor and a proof are, and who has to prove what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Factor(StrEnum):
    PASSWORD = "password"  # noqa: S105 - the factor's name, not a password
    TOTP = "totp"
    BACKUP_CODE = "backup_code"
    MAGIC_LINK = "magic_link"


@dataclass(frozen=True, slots=True)
class Proof:
    """A factor that was verified, `at` in UTC seconds."""

    factor: Factor
    at: int


MEMBER_FACTORS = (Factor.PASSWORD,)
OWNER_FACTORS = (Factor.PASSWORD, Factor.TOTP, Factor.MAGIC_LINK)


def required_factors(*, is_owner: bool) -> tuple[Factor, ...]:
    """Return what has to be proved to sign in, in the order in which it is asked for."""
    return OWNER_FACTORS if is_owner else MEMBER_FACTORS
