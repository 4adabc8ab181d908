"""Records of CSV imports: the import, its rows, the administrator who started it, and summaries for pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.accounts.csv_import.reading import Create
from gateway.actions.action import Actor
from gateway.model.account import Role, read_modules
from gateway.model.sentence import Sentence

HAS_ACCOUNT = Sentence("This person already has an account.")
NO_REASON = Sentence()
ELSEWHERE = Sentence("This email address is in use in another company.")


class RowState(StrEnum):
    """The planned or final state of a row. Rows of invited people are deleted and only counted."""

    WAITING = "waiting"
    INVITED = "invited"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """`email` is the text in the file. `other_line` is set for a duplicate."""

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
    """`tenant` is None for the owner's imports; `asked` is None until it is started. Times are UTC seconds."""

    id: str
    tenant: str | None
    asked: Asked | None
    total: int
    invited: int
    skipped: int
    refused: int
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
    """Departments that grant no module: the first names, the number of names, and the number of rows."""

    names: Sequence[str]
    count: int
    rows: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The result that an import would have now."""

    invite: Listing
    skip: Listing
    refuse: Listing
    departments: Departments


@dataclass(frozen=True, slots=True)
class Usage:
    """A tenant's uploads of the last 24 hours. `until` is when the oldest stops counting (UTC seconds)."""

    files: int
    bytes: int
    until: int
