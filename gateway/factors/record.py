"""What a factor and a proof are."""

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
