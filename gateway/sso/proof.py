"""What a provider's assertion proves, and since when. Pure.

A provider asks nobody again whom it knows already, so its answer may come from somebody at another person's unlocked
machine. A proof is therefore as old as the sign-in at the provider, as far as that says when it was (`auth_time`); only
an answer to the question for a new sign-in there counts from now on. Where the provider doesn't say, a new session
begins with a fresh proof, as no other could be had, and one that can be used already gains nothing.
"""

from __future__ import annotations

from gateway.model.factor import Factor, Proof
from gateway.model.session import Session
from gateway.sso.factor import SSO
from gateway.sso.oidc.record import Claims
from gateway.sso.rows import Registered


def proof_of(
    registered: Registered, claims: Claims, now: int, *, is_fresh: bool = False, session: Session | None = None
) -> Proof:
    """Return the proof. `is_fresh`: it was checked that the person signed in since the question (see id_token).

    `session` is the one that gets it, if there is one already that can be used.
    """
    second = (Factor.TOTP,) if registered.has_two_factors(claims) else ()
    return Proof(SSO, now if is_fresh else find_time(claims, session, now), (SSO, Factor.PASSWORD, *second))


def find_time(claims: Claims, session: Session | None, now: int) -> int:
    proved = [proof.at for proof in session.proofs if proof.factor == SSO] if session else []
    if claims.auth_time is not None:
        return max([min(claims.auth_time, now), 0, *proved])
    return now if session is None else max([session.started_at, *proved])
