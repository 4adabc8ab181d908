"""Which factors an account must prove, by the settings, its tenant's policy, and what it has set up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from gateway.model.account import Role
from gateway.model.factor import SECOND, Enrolled, Factor, Proof, as_owner, first_missing
from gateway.model.network_rule import NetworkRule, rule_of

PASSWORDLESS = "passwordless"
FIRST = "first"
NAMED = SECOND | {Factor.PASSWORD, Factor.MAGIC_LINK}


class Second(StrEnum):
    """What the second step must be, from the weakest to the strictest.

    `OPTIONAL`: whatever is set up must be proved, and nothing has to be. `REQUIRED`: one must be set up.
    `PHISHING_RESISTANT`: it must be a passkey.
    """

    OPTIONAL = "optional"
    REQUIRED = "required"
    PHISHING_RESISTANT = "phishing_resistant"

    def is_met_by(self, enrolled: Enrolled) -> bool:
        """Whether an account with these factors has set up what it needs."""
        match self:
            case Second.OPTIONAL:
                return True
            case Second.REQUIRED:
                return enrolled.has_second
            case Second.PHISHING_RESISTANT:
                return Factor.PASSKEY in enrolled


LEVELS = tuple(Second)


def strictest(*levels: Second) -> Second:
    return max(levels, key=LEVELS.index)


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """What a tenant's administrator demands beyond the settings.

    `first`: what every sign-in has to begin with, except those of break-glass accounts.

    As text, in the tenant's row: levels like `admin=required`, `passwordless=no`, and `first=` with another factor than
    the password, separated by spaces.
    """

    second: Mapping[Role, Second] = field(default_factory=dict)
    allows_passwordless: bool = True
    first: Factor = Factor.PASSWORD

    def second_of(self, role: Role) -> Second:
        return self.second.get(role, Second.OPTIONAL)

    @property
    def text(self) -> str:
        levels = [f"{role}={self.second_of(role)}" for role in Role if self.second_of(role) is not Second.OPTIONAL]
        more = [] if self.allows_passwordless else [f"{PASSWORDLESS}=no"]
        return " ".join([*levels, *more, *([] if self.first == Factor.PASSWORD else [f"{FIRST}={self.first}"])])


NO_POLICY = TenantPolicy()


@lru_cache(maxsize=1_000)
def read_tenant_policy(text: str) -> TenantPolicy:
    """Parse the stored column (see TenantPolicy). A level of a newer version is taken for the strictest."""
    given = dict(word.split("=", 1) for word in text.split() if "=" in word)
    second = {role: read_level(given[role]) for role in Role if role in given}
    first = Factor(given.get(FIRST, Factor.PASSWORD))
    return TenantPolicy(second, given.get(PASSWORDLESS) != "no", first) if given else NO_POLICY


def read_level(word: str) -> Second:
    return Second(word) if word in LEVELS else Second.PHISHING_RESISTANT


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account has to prove, in order, and the proofs as far as they count for it.

    `first` is what it signs in with first, `second` what its second step must be.
    """

    is_owner: bool
    first: Factor
    second: Second
    proofs: tuple[Proof, ...]
    required: tuple[Factor, ...]

    @property
    def missing(self) -> Factor | None:
        return first_missing(self.required, self.proofs)


@dataclass(frozen=True, slots=True)
class FactorPolicy:
    """The part of the settings. `owners` are normalised identifiers. Owners need a second step in any case.

    `owner_networks` is the list of networks from which they may come, "" for all (model.network_rule).
    """

    owners: frozenset[str] = frozenset()
    second: Mapping[Role, Second] = field(default_factory=dict)
    second_of_owners: Second = Second.REQUIRED
    passwordless: frozenset[Role] = frozenset()
    owner_networks: str = ""

    def networks_of(self, identifier: str, role: Role, of_tenant: str, of_account: str) -> NetworkRule | None:
        """Return the network rule of an account, from the lists of its tenant and its own, as stored."""
        is_owner = identifier in self.owners
        return rule_of(of_tenant, of_account, role, is_owner=is_owner, of_owners=self.owner_networks)

    def second_of(self, identifier: str, role: Role, tenant: TenantPolicy, enrolled: Enrolled) -> Second:
        """Return what the second step of an account must be: the strictest that anyone with a say demands."""
        chosen = Second.PHISHING_RESISTANT if enrolled.only_passkeys else Second.OPTIONAL
        settings = self.second.get(role, Second.OPTIONAL)
        owner = self.second_of_owners if identifier in self.owners else Second.OPTIONAL
        exempt = Second.REQUIRED if enrolled.is_exempt else Second.OPTIONAL
        return strictest(settings, owner, exempt, tenant.second_of(role), chosen)

    def first_of(self, identifier: str, role: Role, tenant: TenantPolicy, enrolled: Enrolled) -> Factor:
        """Return what an account signs in with first. Only an administrator is exempt, however the role was lost."""
        is_exempt = enrolled.is_exempt and role is Role.ADMIN
        return Factor.PASSWORD if identifier in self.owners or is_exempt else tenant.first

    def stand(
        self, identifier: str, role: Role, tenant: TenantPolicy, enrolled: Enrolled, proofs: tuple[Proof, ...] = ()
    ) -> Standing:
        """Return what an account has to prove, and what of it these proofs lack."""
        is_owner = identifier in self.owners
        counted = as_owner(proofs) if is_owner else proofs
        first = self.first_of(identifier, role, tenant, enrolled)
        second = self.second_of(identifier, role, tenant, enrolled)
        required = required_factors(second, first=first, is_owner=is_owner, enrolled=enrolled, proofs=counted)
        return Standing(is_owner, first, second, counted, required)

    def admits_passwordless(self, identifier: str, role: Role, tenant: TenantPolicy) -> bool:
        """Whether a passkey may stand for the password."""
        return identifier not in self.owners and role in self.passwordless and tenant.allows_passwordless


def required_factors(
    second: Second,
    *,
    is_owner: bool,
    enrolled: Enrolled,
    proofs: Iterable[Proof] = (),
    first: Factor = Factor.PASSWORD,
) -> tuple[Factor, ...]:
    """Return the factors required to sign in, in the order in which they are asked for.

    TOTP means any second step. Every factor that an account has set up is required, including those that this policy
    does not name, but one second step is enough (see factor.ask_for).

    Owners enrol their second step last, after password and mailed link. Otherwise an attacker who knows only the
    password could enrol their own phone, and lock the owner out. For the same reason, whoever must have a passkey and
    uses a backup code instead also opens a mailed link, and then adds a passkey (see `is_recovering`).
    """
    link = (Factor.MAGIC_LINK,) if is_owner else ()
    steps: tuple[Factor, ...] = ()
    if second is Second.PHISHING_RESISTANT and is_recovering(proofs):
        steps = (Factor.TOTP, Factor.MAGIC_LINK, Factor.PASSKEY)
    elif second is Second.PHISHING_RESISTANT and Factor.PASSKEY in enrolled:
        steps = (Factor.PASSKEY, *link)
    elif second is Second.PHISHING_RESISTANT:
        steps = (*((Factor.TOTP,) if enrolled.has_second else ()), *link, Factor.PASSKEY)
    elif enrolled.has_second:
        steps = (Factor.TOTP, *link)
    elif second is Second.REQUIRED or is_owner or not enrolled.demanded.isdisjoint(SECOND):
        steps = (*link, Factor.TOTP)
    return (first, *steps, *sorted(enrolled.all - NAMED))


def accepts_only_passkeys(second: Second, enrolled: Enrolled) -> bool:
    """Whether a passkey is the only second step that counts, and there is one."""
    return second is Second.PHISHING_RESISTANT and Factor.PASSKEY in enrolled


def stands_for(wanted: Factor, first: Factor, second: Second, enrolled: Enrolled) -> Factor:
    """Return what proves `wanted` again: the password means what the account signs in with first, and TOTP the second
    step, which may have to be a passkey.
    """
    if wanted == Factor.PASSWORD:
        return first
    return Factor.PASSKEY if wanted == Factor.TOTP and accepts_only_passkeys(second, enrolled) else wanted


def is_recovering(proofs: Iterable[Proof]) -> bool:
    """Whether a backup code has been used, and no passkey."""
    given = {proof.factor for proof in proofs}
    return Factor.BACKUP_CODE in given and Factor.PASSKEY not in given
