"""The entries of the access file: paths that are open, and rules. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.account import Role
from gateway.model.factor import Factor, ask_for, first_missing
from gateway.model.factor_policy import stands_for
from gateway.model.session import Session


@dataclass(frozen=True, slots=True)
class OpenPath:
    """An entry of `public` or `machine`: `path`, and with `is_prefix` everything below it (whole segments).

    Without methods it allows every method except OPTIONS, which must be listed.
    """

    path: str
    is_prefix: bool
    methods: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"the entry {self.path or '/'}"

    def admits(self, method: str) -> bool:
        if not self.methods:
            return method != "OPTIONS"
        return method in self.methods or (method == "HEAD" and "GET" in self.methods)


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions for `path` and everything below it (whole segments). All that are given must hold.

    `require`: a factor that must have been proved. `fresh`: that factor, or else the password, must have been proved
    within the last `fresh` seconds. `cross_site_post`: a form sent by another site is saved until its recipient has
    signed in and seen it.
    """

    path: str
    roles: frozenset[Role] = frozenset()
    tenants: frozenset[str] = frozenset()
    owner: bool = False
    require: Factor | None = None
    fresh: int | None = None
    cross_site_post: bool = False

    def __str__(self) -> str:
        return f"the rule {self.path or '/'}"

    def refusal(self, session: Session) -> str | None:
        """Return why the session is refused, or None."""
        if self.owner and not session.is_owner:
            return f"{self} admits the platform owner only"
        if self.roles and session.role not in self.roles:
            return f"{self} admits {', '.join(sorted(self.roles))}, and this is {session.role}"
        if self.tenants and session.tenant not in self.tenants:
            return f"{self} admits other tenants than {session.tenant}"
        return None

    def missing(self, session: Session, now: int) -> Factor | None:
        """Return the factor that the session must prove first, or None."""
        if self.require is None and self.fresh is None:
            return None
        since = 0 if self.fresh is None else now - self.fresh
        wanted = stands_for(self.require or Factor.PASSWORD, session.first, session.second, session.enrolled)
        return ask_for(first_missing((wanted,), session.proofs, since=since), session.enrolled)
