"""Reads access.toml: who owns the platform, what is open, and who may go where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gateway.accounts.record import Role, Unacceptable, check_tenant, normalise_identifier
from gateway.edge.target import read_path
from gateway.factors.record import Factor
from gateway.gate import OpenPath, Rule, Rules
from gateway.http1 import METHODS
from gateway.settings.record import Access

Problems = list[tuple[str, str]]
Entry = TypeVar("Entry", OpenPath, Rule)


def check_path(text: str) -> str:
    """Return the key under which the gate finds the path. Written plainly, so that it can't be misread."""
    if read_path(text.encode("utf-8")) != (text,) or "%" in text:
        raise ValueError("write a plain path from the root, like /help: no //, .., ;, % or white space")
    if text != "/" and text.endswith("/"):
        raise ValueError("leave out the final slash; an entry stands for the path with and without it")
    return text.rstrip("/")


def check_method(text: str) -> str:
    if text not in METHODS:
        raise ValueError(f"there are {', '.join(sorted(METHODS))}")
    return text


Path = Annotated[str, AfterValidator(check_path)]


class Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpenLine(Line):
    path: Path
    prefix: bool = False
    methods: tuple[Annotated[str, AfterValidator(check_method)], ...] = ()

    def entry(self) -> OpenPath:
        return OpenPath(self.path, self.prefix, frozenset(self.methods))


class RuleLine(Line):
    path: Path
    roles: tuple[Role, ...] = ()
    tenants: tuple[Annotated[str, AfterValidator(check_tenant)], ...] = ()
    owner: bool = False
    require: Literal["totp", "password", "magic_link"] | None = None
    fresh: Annotated[int, Field(ge=1)] | None = None

    def entry(self) -> Rule:
        require = Factor(self.require) if self.require else None
        return Rule(self.path, frozenset(self.roles), frozenset(self.tenants), self.owner, require, self.fresh)


class AccessFile(Line):
    owners: tuple[str, ...] = ()
    public: tuple[OpenLine, ...] = ()
    machine: tuple[OpenLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()


def read_access(given: Mapping[str, Any], more_owners: Iterable[str]) -> tuple[Access, Problems]:
    """Return the allowlists, and (key, reason) for everything in them that is wrong."""
    problems: Problems = []
    try:
        file = AccessFile.model_validate(dict(given))
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            key = ".".join(str(part) for part in detail["loc"])
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
            problems.append((key, "there is no such key" if detail["type"] == "extra_forbidden" else message))
        return Access(), problems
    rules = Rules(
        public=by_path("public", (line.entry() for line in file.public), problems),
        machine=by_path("machine", (line.entry() for line in file.machine), problems),
        rules=by_path("rules", (line.entry() for line in file.rules), problems),
    )
    for path in sorted(set(rules.public) & set(rules.machine)):
        problems.append(("machine", f"{path or '/'} stands in public as well"))
    owners = read_owners("owners", file.owners, problems) | read_owners("OPS_ACCESS_EMAILS", more_owners, problems)
    return Access(owners, rules), problems


def by_path(name: str, entries: Iterable[Entry], problems: Problems) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in found:
            problems.append((name, f"{entry.path or '/'} stands there twice; one path has one entry"))
        found[entry.path] = entry
    return found


def read_owners(key: str, emails: Iterable[str], problems: Problems) -> frozenset[str]:
    found = set()
    for email in emails:
        try:
            found.add(normalise_identifier(email))
        except Unacceptable as error:
            problems.append((key, f"{email!r}: {error}"))
    return frozenset(found)
