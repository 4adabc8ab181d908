"""Re-authentication: which factor has to be proved again before something is changed."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.factor import Factor, first_missing
from gateway.model.session import Session

FRESH_SECONDS = 600  # how long a proof lets people change what their account is secured by, or what others may do


def stale_factor(session: Session, now: int, wanted: Iterable[Factor], seconds: int) -> Factor | None:
    """Return which of `wanted` was not proved in the last `seconds`, or None.

    Beside the password, a factor is wanted of those who have set it up.
    """
    required = [factor for factor in wanted if factor == Factor.PASSWORD or factor in session.enrolled]
    return first_missing(required, session.proofs, since=now - seconds)
