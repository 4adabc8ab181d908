"""Sessions: one signed-in device of one account, with its proofs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.model.account import Module, Role
from gateway.model.api_token import Grant
from gateway.model.factor import NOTHING_ENROLLED, Enrolled, Factor, Proof, amr_of
from gateway.model.factor_policy import Second
from gateway.model.network_rule import NetworkRule
from gateway.model.page_view import Views


class Preferences(NamedTuple):
    """How the person reads: a language, a time zone, and the language of the tenant. "" if none was chosen."""

    language: str = ""
    zone: str = ""
    tenant_language: str = ""


NO_PREFERENCES = Preferences()


@dataclass(frozen=True, slots=True)
class Session:
    """A live session, with the current state of its account.

    `id` is public (headers, lists, logs) and unrelated to the cookie. Times are UTC seconds: `started_at` of the
    sign-in, `seen_at` of the last request that was written to the store (up to a minute old).
    """

    id: str
    account: str
    identifier: str
    name: str
    tenant: str
    role: Role
    modules: frozenset[Module]
    is_owner: bool
    proofs: tuple[Proof, ...]
    started_at: int
    seen_at: int
    enrolled: Enrolled = NOTHING_ENROLLED
    first: Factor = Factor.PASSWORD
    """What the account signs in with first."""
    second: Second = Second.OPTIONAL
    """What the account's second step must be."""
    may_skip_password: bool = False
    """Whether a passkey may stand for the password."""
    missing: Factor | None = None
    """A factor that the account now requires and this session lacks. Until it is proved, the session is anonymous."""
    grant: Grant | None = None
    """What the API token may do that was sent in the place of a cookie. `id` is the token's then."""
    networks: NetworkRule | None = None
    """From which addresses the account may be used, if there is a rule."""
    views: Views | None = field(default=None, compare=False)
    """Where its page views are collected, if the tenant's are recorded."""
    preferences: Preferences = NO_PREFERENCES
    alive_until: int = 0
    """UTC seconds; the session does not expire before, even if it is not used again."""

    @property
    def factors(self) -> frozenset[Factor]:
        return frozenset(proof.factor for proof in self.proofs)

    @property
    def amr(self) -> list[str]:
        """The names of its factors, then the standard names of what was proved (see factor.amr_of)."""
        return [*sorted(self.factors), *amr_of(self.proofs)]

    @property
    def groups(self) -> list[str]:
        """The role, then the modules, then `owner` for the platform's owner."""
        groups = [self.role.value, *sorted(module.value for module in self.modules)]
        return [*groups, "owner"] if self.is_owner else groups


@dataclass(frozen=True, slots=True)
class Lifetime:
    """`idle`: seconds since the last request; `absolute`: seconds since the sign-in."""

    idle: int
    absolute: int


@dataclass(frozen=True, slots=True)
class Lifetimes:
    members: Lifetime
    owners: Lifetime

    def of(self, *, is_owner: bool) -> Lifetime:
        return self.owners if is_owner else self.members


def end_of(started_at: int, seen_at: int, lifetime: Lifetime) -> int:
    """Return when the session expires unless it is used again, in UTC seconds."""
    return min(started_at + lifetime.absolute, seen_at + lifetime.idle)


def has_outlived(started_at: int, seen_at: int, lifetime: Lifetime, now: int) -> bool:
    """Whether the session has expired. `seen_at` must be the latest use known; the store's may be a minute old."""
    return now >= end_of(started_at, seen_at, lifetime)


def has_idled_lately(started_at: int, seen_at: int, lifetime: Lifetime, now: int, within: int) -> bool:
    """Whether the session idled out less than `within` seconds ago."""
    return started_at + lifetime.absolute > now and seen_at + lifetime.idle > now - within
