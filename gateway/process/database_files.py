"""Checks of the files that the address of a PostgreSQL store names: certificates, keys, passwords.

Without these checks, an unreadable file would look like a database that is away.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.settings.mistakes import Said
from gateway.settings.together import is_local
from gateway.store.dsn import Dsn

KEY = "store.url"
VERIFIED = ("verify-ca", "verify-full")
DEFAULT_ROOT = "~/.postgresql/root.crt"  # of asyncpg and of PostgreSQL's own programs


def problems_of(dsn: Dsn) -> Iterator[Said]:
    """Yield what prevents every connection."""
    options = dsn.options
    root, certificate, key = (options.get(name) for name in ("sslrootcert", "sslcert", "sslkey"))
    for name in ("sslrootcert", "sslcrl"):
        if name in options and (reason := find_fault(ca_file=options[name])):
            yield KEY, f"{name}={options[name]} holds nothing that can be read (PEM): {reason}"
    if options.get("sslmode") in VERIFIED and root is None and not Path(DEFAULT_ROOT).expanduser().exists():
        advice = "sslrootcert=FILE; for a public one, /etc/ssl/certs/ca-certificates.crt"
        yield KEY, f"sslmode={options['sslmode']} needs the certificate authority of the server: {advice}"
    if (certificate is None) != (key is None):
        yield KEY, "sslcert and sslkey go together"
    elif certificate and key and (reason := find_fault(certificate=certificate, key=key)):
        yield KEY, f"sslcert={certificate} and sslkey={key} can't be used together (PEM): {reason}"
    if "passfile" in options:
        yield from check_passfile(Path(options["passfile"]))


def advice_on(dsn: Dsn) -> Iterator[Said]:
    """Yield what an attacker in the network could use, and what only a backup would stumble over."""
    mode, key = dsn.options.get("sslmode", "prefer"), dsn.options.get("sslkey")
    elsewhere = [host for host, port in dsn.hosts if not host.startswith("/") and not is_local(f"{host}:{port}")]
    if elsewhere and mode not in VERIFIED:
        reason = f"with sslmode={mode}, someone on the network can pose as {elsewhere[0]} and read everything"
        yield KEY, f"{reason}; add sslmode=verify-full&sslrootcert=FILE"
    if key and os.path.exists(key) and os.stat(key).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield KEY, f"pg_dump refuses a key that others can read, so backups fail: chmod 0600 {key}"


def check_passfile(file: Path) -> Iterator[Said]:
    if not os.access(file, os.R_OK):
        yield KEY, f"passfile={file} can't be read; make it, owned by this user"
    elif file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield KEY, f"passfile={file} is ignored, because others can read it: chmod 0600 {file}"


def find_fault(*, ca_file: str = "", certificate: str = "", key: str = "") -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        return error.strerror or str(error)
    return ""
