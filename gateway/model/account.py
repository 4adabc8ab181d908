"""What an account is: the person, the tenant they belong to, what they may do, and how they prove it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

import idna

from gateway.model.factor import NOTHING_ENROLLED, Enrolled
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence

MAX_IDENTIFIER = 254  # characters; RFC 5321 §4.5.3.1.3 leaves this many for an address
MAX_LABEL = 63  # octets of one label of a domain; RFC 1035 §2.3.4
MAX_NAME = 200  # characters
MAX_READ = 2_000  # characters: to put long runs of accents into order takes Unicode's rules the square of their length
DEFAULT_TENANT = "default"
DOTS = ".\u3002\uff0e\uff61"  # what separates labels; UTS 46 §2.3
BETWEEN_LABELS = re.compile(f"[{DOTS}]")
FULLWIDTH_AT = "\uff20"


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
    enrolled: Enrolled = NOTHING_ENROLLED


class Unacceptable(ValueError):
    """A value that a person or a file gave and that can't be taken; the sentence says why and what would do."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def normalise_identifier(text: str) -> str:
    """Return the one spelling under which an email is stored, compared and limited.

    Surrounding white space and final dots are removed. The local part is in NFKC and lower case; ß and ς stay, because
    `weiß@` and `weiss@` can be two people. The domain is in its ASCII form (IDNA 2008 after the mapping of UTS 46, not
    transitional). So `A@x.de`, ` a@x.de ` and `a@x.de.` are one account, and normalising twice changes nothing.

    Lengths are checked first: mapping and encoding long domains takes milliseconds each.

    Raises Unacceptable for everything that is not one plain `local@domain`.
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
    # A few letters change once more, which would be another account the next time.
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
    # No label becomes shorter than what was typed, but for characters that are ignored, which nobody types.
    if len(domain) > MAX_IDENTIFIER or any(len(label) > MAX_LABEL for label in BETWEEN_LABELS.split(domain)):
        raise Unacceptable(Sentence("The part after the @ is too long for a domain name."))
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").rstrip(".")
    except idna.IDNAError as error:
        raise Unacceptable(Sentence("The part after the @ isn’t a valid domain.")) from error


def is_respelled(typed: str, identifier: str) -> bool:
    """Whether an email becomes something that the person who typed it may not expect: more than another case."""
    return typed.strip().lower() != identifier


def check_name(text: str) -> str:
    """Return a display name, trimmed and in NFC. Raises Unacceptable for control characters and for length."""
    if len(text) > MAX_READ:
        raise Unacceptable(Sentence("Enter a name (up to 200 characters)."))
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > MAX_NAME:
        raise Unacceptable(Sentence("Enter a name (up to 200 characters)."))
    if any(unicodedata.category(c).startswith("C") for c in name):
        raise Unacceptable(Sentence("A name can’t contain line breaks or invisible characters."))
    return name


def check_tenant(text: str) -> str:
    """Return a tenant's slug. Raises Unacceptable unless it is 1 to 63 of a-z, 0-9, and - inside."""
    slug = text.strip()
    if not (0 < len(slug) <= 63 and slug.isascii() and slug.replace("-", "a").isalnum() and slug == slug.lower()):
        raise Unacceptable(Sentence("Use 1 to 63 lowercase letters, numbers and hyphens, e.g. acme-hr."))
    if slug.startswith("-") or slug.endswith("-"):
        raise Unacceptable(Sentence("A short name can’t start or end with a hyphen."))
    return slug


def read_modules(text: str) -> frozenset[Module]:
    """Read the text of a column, names with commas between them."""
    return frozenset(Module(name) for name in text.split(",") if name)
