"""Reads the limits of a new token from a form, or from the command line. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.model.account import Role
from gateway.model.networks import Network, read_network
from gateway.tokens.service import Wanted
from gateway.web.visit import Form

DAYS = (7, 30, 90, 180, 366)
DEFAULT_DAYS = 90
READING = frozenset(("GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"))
MAX_NAME, MAX_LIMITS, MAX_PATH = 100, 20, 200
PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)+")  # RFC 3986's pchar, without `;` and escapes


class Unfit(ValueError):
    """A field is not acceptable; the message is its name, `line` what is wrong in it."""

    def __init__(self, field: str, line: str = "") -> None:
        super().__init__(field)
        self.line = line[:100]


def read_wanted(form: Form, own: Role) -> Wanted:
    """Read the form of a page; lists are one entry a line. `own` is the account's role. Raises Unfit."""
    return wanted_of(
        name=form.text("name"),
        days=form.text("days") or str(DEFAULT_DAYS),
        role=form.text("role") or own,
        only_reads=form.text("access") == "read",
        paths=form.text("paths").splitlines(),
        networks=form.text("networks").splitlines(),
    )


def wanted_of(
    *, name: str, days: str, role: str, only_reads: bool, paths: Sequence[str], networks: Sequence[str]
) -> Wanted:
    """Raises Unfit."""
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise Unfit("name")
    if not re.fullmatch("[0-9]{1,3}", days) or not 0 < int(days) <= DAYS[-1]:
        raise Unfit("days")
    return Wanted(
        name,
        int(days),
        read_role(role),
        READING if only_reads else frozenset(),
        tuple(map(read_path, settle("paths", paths))),
        tuple(map(check_network, settle("networks", networks))),
    )


def read_role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Unfit("role") from None


def settle(field: str, given: Sequence[str]) -> list[str]:
    lines = [line.strip() for line in given if line.strip()]
    if len(lines) > MAX_LIMITS:
        raise Unfit(field, lines[MAX_LIMITS])
    return lines


def read_path(line: str) -> str:
    path = line.rstrip("/")
    if len(path) > MAX_PATH or not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise Unfit("paths", line)
    return path


def check_network(line: str) -> Network:
    network = read_network(line)
    if network is None:
        raise Unfit("networks", line)
    return network
