"""What can come of each step of changing an email."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts.email_changes import Change
from gateway.accounts.links import LinkState, MailedLink
from gateway.model.account import Account
from gateway.model.secret import Secret


class Proof(Enum):
    """What shows that it is the account that agrees."""

    SESSION = "session"  # this browser is signed in to it
    PASSWORD = "password"  # noqa: S105 - a word; it is asked for
    SIGN_IN = "sign_in"  # more than the password signs in: that has to be done first


@dataclass(frozen=True, slots=True)
class Open:
    """A link that is good: whose account it is about, of which company, and what it takes to confirm."""

    link: MailedLink
    change: Change
    account: Account
    company: str
    proof: Proof = Proof.SESSION


@dataclass(frozen=True, slots=True)
class Done:
    """The email is changed. `is_signed_in`: this browser's session goes on."""

    is_signed_in: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """It is confirmed, and happens at `until` (UTC seconds), unless the old address stops it."""

    until: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """The old address agreed; the new one has not confirmed yet."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not the account that agreed. `until`: nothing is compared before, UTC seconds."""

    opened: Open
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Overloaded:
    """Too many passwords are being compared; nothing was done."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The link is not good, or not any more; None if there never was one, or nothing can come of it."""

    state: LinkState | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """The former email stands on the account again. `token` opens the page where a new password is chosen."""

    token: Secret[str]
