"""Validates the rows of a CSV file of accounts, without side effects.

The columns are OtiumWork's: `email,name,department,role`, and optionally `tenant` and `password_hash`. A department
named like a module (finance, hr, legal) grants that module. Both may be named in another language. How the file is read
is in csv_import.file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.accounts.csv_import.file import Row, squeeze
from gateway.crypto.hashes import is_known, is_usable
from gateway.model.account import (
    DEFAULT_TENANT,
    Account,
    Module,
    Role,
    Status,
    Unacceptable,
    check_name,
    check_tenant,
    normalise_identifier,
)
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence

MAX_CELL = 1_000  # characters of a cell that we use; password hashes are the longest
MAX_CLOSE = 40  # characters that are compared with what is known
CLOSE = 0.75  # of 1, how alike a department and a known one must be
NOT_FREE = Sentence("this tenant can’t have an account with this email")
UNKNOWN_ROLE = Sentence("Unknown role. Use employee, manager or admin.")
MEANT: Mapping[str, Sentence] = {
    Role.EMPLOYEE: Sentence("Unknown role. Did you mean employee?"),
    Role.MANAGER: Sentence("Unknown role. Did you mean manager?"),
    Role.ADMIN: Sentence("Unknown role. Did you mean admin?"),
}

# As people call them in some other languages; see `squeeze`.
OTHER_ROLES: Mapping[Role, str] = {
    Role.EMPLOYEE: "mitarbeiter mitarbeiterin mitarbeitende empleado empleada employé employée salarié salariée"
    " dipendente medewerker pracownik pracowniczka colaborador colaboradora",
    Role.MANAGER: "führungskraft responsable responsabile menedżer menedżerka gestor gestora",
    Role.ADMIN: "administrator administratorin administrador administradora administrateur administratrice"
    " amministratore amministratrice beheerder administratorka",
}
OTHER_MODULES: Mapping[Module, str] = {
    Module.FINANCE: "finanzen finanzas finanza finances finanze financiën finanse finanças",
    Module.HR: "personal personalwesen personalabteilung rrhh recursoshumanos rh ressourceshumaines risorseumane kadry",
    Module.LEGAL: "recht rechtsabteilung juridique juridisch legale działprawny jurídico",
}
ROLES = {squeeze(word): role for role in Role for word in [role, *OTHER_ROLES[role].split()]}
MODULES = {squeeze(word): module for module, words in OTHER_MODULES.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Create:
    """A row to create an account from. `unknown_department` is a department that grants no module.

    `respelled` is the department as it was written, if it grants a module but isn't spelled as that.
    `user_key` identifies the application's user (see app_sync.plan), "" in a CSV import.
    """

    line: int
    identifier: str
    name: str
    tenant: str
    role: Role
    modules: frozenset[Module]
    password_hash: Secret[str] | None
    unknown_department: str = ""
    respelled: str = field(default="", compare=False)
    user_key: str = field(default="", compare=False)

    def account(self, account_id: str, now: int, *, is_invited: bool = False) -> Account:
        """Return the account. If `is_invited`, it has no password, even if the row has a hash."""
        return Account(
            id=account_id,
            identifier=self.identifier,
            name=self.name,
            tenant=self.tenant,
            role=self.role,
            modules=self.modules,
            status=Status.ACTIVE,
            password_hash=None if is_invited else self.password_hash,
            created_at=now,
        )


@dataclass(frozen=True, slots=True)
class Skip:
    line: int
    identifier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """`email` is the text in the file, `identifier` its normalised form ("" if invalid). `column`: the wrong cell's."""

    line: int
    email: str
    reason: Sentence
    identifier: str = ""
    column: str = field(default="", compare=False)


Verdict = Create | Skip | Reject


def plan(rows: Iterable[Row], existing: Iterable[str], owners: frozenset[str]) -> list[Verdict]:
    """Return a verdict for each row; `existing` are the identifiers that are taken."""
    judged = [judge(line, row) for line, row in rows]
    duplicates, taken = find_duplicates(judged), set(existing)
    return [settle(verdict, duplicates, taken, owners) for verdict in judged]


def settle(verdict: Create | Reject, duplicates: Mapping[int, int], taken: set[str], owners: frozenset[str]) -> Verdict:
    if isinstance(verdict, Reject):
        return verdict
    line, identifier = verdict.line, verdict.identifier
    if line in duplicates:
        return Reject(line, identifier, Sentence("duplicate of row {line}", line=duplicates[line]), identifier)
    if identifier in owners:
        return Reject(line, identifier, Sentence("platform owners are not imported; add them by hand"), identifier)
    if identifier in taken:
        return Skip(line, identifier, "this person already has an account")
    return verdict


def find_duplicates(judged: Iterable[Create | Reject]) -> dict[int, int]:
    """Map each line whose identifier also appears on other lines to the first of those.

    All of them are refused, because the intended one is unknown. Rejected rows count too: in an application where
    `Wanda@` and `wanda@` are two users, the valid row may be the wrong one.
    """
    lines: dict[str, list[int]] = {}
    for verdict in judged:
        if verdict.identifier:
            lines.setdefault(verdict.identifier, []).append(verdict.line)
    several = [found for found in lines.values() if len(found) > 1]
    return {line: found[1] if line == found[0] else found[0] for found in several for line in found}


def judge(line: int, row: Mapping[str, str]) -> Create | Reject:
    """Validate a row by itself, without the other rows and the store."""
    email, identifier = row.get("email", ""), ""
    column = next((name for name, cell in row.items() if len(cell) > MAX_CELL), "")
    try:
        if column:
            raise Unacceptable(Sentence("A cell has at most 1,000 characters."))
        column = "email"
        identifier = normalise_identifier(email)
        column = "name"
        name = check_name(row.get("name", ""))
        column = "tenant"
        tenant = check_tenant(row.get("tenant") or DEFAULT_TENANT)
        column = "role"
        role = read_role(row.get("role", ""))
        column = "password_hash"
        password_hash = read_hash(row.get("password_hash", ""))
    except Unacceptable as error:
        return Reject(line, email, error.sentence, identifier, column)
    written = row.get("department", "")
    department = written.lower()
    module = Module(department) if department in set(Module) else MODULES.get(squeeze(written))
    return Create(
        line=line,
        identifier=identifier,
        name=name,
        tenant=tenant,
        role=role,
        modules=frozenset([module]) if module else frozenset(),
        password_hash=password_hash,
        unknown_department="" if module else department,
        respelled=written if module and written != module else "",
    )


def read_role(text: str) -> Role:
    """Return the role that a word names, also in another language. Raises Unacceptable."""
    word = squeeze(text)
    if word in ROLES:
        return ROLES[word]
    close = difflib.get_close_matches(word[:MAX_CLOSE], list(Role), 1)
    raise Unacceptable(MEANT[close[0]] if close else UNKNOWN_ROLE)


def find_known(department: str) -> Module | None:
    """Return the module that a department differs from by its spelling only, or nearly: “H R”, “finanze”."""
    by_letters = {squeeze(module): module for module in Module} | MODULES
    letters = squeeze(department[:MAX_CLOSE])
    close = difflib.get_close_matches(letters, list(by_letters), 1, CLOSE)
    return by_letters[close[0]] if close else None


def read_hash(text: str) -> Secret[str] | None:
    if not text:
        return None
    if not is_known(text):
        raise Unacceptable(Sentence("Unsupported password hash. Use Werkzeug pbkdf2 or scrypt, or argon2id."))
    if not is_usable(text):
        raise Unacceptable(
            Sentence("This password hash takes too long, or too much memory, to compare with. Leave it out.")
        )
    return Secret(text)
