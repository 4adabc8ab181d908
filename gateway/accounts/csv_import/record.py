"""Records of CSV imports: the import, its rows, the administrator who started it, and summaries for pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.accounts.csv_import.reading import MAX_CELL, Create, find_known
from gateway.actions.action import Actor
from gateway.model.account import Module, Role, read_modules
from gateway.model.sentence import Sentence

HAS_ACCOUNT = Sentence("This person already has an account.")
NO_REASON = Sentence()
ELSEWHERE = Sentence("This email address is in use in another company.")


def write_cells(row: Mapping[str, str]) -> str:
    """Return a row's cells as JSON, for the file of mistakes, without a password hash and the end of long cells."""
    kept = {name: cell[:MAX_CELL].replace("\0", "\ufffd") for name, cell in row.items() if name != "password_hash"}
    return json.dumps(kept, ensure_ascii=False)


class RowState(StrEnum):
    """The planned or final state of a row. Rows of invited people are deleted and only counted."""

    WAITING = "waiting"
    INVITED = "invited"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """`line` is the row's number as spreadsheets count. `email` is the text in the file.

    `other_line` is set for a duplicate. `department` is one that grants no module, or one that was written in another
    way than the module which it grants. `cells` are the row's, as typed (see `write_cells`), and `wrong` is the name of
    the column that can't be accepted, "" if it is the email.
    """

    line: int
    state: RowState
    email: str
    identifier: str
    name: str = ""
    tenant: str = ""
    role: str = ""
    modules: str = ""
    department: str = ""
    reason: Sentence = NO_REASON
    other_line: int | None = None
    cells: str = ""
    wrong: str = ""

    @property
    def typed(self) -> Mapping[str, str]:
        """The cells by column. A row of an earlier version has none but the email."""
        typed: dict[str, str] = json.loads(self.cells) if self.cells else {"email": self.email}
        return typed

    @property
    def value(self) -> str:
        """The text of the cell that can't be accepted."""
        return self.typed.get(self.wrong or "email", "")

    @property
    def told(self) -> Sentence:
        """Why the row is left out."""
        return self.reason if self.other_line is None else Sentence("Duplicate of row {line}.", line=self.other_line)

    def wanted(self) -> Create:
        """Return the account to create for a waiting row."""
        modules = read_modules(self.modules)
        return Create(self.line, self.identifier, self.name, self.tenant, Role(self.role), modules, password_hash=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The administrator who started an import. Each step checks the rights of `account` again."""

    account: str
    actor: Actor

    def encode(self) -> str:
        actor = self.actor
        whence = (actor.session, actor.address, actor.user_agent, actor.request_id)
        return json.dumps((self.account, actor.name, actor.by, *whence))

    @classmethod
    def decode(cls, text: str) -> Asked:
        account, name, by, session, address, user_agent, request_id = json.loads(text)
        return cls(account, Actor(by, name, session, address, user_agent, request_id))


@dataclass(frozen=True, slots=True)
class Import:
    """`tenant` is None for the owner's imports; `asked` is None until it is started. Times are UTC seconds.

    `separator` stands between the cells of the file.
    """

    id: str
    tenant: str | None
    asked: Asked | None
    total: int
    invited: int
    skipped: int
    refused: int
    separator: str
    started_at: int | None
    finished_at: int | None

    @property
    def done(self) -> int:
        return self.invited + self.skipped + self.refused


@dataclass(frozen=True, slots=True)
class Listing:
    """The first rows of a state, and their total count."""

    rows: Sequence[ImportRow]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


@dataclass(frozen=True, slots=True)
class Departments:
    """Departments of one kind: the first names, the number of names, and the number of rows."""

    names: Sequence[str]
    count: int
    rows: int

    @property
    def hints(self) -> Sequence[tuple[str, Module | None]]:
        """Each name, with the module that it is nearly called like."""
        return [(name, find_known(name)) for name in self.names]


@dataclass(frozen=True, slots=True)
class Preview:
    """The result that an import would have now.

    `departments` grant no module; `respelled` ones grant that which they name in another language or spelling. Of those
    who would be invited, `admins` and `outsiders`, whose email has another domain than the author's, deserve a look.
    """

    invite: Listing
    skip: Listing
    refuse: Listing
    departments: Departments
    respelled: Departments
    admins: Listing
    outsiders: Listing
    domain: str


@dataclass(frozen=True, slots=True)
class Usage:
    """A tenant's uploads of the last 24 hours. `until` is when the oldest stops counting (UTC seconds)."""

    files: int
    bytes: int
    until: int
