"""Parses and validates a CSV file of accounts, without side effects.

The columns are OtiumWork's: `email,name,department,role`, and optionally `tenant` and `password_hash`. A department
named like a module (finance, hr, legal) grants that module.

The file may be hostile, so lines, cells and the header have maximum sizes. Rows are yielded one by one, so that the
caller can pause in between.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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

REQUIRED = ("email", "name", "department", "role")
OPTIONAL = ("tenant", "password_hash")
MAX_ROW = 20_000  # characters, over all of its lines
MAX_COLUMNS = 200
MAX_CELL = 1_000  # characters of a cell that we use; password hashes are the longest
LINES_PER_ROW = 4  # on average at most, with blank lines and cells that contain line breaks
NOT_FREE = Sentence("this tenant can't have an account with this email")
Row = tuple[int, Mapping[str, str]]  # the line in the file, and its cells


class UnreadableFile(ValueError):
    """The file is not a CSV file of accounts; `sentence` says why."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Create:
    """A row to create an account from. `unknown_department` is a department that grants no module.

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
    """`email` is the text in the file, `identifier` its normalised form ("" if invalid)."""

    line: int
    email: str
    reason: Sentence
    identifier: str = ""


Verdict = Create | Skip | Reject


def read_csv(content: bytes, max_rows: int | None = None) -> Iterator[Row]:
    """Yield each row with its cells by column name; unknown columns are ignored.

    Accepts what Excel writes: a BOM, CRLF, semicolons. Raises UnreadableFile, perhaps after some rows, if the text is
    not UTF-8, the header lacks a column, a row is longer than MAX_ROW, or there are more than `max_rows`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(Sentence("the file isn’t UTF-8. In Excel, save it as “CSV UTF-8”")) from error
    first = text[:MAX_ROW].partition("\n")[0]
    lines = Lines(text, None if max_rows is None else (max_rows + 1) * LINES_PER_ROW)
    reader = csv.reader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
    count = 0
    try:
        places = places_of(next(reader, []))
        lines.begin_row()
        for cells in reader:
            lines.begin_row()
            if cells:
                count += 1
                if max_rows is not None and count > max_rows:
                    raise UnreadableFile(
                        Sentence(
                            "the file has too many rows. Split it into files with at most {rows} rows", rows=max_rows
                        )
                    )
                yield reader.line_num, {name: cells[at].strip() for name, at in places.items() if at < len(cells)}
    except csv.Error as error:
        raise UnreadableFile(
            Sentence("line {line} isn’t a valid CSV row: {error}", line=reader.line_num + 1, error=error)
        ) from error


class Lines:
    """The lines of a text, with a maximum row length: csv.reader would parse a row of any length in one step."""

    def __init__(self, text: str, max_lines: int | None) -> None:
        self._file = io.StringIO(text, newline="")
        self._max_lines = max_lines
        self._count = 0
        self._length = 0  # of the current row, in characters

    def begin_row(self) -> None:
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW + 1)
        if not line:
            raise StopIteration
        self._count += 1
        self._length += len(line)
        if self._length > MAX_ROW:
            raise UnreadableFile(
                Sentence(
                    "line {line} isn’t a valid CSV row: it is longer than {most} characters",
                    line=self._count,
                    most=MAX_ROW,
                )
            )
        if self._max_lines is not None and self._count > self._max_lines:
            raise UnreadableFile(
                Sentence("the file has more than {lines} lines; split it into several", lines=self._max_lines)
            )
        return line


def places_of(header: list[str]) -> Mapping[str, int]:
    """Map our columns to their indexes. Raises UnreadableFile if one is missing or repeated."""
    if len(header) > MAX_COLUMNS:
        raise UnreadableFile(Sentence("the first line names more than {columns} columns", columns=MAX_COLUMNS))
    columns = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UnreadableFile(
            Sentence(
                "the first line must name the columns {columns}, with commas or semicolons between them; "
                "{missing} is missing",
                columns=", ".join(REQUIRED),
                missing=missing[0],
            )
        )
    twice = [name for name in (*REQUIRED, *OPTIONAL) if columns.count(name) > 1]
    if twice:
        raise UnreadableFile(Sentence("the first line names the column {column} twice", column=twice[0]))
    return {name: columns.index(name) for name in (*REQUIRED, *OPTIONAL) if name in columns}


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
        return Reject(line, identifier, Sentence("duplicate of line {line}", line=duplicates[line]), identifier)
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
    email = row.get("email", "")
    identifier = ""
    try:
        if any(len(cell) > MAX_CELL for cell in row.values()):
            raise Unacceptable(Sentence("A cell has at most 1,000 characters."))
        identifier = normalise_identifier(email)
        department = row.get("department", "").lower()
        is_module = department in set(Module)
        return Create(
            line=line,
            identifier=identifier,
            name=check_name(row.get("name", "")),
            tenant=check_tenant(row.get("tenant") or DEFAULT_TENANT),
            role=read_role(row.get("role", "")),
            modules=frozenset([Module(department)]) if is_module else frozenset(),
            password_hash=read_hash(row.get("password_hash", "")),
            unknown_department="" if is_module else department,
        )
    except Unacceptable as error:
        return Reject(line, email, error.sentence, identifier)


def read_role(text: str) -> Role:
    try:
        return Role(text.lower())
    except ValueError:
        raise Unacceptable(Sentence("Unknown role. Use employee, manager or admin.")) from None


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
