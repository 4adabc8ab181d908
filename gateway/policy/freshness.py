"""Re-authentication: which factor has to be proved again before something is changed."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.factor import Factor, first_missing
from gateway.model.session import Session

FRESH_SECONDS = 600


def stale_factor(
    session: Session, now: int, wanted: Iterable[Factor] = (Factor.PASSWORD, Factor.TOTP)
) -> Factor | None:
    """Return what of `wanted` has to be proved again before something is changed, or None if all of it is fresh.

    TOTP is wanted only of who has set it up.
    """
    required = [factor for factor in wanted if factor is not Factor.TOTP or session.has_totp]
    return first_missing(required, session.proofs, since=now - FRESH_SECONDS)
