"""Results of the steps of an email change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts.email_changes import Change
from gateway.accounts.links import LinkState, MailedLink
from gateway.model.account import Account
from gateway.model.secret import Secret


class Proof(Enum):
    """What proves that the account agrees to its new email."""

    SESSION = "session"  # this browser is signed in to the account
    PASSWORD = "password"  # noqa: S105 - a word; the form asks for the password
    SIGN_IN = "sign_in"  # the account has a second factor: the person must sign in first


@dataclass(frozen=True, slots=True)
class Open:
    """A valid link, with its account and company, and the proof that confirming needs."""

    link: MailedLink
    change: Change
    account: Account
    company: str
    proof: Proof = Proof.SESSION


@dataclass(frozen=True, slots=True)
class Done:
    """The email is changed. `is_signed_in`: this browser's session stays open."""

    is_signed_in: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Confirmed; takes effect at `until` (UTC seconds), unless the old address stops it."""

    until: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """The old address has agreed; the new one has not confirmed yet."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The account was not proved. `until`: the end of a lockout (UTC seconds)."""

    opened: Open
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The password hashing queue is full; nothing was done."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The link is invalid: expired, used or superseded; None if unknown, or if its change has ended."""

    state: LinkState | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """The former email is restored. `token` opens the page for a new password."""

    token: Secret[str]
