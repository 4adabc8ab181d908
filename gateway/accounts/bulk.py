"""Accounts from a CSV file: what each row would become, decided before anything is done.

The columns are OtiumWork's: `email,name,department,role`, and optionally `tenant` and `password_hash`. A
department that is called like a module (finance, hr, legal) gives that module.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.accounts.record import (
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
from gateway.passwords.hashes import is_known
from gateway.secret import Secret

REQUIRED = ("email", "name", "department", "role")
OPTIONAL = ("tenant", "password_hash")


class UnreadableFile(ValueError):
    """The file is no CSV of accounts; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Create:
    """The account that a row would become."""

    line: int
    identifier: str
    name: str
    tenant: str
    role: Role
    modules: frozenset[Module]
    password_hash: Secret[str] | None

    def account(self, account_id: str, now: int, *, is_invited: bool = False) -> Account:
        """Return the account; whoever is invited chooses the password, whatever the row says."""
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
    """`email` is as it stood in the file."""

    line: int
    email: str
    reason: str


Verdict = Create | Skip | Reject


def read_csv(content: bytes, max_rows: int | None = None) -> list[tuple[int, Mapping[str, str]]]:
    """Return (line number, row) for each row: its cells under the columns that are ours. Others are left out.

    Takes what Excel writes: a BOM, CRLF, semicolons. Raises UnreadableFile where the header lacks a column, the text
    is not UTF-8, or there are more than `max_rows`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("the file is not UTF-8; save it as 'CSV UTF-8'") from error
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    rows: list[tuple[int, Mapping[str, str]]] = []
    try:
        places = places_of(next(reader, []))
        for cells in filter(None, reader):
            if len(rows) == max_rows:
                raise UnreadableFile(f"the file has too many rows; split it into files of at most {max_rows}")
            rows.append((reader.line_num, {name: cells[at].strip() for name, at in places.items() if at < len(cells)}))
    except csv.Error as error:
        raise UnreadableFile(f"line {reader.line_num + 1} is no row of a CSV file: {error}") from error
    return rows


def places_of(header: list[str]) -> Mapping[str, int]:
    """Return where the cells of each of our columns are. Raises UnreadableFile if one is missing."""
    columns = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UnreadableFile(
            f"the first line must name the columns {', '.join(REQUIRED)}, with commas or semicolons between them; "
            f"{missing[0]} is missing"
        )
    return {name: columns.index(name) for name in (*REQUIRED, *OPTIONAL) if name in columns}


def plan(rows: Iterable[tuple[int, Mapping[str, str]]], existing: Iterable[str]) -> list[Verdict]:
    """Return what would become of each row; `existing` are the identifiers that are taken."""
    taken, seen = set(existing), dict[str, int]()
    verdicts: list[Verdict] = []
    for line, row in rows:
        verdict = judge(line, row, taken)
        if isinstance(verdict, Create):
            first = seen.setdefault(verdict.identifier, line)
            if first != line:
                verdict = Skip(line, verdict.identifier, f"the email stands in line {first} already")
        verdicts.append(verdict)
    return verdicts


def judge(line: int, row: Mapping[str, str], taken: set[str]) -> Verdict:
    email = row.get("email", "")
    try:
        identifier = normalise_identifier(email)
        if identifier in taken:
            return Skip(line, identifier, "there is an account with this email")
        department = row.get("department", "").lower()
        return Create(
            line=line,
            identifier=identifier,
            name=check_name(row.get("name", "")),
            tenant=check_tenant(row.get("tenant") or DEFAULT_TENANT),
            role=read_role(row.get("role", "")),
            modules=frozenset([Module(department)]) if department in set(Module) else frozenset(),
            password_hash=read_hash(row.get("password_hash", "")),
        )
    except Unacceptable as error:
        return Reject(line, email, str(error))


def read_role(text: str) -> Role:
    try:
        return Role(text.lower())
    except ValueError:
        raise Unacceptable(f"A role is one of {', '.join(Role)}.") from None


def read_hash(text: str) -> Secret[str] | None:
    if not text:
        return None
    if not is_known(text):
        raise Unacceptable("A password hash is Werkzeug's pbkdf2 or scrypt, or argon2id.")
    return Secret(text)
