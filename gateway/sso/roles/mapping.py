"""A tenant's mapping from the app roles and groups that its provider asserts to a role and modules here. Pure.

The highest role of the matching rules wins; if none matches, it is the default. Modules add up. A mapping changes only
what it speaks of: without a rule that gives a role, an existing account keeps its own, and so it does with each module
that no rule gives.

Entra ID leaves the groups out if a person is in too many (overage). Then nobody knows which rules on groups match, so
what they could give is not taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.model.account import Module, Role
from gateway.sso.oidc.record import Claims

MAX_RULES = 50
MAX_VALUE = 256  # characters, as in a token (see oidc.claims)
MAX_CLAIM = 100  # characters
ROLES = "roles"
HEIGHT = {role: height for height, role in enumerate(Role)}


class Source(StrEnum):
    """What of the provider's a rule is about."""

    ROLE = "role"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Rule:
    """`value` is compared exactly as the provider sends it."""

    source: Source
    value: str
    gives: Role | Module


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a provider asserts of a person. `has_more_groups`: there are others, which it does not name."""

    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    has_more_groups: bool = False

    def values(self, source: Source) -> frozenset[str]:
        return self.roles if source is Source.ROLE else self.groups

    @property
    def text(self) -> str:
        given = {"roles": sorted(self.roles), "groups": sorted(self.groups), "more": self.has_more_groups}
        return json.dumps(given, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Rights:
    """A role and modules, and the rules that give them."""

    role: Role
    modules: frozenset[Module]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a sign-in would give somebody. `follows` is False for an account that keeps what it has."""

    rights: Rights
    follows: bool


@dataclass(frozen=True, slots=True)
class RoleMap:
    """`claim` is the name of the claim with the app roles, `default` the role of people whom no rule gives one.

    `names_follow` and `roles_follow`: existing accounts get the provider's name, and what the rules give, at each
    sign-in.
    """

    rules: tuple[Rule, ...] = ()
    claim: str = ROLES
    default: Role = Role.EMPLOYEE
    names_follow: bool = False
    roles_follow: bool = False

    def grant(self, asserted: Asserted) -> Rights:
        """Return what a new account gets."""
        matching = tuple(rule for rule in self.rules if rule.value in asserted.values(rule.source))
        roles = [rule.gives for rule in matching if isinstance(rule.gives, Role)]
        modules = frozenset(rule.gives for rule in matching if isinstance(rule.gives, Module))
        return Rights(highest(roles) if roles else self.default, modules, matching)

    def follow(self, asserted: Asserted, role: Role, modules: frozenset[Module]) -> Rights:
        """Return what an existing account has after a sign-in, if roles follow."""
        given = self.grant(asserted)
        after = given.role if self.gives_roles else role
        spoken_of = frozenset(rule.gives for rule in self.rules if isinstance(rule.gives, Module))
        if asserted.has_more_groups:
            return Rights(highest((after, role)), modules | given.modules, given.rules)
        return Rights(after, (modules - spoken_of) | given.modules, given.rules)

    @property
    def gives_roles(self) -> bool:
        return any(isinstance(rule.gives, Role) for rule in self.rules)

    def relevant(self, asserted: Asserted) -> Asserted:
        """Return the part that the rules are about."""
        named = {source: frozenset(rule.value for rule in self.rules if rule.source is source) for source in Source}
        return Asserted(
            asserted.roles & named[Source.ROLE], asserted.groups & named[Source.GROUP], asserted.has_more_groups
        )

    def read(self, claims: Claims, more_groups: Iterable[str] = ()) -> Asserted:
        """Return what the claims assert. `more_groups` are known from elsewhere, as from provisioning."""
        roles = claims.lists.get(self.claim, ())
        return Asserted(frozenset(roles), frozenset((*claims.groups, *more_groups)), claims.has_more_groups)


NO_MAP = RoleMap()


def highest(roles: Iterable[Role]) -> Role:
    return max(roles, key=HEIGHT.__getitem__)


def read_asserted(text: str) -> Asserted:
    """Parse Asserted.text."""
    given: Mapping[str, list[str]] = json.loads(text)
    return Asserted(frozenset(given["roles"]), frozenset(given["groups"]), bool(given["more"]))


def write_rules(rules: Iterable[Rule]) -> str:
    return json.dumps([[rule.source.value, rule.value, rule.gives.value] for rule in rules], separators=(",", ":"))


def read_rules(text: str) -> tuple[Rule, ...]:
    """Parse write_rules. A role or module of a newer version gives nothing."""
    found = (
        Rule(Source(source), value, given)
        for source, value, gives in json.loads(text)
        if (given := read_gift(gives)) is not None and source in tuple(Source)
    )
    return tuple(found)


def read_gift(text: str) -> Role | Module | None:
    kinds: tuple[type[Role] | type[Module], ...] = (Role, Module)
    return next((kind(text) for kind in kinds if text in tuple(kind)), None)
