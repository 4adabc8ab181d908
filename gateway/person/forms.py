"""The form that changes a person: read from what was sent, checked, and shown again with what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.accounts.edit import Edit, fingerprint
from gateway.model.account import (
    Account,
    Module,
    Role,
    Unacceptable,
    check_name,
    is_respelled,
    normalise_identifier,
)
from gateway.model.sentence import Sentence

CHECKBOX = "module-"
FIELDS = ("name", "role", "email", "seen", *(f"{CHECKBOX}{module.value}" for module in Module))


class Respelled(Unacceptable):
    """Normalising changes the email that was typed, so the result must be confirmed."""

    def __init__(self, identifier: str) -> None:
        super().__init__(Sentence("{email} is how this address will be used.", email=identifier))
        self.identifier = identifier


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields as they are shown: those of the account, or what was typed and isn't saved yet."""

    name: str
    role: str
    modules: frozenset[str]
    email: str
    seen: str


def show(account: Account, given: Mapping[str, str], *, keeps_seen: bool = False) -> Typed:
    """Return the fields to show. `given` is what was typed; fields that it lacks are the account's.

    What comes back from a form is shown beside what is saved now, so it has seen that, unless `keeps_seen`.
    """
    return Typed(
        name=given.get("name", account.name),
        role=given.get("role", account.role.value),
        modules=read_modules(given) if "role" in given else frozenset(account.modules),
        email=given.get("email", account.identifier),
        seen=given.get("seen", "") if keeps_seen and given else fingerprint(account),
    )


def read(given: Mapping[str, str]) -> Edit:
    """Check a form. Raises Unacceptable, or Respelled if the email differs from what was typed."""
    name, role, email = (given.get(field) for field in ("name", "role", "email"))
    return Edit(
        name=None if name is None else check_name(name),
        rights=None if role is None else (read_role(role), read_modules(given)),
        identifier=check_spelling(email) if email else None,
        seen=given.get("seen", ""),
    )


def check_spelling(email: str) -> str:
    """Normalise an email. Raises Unacceptable, or Respelled if the result differs from what was typed."""
    identifier = normalise_identifier(email)
    if is_respelled(email, identifier):
        raise Respelled(identifier)
    return identifier


def read_role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Unacceptable(Sentence("Choose a role.")) from None


def read_modules(given: Mapping[str, str]) -> frozenset[Module]:
    return frozenset(module for module in Module if given.get(f"{CHECKBOX}{module.value}"))
