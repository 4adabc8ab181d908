"""Reads access.toml: owners, public and machine paths, and access rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gateway.model.account import Role, Unacceptable, check_tenant, is_at_service_domain, normalise_identifier
from gateway.model.factor import Factor
from gateway.model.network_rule import Mistake, check, read_range, read_ranges
from gateway.policy.decision import Rules
from gateway.policy.entries import OpenPath, Rule
from gateway.settings.mistakes import Said, explain, key_of
from gateway.settings.record import Access
from gateway.wire.http1 import METHODS
from gateway.wire.target import read_path


def check_path(text: str) -> str:
    """Return the path without its final slash, as the policy uses it. Raises ValueError if it has several readings."""
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
    require: Literal["totp", "passkey", "password", "magic_link"] | None = None
    fresh: Annotated[int, Field(ge=1)] | None = None
    cross_site_post: bool = False

    def entry(self) -> Rule:
        require = Factor(self.require) if self.require else None
        return Rule(
            self.path,
            frozenset(self.roles),
            frozenset(self.tenants),
            self.owner,
            require,
            self.fresh,
            self.cross_site_post,
        )


def check_owner(email: str) -> str:
    try:
        identifier = normalise_identifier(email)
    except Unacceptable as error:
        raise ValueError(f"{email!r}: {error}") from None
    if is_at_service_domain(identifier):
        raise ValueError(f"{email!r} is a service account, and only people can be owners")
    return identifier


def check_network(line: str) -> str:
    try:
        return str(read_range(line))
    except Mistake as error:
        raise ValueError(f"{error.why} {error.line}") from None


def check_lasting(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Raise ValueError if all networks will have expired some day, as no owner could enter then."""
    try:
        check(read_ranges("\n".join(lines)), 0)
    except Mistake as error:
        raise ValueError(str(error.why)) from None
    return lines


class AccessFile(Line):
    owners: tuple[Annotated[str, AfterValidator(check_owner)], ...] = ()
    owner_networks: Annotated[
        tuple[Annotated[str, AfterValidator(check_network)], ...], AfterValidator(check_lasting)
    ] = ()
    public: tuple[OpenLine, ...] = ()
    machine: tuple[OpenLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()

    def access(self, more_owners: frozenset[str]) -> Access:
        return Access(
            more_owners.union(self.owners),
            "\n".join(self.owner_networks),
            Rules(
                public={line.path: line.entry() for line in self.public},
                machine={line.path: line.entry() for line in self.machine},
                rules={line.path: line.entry() for line in self.rules},
            ),
        )


def read_access(given: Mapping[str, Any], more_owners: frozenset[str]) -> tuple[Access, list[Said]]:
    """Return the allowlists, and the mistakes in them. `more_owners` are the identifiers of further owners."""
    said = list(check_paths(given))
    try:
        file = AccessFile.model_validate(dict(given))
    except ValidationError as error:
        return Access(), [(key_of(place), reason) for place, reason in explain(error, AccessFile)] + said
    return file.access(more_owners), said


def check_paths(given: Mapping[str, Any]) -> Iterator[Said]:
    """Check that no path has two entries. Reads the raw input, so that other mistakes don't hide this one."""
    paths = {name: list(paths_in(given.get(name))) for name in ("public", "machine", "rules")}
    for name, written in paths.items():
        for path in sorted(path for path, count in Counter(written).items() if count > 1):
            yield name, f"{path} stands there twice; one path has one entry"
    for path in sorted({*paths["public"]} & {*paths["machine"]}):
        yield "machine", f"{path} stands in public as well"


def paths_in(lines: Any) -> Iterator[str]:
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, dict) and isinstance(line.get("path"), str):
            yield line["path"]
