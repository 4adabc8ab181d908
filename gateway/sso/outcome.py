"""What becomes of a sign-in with a provider."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.login.outcome import GoOn, LockedOut, OtherNetwork, SignedIn
from gateway.sso.oidc.record import Claims, Kind, Refused
from gateway.sso.roles.mapping import Foreseen


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """What the person is told.

    `why`: "late" (or another browser, or used), "cancelled", "denied" (by the provider), "provider", "account",
    "guest", "email", "mails", "other", or "stale" (the provider did not show that the person has just signed in there).
    """

    why: str


@dataclass(frozen=True, slots=True)
class Mailed:
    """A link was mailed to confirm that the account, or the address, belongs to whoever signed in."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of an administrator's trial: what the provider said, and what a sign-in would do.

    `can_confirm`: it shows when the person signed in there, so that it can give a fresh proof. `roles` is None if the
    person could not sign in.
    """

    kind: Kind
    claims: Claims
    would: str  # "sign-in", "link", "create", or why not, as in NotSignedIn
    has_two_factors: bool
    can_confirm: bool
    roles: Foreseen | None
    is_enabled: bool

    @property
    def would_enter(self) -> bool:
        return self.would in ("sign-in", "link", "create")


@dataclass(frozen=True, slots=True)
class TriedInVain:
    """Why an administrator's trial failed."""

    kind: Kind
    refused: Refused


Outcome = SignedIn | GoOn | OtherNetwork | LockedOut | NotSignedIn | Mailed | Tried | TriedInVain
