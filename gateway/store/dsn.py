"""Reads the address of a PostgreSQL store, and says what is wrong with it. Pure.

asyncpg connects to it, and so do PostgreSQL's own programs (store/copying.py, for backups). Each accepts what the
other refuses, and some things mean something else to each, so only what both read in the same way is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

CHARACTERS = "write these characters of a user or password as: @ %40, : %3A, / %2F, ? %3F, # %23, [ %5B, ] %5D, % %25"
WRITABLE = "target_session_attrs=read-write"
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("read-write", "primary")  # a replica may not know yet that a session has ended
OPTIONS = (
    "host", "port", "dbname", "user", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "application_name", "options",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dsn:
    """`hosts` are the servers that are named, with their ports; one that begins with / is the folder of a socket."""

    hosts: tuple[tuple[str, int], ...]
    options: dict[str, str]


def read(dsn: str) -> Dsn:
    """Raises ValueError with what to write instead; the message never includes the address, which has a password."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise ValueError(f"{CHARACTERS}, and each of several IPv6 addresses with its port, like [::1]:5432") from None
    credentials, _, named = parts.netloc.rpartition("@")
    if parts.fragment or "@" in credentials:
        raise ValueError(CHARACTERS)
    options = read_options(parts.query)
    if named and ("host" in options or "port" in options):
        raise ValueError("write hosts and ports in one place: before the database, or as host= and port=")
    if named:
        return Dsn(tuple(read_host(text) for text in named.split(",")), options)
    hosts = [host for host in options.get("host", "").split(",") if host]
    if any(":" in host for host in hosts):
        raise ValueError("write an IPv6 address before the database, like user@[::1]:5432/database")
    ports = [read_port(port) for port in options.get("port", "").split(",")]
    if len(ports) not in (1, len(hosts)):
        raise ValueError("write one port for all hosts, or one for each")
    return Dsn(tuple(zip(hosts, ports * len(hosts), strict=False)), options)


def read_options(query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ValueError("after the ? there are name=value, joined by &") from None
    for name, value in options.items():
        if name == "password":
            raise ValueError("write the password before the host, as user:password@host, or in a file (passfile=)")
        if name not in OPTIONS:
            raise ValueError(f"{name} is not known here; after the ? there may be {', '.join(OPTIONS)}")
        if not value:
            raise ValueError(f"{name} has no value; leave it out")
    refuse_unless(options, "sslmode", MODES)
    refuse_unless(options, "target_session_attrs", SESSIONS)
    if options.get("sslrootcert") == "system":
        raise ValueError("sslrootcert is a file; the system's is /etc/ssl/certs/ca-certificates.crt on most machines")
    return options


def refuse_unless(options: dict[str, str], name: str, values: tuple[str, ...]) -> None:
    if options.get(name, values[0]) not in values:
        raise ValueError(f"{name} is one of {', '.join(values)}")


def read_host(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, ""
    if not host:
        raise ValueError("a host is missing before or after a comma, or before a port")
    return unquote(host.strip("[]")), read_port(port)


def read_port(text: str) -> int:
    if not text:
        return 5432
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise ValueError("a port is a number up to 65535 (if it isn't meant as one: write / in a password as %2F)")
    return int(text)
