"""What an administrator changes of a person in one form: name, role with modules, and email. All is saved, or nothing.

The form carries a fingerprint of what it showed. If another administrator has saved something since, nothing is
overwritten: the form comes back with what was typed beside what is saved now.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from gateway.model.account import Account, Module, Role


class Part(StrEnum):
    """A part of the form that was changed; each has its own audit row."""

    NAME = "name"
    RIGHTS = "rights"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Edit:
    """A validated form. None means that the form has no such field, so it stays as it is.

    `rights` are role and modules. `seen` is the fingerprint of what the form showed, "" if it had none.
    """

    name: str | None = None
    rights: tuple[Role, frozenset[Module]] | None = None
    identifier: str | None = None
    seen: str = ""

    def parts(self, account: Account) -> tuple[Part, ...]:
        """Return what differs from the account."""
        changes = {
            Part.NAME: self.name not in (None, account.name),
            Part.RIGHTS: self.rights not in (None, (account.role, account.modules)),
            Part.EMAIL: self.identifier not in (None, account.identifier),
        }
        return tuple(part for part, is_changed in changes.items() if is_changed)

    def is_outdated(self, account: Account) -> bool:
        """Whether the account has changed since the form was shown."""
        return self.seen not in ("", fingerprint(account))


@dataclass(frozen=True, slots=True)
class Saved:
    """Done; `parts` were changed, none if the form was what is saved already."""

    parts: tuple[Part, ...]


def fingerprint(account: Account) -> str:
    """Return 32 hex digits that change with everything that the form shows."""
    shown = (account.name, account.role.value, ",".join(sorted(account.modules)), account.identifier)
    return sha256("\n".join(shown).encode()).hexdigest()[:32]
