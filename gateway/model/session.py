"""What a session is: one signed-in device of one account, with the proofs it was opened with."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.account import Module, Role
from gateway.model.factor import NOTHING_ENROLLED, Enrolled, Factor, Proof


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was found live, together with what its account is at this moment.

    `id` is public (headers, lists, logs) and tells nothing about the cookie. Times are UTC seconds:
    `started_at` of the sign-in, `seen_at` of the last request written to the store (up to a minute old).
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
    missing: Factor | None = None
    """What the account has to prove by now and this session never did. Until then it is nobody's."""
    alive_until: int = 0
    """It does not expire before, even if it is not used again."""

    @property
    def factors(self) -> frozenset[Factor]:
        return frozenset(proof.factor for proof in self.proofs)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """`idle`: seconds without a request; `absolute`: seconds since the sign-in."""

    idle: int
    absolute: int


@dataclass(frozen=True, slots=True)
class Lifetimes:
    members: Lifetime
    owners: Lifetime

    def of(self, *, is_owner: bool) -> Lifetime:
        return self.owners if is_owner else self.members


def end_of(started_at: int, seen_at: int, lifetime: Lifetime) -> int:
    """Return when a session that began and was last used then is over, unless it is used again. UTC seconds."""
    return min(started_at + lifetime.absolute, seen_at + lifetime.idle)


def has_outlived(started_at: int, seen_at: int, lifetime: Lifetime, now: int) -> bool:
    """Whether it is over by `now`. `seen_at` is the latest use known anywhere; the store's may lag by a minute."""
    return now >= end_of(started_at, seen_at, lifetime)


def has_idled_lately(started_at: int, seen_at: int, lifetime: Lifetime, now: int, within: int) -> bool:
    """Whether a session that is over ended by idling, and not longer ago than `within` seconds."""
    return started_at + lifetime.absolute > now and seen_at + lifetime.idle > now - within
