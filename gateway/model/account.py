"""Accounts: identity, tenant, role, status and enrolled factors."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import idna

from gateway.model.factor import NOTHING_ENROLLED, Enrolled
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence

MAX_IDENTIFIER = 254  # characters; RFC 5321 §4.5.3.1.3
MAX_LABEL = 63  # octets of one label of a domain; RFC 1035 §2.3.4
MAX_NAME = 200  # characters
MAX_READ = 2_000  # characters; normalising a long run of accents takes quadratic time
DEFAULT_TENANT = "default"
DOTS = ".\u3002\uff0e\uff61"  # separators of labels; UTS 46 §2.3
BETWEEN_LABELS = re.compile(f"[{DOTS}]")
FULLWIDTH_AT = "\uff20"
SERVICE_DOMAIN = "service.invalid"  # never a real one, and without mail; RFC 6761 §6.4


class Role(StrEnum):
    EMPLOYEE = "employee"
    MANAGER = "manager"
    ADMIN = "admin"


class Module(StrEnum):
    """A part of OtiumWork that a person may use in addition to what the role allows."""

    FINANCE = "finance"
    HR = "hr"
    LEGAL = "legal"


class Status(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class State(StrEnum):
    """Status and password of an account, combined for lists."""

    ACTIVE = "active"
    INVITED = "invited"  # no password yet
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Account:
    """`id` is stable and opaque, `identifier` the normalised email, `tenant` the customer company's slug.

    `password_hash` is in Werkzeug's format or an argon2id PHC string; None if no password is set. Times are UTC
    seconds. `is_service`: it is no person's, never signs in, and acts by its API tokens only.
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
    enrolled: Enrolled = NOTHING_ENROLLED
    is_service: bool = False


class Unacceptable(ValueError):
    """Invalid input from a person or a file. The sentence says why, and what is valid."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def normalise_identifier(text: str) -> str:
    """Return the canonical spelling of an email, under which it is stored, compared and rate-limited.

    Surrounding white space and final dots are removed. The local part is in NFKC and lower case; ß and ς stay, because
    `weiß@` and `weiss@` can be two people. The domain is in its ASCII form (IDNA 2008 with the non-transitional mapping
    of UTS 46). So `A@x.de`, ` a@x.de ` and `a@x.de.` are one account, and the function is idempotent.

    Lengths are checked first, since mapping and encoding a long domain takes milliseconds.

    Raises Unacceptable unless the text is one plain `local@domain`.
    """
    typed = text.strip() if len(text) <= MAX_READ else text
    if not 0 < len(typed) <= MAX_IDENTIFIER:
        raise Unacceptable(Sentence("Enter an email address with 3 to 254 characters."))
    local, at, domain = typed.replace(FULLWIDTH_AT, "@").partition("@")
    if not at or not local or not domain or "@" in domain:
        raise Unacceptable(Sentence("Enter a valid email address, like name@example.com."))
    identifier = f"{normalise_local(local)}@{normalise_domain(domain)}"
    if len(identifier) > MAX_IDENTIFIER:
        raise Unacceptable(Sentence("Enter an email address with 3 to 254 characters."))
    return identifier


def normalise_local(text: str) -> str:
    """Return the part before the @ (see `normalise_identifier`). Raises Unacceptable."""
    local = settle(text)
    # A few letters change again when normalised twice, and would then be another account.
    if not local.isprintable() or any(c in local for c in ' "(),:;<>@[\\]') or local != settle(local):
        raise Unacceptable(Sentence("The part before the @ contains a character that isn’t allowed."))
    if ".." in f".{local}.":
        raise Unacceptable(
            Sentence("The part before the @ neither begins nor ends with a dot, and has no two in a row.")
        )
    return local


def settle(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def normalise_domain(text: str) -> str:
    """Return a domain in its ASCII form, without final dots. Raises Unacceptable."""
    domain = text.strip().rstrip(DOTS)
    # The ASCII form is never shorter, except for ignored characters, which people don't type.
    if len(domain) > MAX_IDENTIFIER or any(len(label) > MAX_LABEL for label in BETWEEN_LABELS.split(domain)):
        raise Unacceptable(Sentence("The part after the @ is too long for a domain name."))
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").rstrip(".")
    except idna.IDNAError as error:
        raise Unacceptable(Sentence("The part after the @ isn’t a valid domain.")) from error


def is_respelled(typed: str, identifier: str) -> bool:
    """Whether the identifier differs from the typed email in more than case, which people may not expect."""
    return typed.strip().lower() != identifier


def is_at_service_domain(identifier: str) -> bool:
    """Whether only a service account can have this identifier. It looks like an email address, but isn't one."""
    return f".{identifier.rpartition('@')[2]}".endswith(f".{SERVICE_DOMAIN}")


def check_name(text: str) -> str:
    """Return a display name (see check_line)."""
    return check_line(
        text,
        Sentence("Enter a name (up to 200 characters)."),
        Sentence("A name can’t contain line breaks or invisible characters."),
    )


def check_line(text: str, wrong_length: Sentence, invisible: Sentence) -> str:
    """Return a line of 1 to MAX_NAME characters, trimmed and in NFC.

    Raises Unacceptable with `wrong_length`, or with `invisible` if it has control characters.
    """
    if len(text) > MAX_READ:
        raise Unacceptable(wrong_length)
    line = unicodedata.normalize("NFC", text).strip()
    if not line or len(line) > MAX_NAME:
        raise Unacceptable(wrong_length)
    if any(unicodedata.category(c).startswith("C") for c in line):
        raise Unacceptable(invisible)
    return line


def check_tenant(text: str) -> str:
    """Return a tenant's slug. Raises Unacceptable unless it is 1 to 63 of a-z, 0-9 and, inside, hyphens."""
    slug = text.strip()
    if not (0 < len(slug) <= 63 and slug.isascii() and slug.replace("-", "a").isalnum() and slug == slug.lower()):
        raise Unacceptable(Sentence("Use 1 to 63 lowercase letters, numbers and hyphens, e.g. acme-hr."))
    if slug.startswith("-") or slug.endswith("-"):
        raise Unacceptable(Sentence("A short name can’t start or end with a hyphen."))
    return slug


@lru_cache(maxsize=256)  # so that sessions in memory share them
def read_modules(text: str) -> frozenset[Module]:
    """Parse the stored column: comma-separated names."""
    return frozenset(Module(name) for name in text.split(",") if name)
