"""Can this person get in? The answer, and every reason against it. Pure.

The same conditions decide sign-ins and requests elsewhere; here they are only told apart. A reason that stops every
sign-in makes the answer no, one that stops some makes it a yes with limits, and a note changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.account import Account, Status
from gateway.model.factor import Factor
from gateway.model.factor_policy import NO_POLICY, FactorPolicy, Second, TenantPolicy
from gateway.model.network_rule import NetworkRule


class Kind(StrEnum):
    """A reason, those that matter most first."""

    DISABLED = "disabled"
    SUSPENDED = "suspended"  # the tenant
    INVITED = "invited"  # with a link that still works, until `at`
    EXPIRED = "expired"  # the invitation that was sent at `at`
    NOT_INVITED = "not_invited"  # the link has expired long ago, or none was sent
    MAIL_REFUSED = "mail_refused"  # the newest email was given up at `at`
    MAIL_WAITS = "mail_waits"  # the newest email waits since `at`
    CODES_BLOCKED = "codes_blocked"  # after too many wrong codes in a row
    LOCKED = "locked"  # passwords from `address`, until `at`
    CODES_LOCKED = "codes_locked"  # codes from `address`, or from anywhere if it is "", until `at`
    ADDRESS_BLOCKED = "address_blocked"  # a network of the person is blocked by the platform owner, until `at`
    NETWORK_REFUSED = "network_refused"  # `address` was refused by the allowed networks, at `at`
    SSO_UNUSED = "sso_unused"  # single sign-on is required, and the person isn't connected to the provider yet
    SSO_REQUIRED = "sso_required"
    NETWORKS = "networks"  # only some are allowed
    SECOND_DEMANDED = "second_demanded"  # a second step will have to be set up


class Answer(StrEnum):
    YES = "yes"
    LIMITED = "limited"
    NO = "no"


STOPS_ALL = (Kind.DISABLED, Kind.SUSPENDED, Kind.INVITED, Kind.EXPIRED, Kind.NOT_INVITED)
LOCKS = (Kind.LOCKED, Kind.CODES_LOCKED, Kind.CODES_BLOCKED)
NOTES = (Kind.SSO_REQUIRED, Kind.NETWORKS, Kind.SECOND_DEMANDED)


@dataclass(frozen=True, slots=True)
class Reason:
    """`at` is UTC seconds, and `detail` a text for the platform owner only, or the name of a mail or factor."""

    kind: Kind
    at: int | None = None
    address: str = ""
    detail: str = ""
    by_known: bool = False
    """Whether a lockout is that of devices which signed in before; else it is that of all others."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lockout of the account. `address` is "" for one that counts wrong codes from anywhere."""

    is_of_codes: bool
    address: str
    until: int
    is_of_known: bool = False


@dataclass(frozen=True, slots=True)
class LastMail:
    """The newest email to the account, if it wasn't delivered. `failed_at` is None while it is tried again."""

    template: str
    posted_at: int
    failed_at: int | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored about an account. Times are UTC seconds.

    `disabled_by`: the program that disabled it, if one did. `ways`: the factors that it signs in with first.
    `invited_until`: until when an invitation works, None if there is none. `invited_at`: when the last one was mailed.
    `blocked_codes`: factors that take no more codes. `refused`: the last address that its networks refused, and when.
    `blocks`: its addresses that are blocked, and until when.
    """

    account: Account
    has_way_in: bool
    is_tenant_active: bool = True
    disabled_by: str = ""
    policy: TenantPolicy = NO_POLICY
    ways: frozenset[Factor] = frozenset()
    invited_until: int | None = None
    invited_at: int | None = None
    locks: tuple[Lock, ...] = ()
    blocked_codes: tuple[Factor, ...] = ()
    mail: LastMail | None = None
    networks: NetworkRule | None = None
    refused: tuple[str, int] | None = None
    blocks: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    answer: Answer
    reasons: tuple[Reason, ...]

    @property
    def is_locked(self) -> bool:
        """Whether unlocking the account mends anything."""
        return any(reason.kind in LOCKS for reason in self.reasons)


def judge(facts: Facts, policy: FactorPolicy) -> Standing:
    reasons = (*find_stops(facts), *find_mail(facts), *find_locks(facts), *find_rules(facts, policy))
    kinds = {reason.kind for reason in reasons}
    if not kinds.isdisjoint(STOPS_ALL):
        return Standing(Answer.NO, reasons)
    return Standing(Answer.LIMITED if kinds.difference(NOTES) else Answer.YES, reasons)


def find_stops(facts: Facts) -> list[Reason]:
    """Return what stops every sign-in."""
    found = []
    if facts.account.status is Status.DISABLED:
        found.append(Reason(Kind.DISABLED, detail=facts.disabled_by))
    if not facts.is_tenant_active:
        found.append(Reason(Kind.SUSPENDED))
    if not facts.has_way_in:
        if facts.invited_until is not None:
            found.append(Reason(Kind.INVITED, facts.invited_until))
        else:
            kind = Kind.NOT_INVITED if facts.invited_at is None else Kind.EXPIRED
            found.append(Reason(kind, facts.invited_at))
    return found


def find_mail(facts: Facts) -> list[Reason]:
    mail = facts.mail
    if mail is None:
        return []
    if mail.failed_at is None:
        return [Reason(Kind.MAIL_WAITS, mail.posted_at, detail=mail.trouble)]
    return [Reason(Kind.MAIL_REFUSED, mail.failed_at, detail=mail.trouble)]


def find_locks(facts: Facts) -> list[Reason]:
    found = [Reason(Kind.CODES_BLOCKED, detail=factor) for factor in facts.blocked_codes]
    for lock in facts.locks:
        kind = Kind.CODES_LOCKED if lock.is_of_codes else Kind.LOCKED
        found.append(Reason(kind, lock.until, lock.address, by_known=lock.is_of_known))
    return [*found, *(Reason(Kind.ADDRESS_BLOCKED, until, address) for address, until in facts.blocks)]


def find_rules(facts: Facts, policy: FactorPolicy) -> list[Reason]:
    """Return what the rules of the settings, the tenant and the account ask for."""
    account, found = facts.account, []
    if facts.networks is not None and facts.refused is not None:
        found.append(Reason(Kind.NETWORK_REFUSED, facts.refused[1], facts.refused[0]))
    elif facts.networks is not None:
        found.append(Reason(Kind.NETWORKS))
    first = policy.first_of(account.identifier, account.role, facts.policy, account.enrolled)
    if first != Factor.PASSWORD:
        found.append(Reason(Kind.SSO_REQUIRED if first in facts.ways else Kind.SSO_UNUSED))
    second = policy.second_of(account.identifier, account.role, facts.policy, account.enrolled)
    if facts.has_way_in and not second.is_met_by(account.enrolled):
        found.append(Reason(Kind.SECOND_DEMANDED, detail=Second(second).value))
    return found
