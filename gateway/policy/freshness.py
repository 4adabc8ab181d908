"""Re-authentication: which factor must be proved again before a change."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.factor import Factor, ask_for, first_missing
from gateway.model.factor_policy import stands_for
from gateway.model.session import Session

FRESH_SECONDS = 600  # how long a proof allows changes to one's own factors and to other accounts


def stale_factor(session: Session, now: int, wanted: Iterable[Factor], seconds: int) -> Factor | None:
    """Return the first of `wanted` that was not proved within the last `seconds`, or None.

    Factors other than the password are required only if they are set up. TOTP means the second step.
    """
    enrolled = session.enrolled
    has = enrolled.factors | {Factor.PASSWORD} | ({Factor.TOTP} if enrolled.has_second else set())
    asked = [stands_for(factor, session.first, session.second, enrolled) for factor in wanted if factor in has]
    return ask_for(first_missing(asked, session.proofs, since=now - seconds), enrolled)
