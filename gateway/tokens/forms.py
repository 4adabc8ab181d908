"""Reads what a person wants a token to do from the form of /me/tokens. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_network

from gateway.model.account import Role
from gateway.model.networks import Network
from gateway.tokens.service import Wanted
from gateway.web.visit import Form

DAYS = (7, 30, 90, 180, 366)
DEFAULT_DAYS = 90
READING = frozenset(("GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"))
MAX_NAME, MAX_LIMITS = 100, 20
PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)+")  # RFC 3986's pchar, without `;` and escapes


class Unfit(ValueError):
    """A field is not acceptable; the message is its name, `line` what is wrong in it."""

    def __init__(self, field: str, line: str = "") -> None:
        super().__init__(field)
        self.line = line[:100]


def read_wanted(form: Form, own: Role) -> Wanted:
    """Raises Unfit. Lists are one entry a line."""
    name = form.text("name").strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise Unfit("name")
    days = form.text("days") or str(DEFAULT_DAYS)
    if not re.fullmatch("[0-9]{1,3}", days) or not 0 < int(days) <= DAYS[-1]:
        raise Unfit("days")
    try:
        role = Role(form.text("role") or own)
    except ValueError:
        raise Unfit("role") from None
    methods = READING if form.text("access") == "read" else frozenset[str]()
    paths, networks = lines_of(form, "paths"), lines_of(form, "networks")
    return Wanted(name, int(days), role, methods, tuple(map(read_path, paths)), tuple(map(read_network, networks)))


def lines_of(form: Form, field: str) -> list[str]:
    lines = [line.strip() for line in form.text(field).splitlines() if line.strip()]
    if len(lines) > MAX_LIMITS:
        raise Unfit(field, lines[MAX_LIMITS])
    return lines


def read_path(line: str) -> str:
    path = line.rstrip("/")
    if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise Unfit("paths", line)
    return path


def read_network(line: str) -> Network:
    try:
        return ip_network(line, strict=False)
    except ValueError:
        raise Unfit("networks", line) from None
