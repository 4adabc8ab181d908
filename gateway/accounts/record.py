"""What an account is: the person, the tenant they belong to, what they may do, and how they prove it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

import idna

from gateway.secret import Secret

MAX_IDENTIFIER = 254  # characters; RFC 5321 §4.5.3.1.3 leaves this many for an address
MAX_NAME = 200  # characters
MAX_READ = 2_000  # characters: to put long runs of accents into order takes Unicode's rules the square of their length
DEFAULT_TENANT = "default"


class Role(StrEnum):
    EMPLOYEE = "employee"
    MANAGER = "manager"
    ADMIN = "admin"


class Module(StrEnum):
    """A part of OtiumWork that a person may use beyond what the role gives."""

    FINANCE = "finance"
    HR = "hr"
    LEGAL = "legal"


class Status(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class State(StrEnum):
    """What an account's status and password come to, for who looks at a list."""

    ACTIVE = "active"
    INVITED = "invited"  # no password yet
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Account:
    """`id` is stable and opaque, `identifier` the normalised email, `tenant` the customer company's slug.

    `password_hash` is in Werkzeug's form or an argon2id PHC string, or None where no password was set yet.
    """

    id: str
    identifier: str
    name: str
    tenant: str
    role: Role
    modules: frozenset[Module]
    status: Status
    password_hash: Secret[str] | None
    created_at: int


class Unacceptable(ValueError):
    """A value that a person or a file gave and that can't be taken; the message says why and what would do."""


def normalise_identifier(text: str) -> str:
    """Return the one spelling under which an email is stored, compared and limited.

    NFKC, surrounding white space and a final dot removed, lower case, domain in its ASCII form (IDNA 2008),
    so that `A@x.de`, ` a@x.de ` and `a@x.de.` are the same account.

    Raises Unacceptable for everything that is not one plain `local@domain`.
    """
    if len(text) > MAX_READ:
        raise Unacceptable("An email address has 3 to 254 characters.")
    identifier = unicodedata.normalize("NFKC", text).strip().rstrip(".").casefold()
    if not identifier or len(identifier) > MAX_IDENTIFIER:
        raise Unacceptable("An email address has 3 to 254 characters.")
    local, at, domain = identifier.partition("@")
    if not at or not local or not domain or "@" in domain:
        raise Unacceptable("An email address has exactly one @, with a name before and a domain after it.")
    if not local.isprintable() or any(c in local for c in ' "(),:;<>[\\]') or ".." in f".{local}.":
        raise Unacceptable("The part before the @ has a character that is not accepted.")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise Unacceptable("The part after the @ is not a domain name.") from error


def check_name(text: str) -> str:
    """Return a display name, trimmed and in NFC. Raises Unacceptable for control characters and for length."""
    if len(text) > MAX_READ:
        raise Unacceptable("A name has 1 to 200 characters.")
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > MAX_NAME:
        raise Unacceptable("A name has 1 to 200 characters.")
    if any(unicodedata.category(c).startswith("C") for c in name):
        raise Unacceptable("A name can't hold line breaks, control or invisible formatting characters.")
    return name


def check_tenant(text: str) -> str:
    """Return a tenant's slug. Raises Unacceptable unless it is 1 to 63 of a-z, 0-9, and - inside."""
    slug = text.strip()
    if not (0 < len(slug) <= 63 and slug.isascii() and slug.replace("-", "a").isalnum() and slug == slug.lower()):
        raise Unacceptable("A tenant is written with 1 to 63 of a-z, 0-9 and -, like 'acme-hr'.")
    if slug.startswith("-") or slug.endswith("-"):
        raise Unacceptable("A tenant neither begins nor ends with -.")
    return slug
