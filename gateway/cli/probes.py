"""Probes of `check-config`: do the services and addresses named in the settings exist and respond?

All results are warnings, since `serve` starts without them.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator

from gateway.mail.smtp import Mailer, MailUnsent
from gateway.settings import Settings
from gateway.settings.mistakes import Said, key_of

UNREADABLE = re.compile(rb"^otium_gateway_forwarded_for_unreadable_total ([0-9.e+]+)$", re.MULTILINE)
ADMIN_SECONDS = 2.0


def probe(settings: Settings, mailer: Mailer) -> Iterator[Said]:
    """Yield warnings about the application, the addresses and the mail server."""
    yield from probe_upstream(settings)
    if is_running(settings):
        yield from probe_forwarded_for(settings)
    else:
        yield from probe_addresses(settings)
    if settings.mail.host:
        yield from probe_mail(mailer)


def probe_upstream(settings: Settings) -> Iterator[Said]:
    address = settings.upstream.address
    try:
        connect(address, settings.upstream.connect_seconds).close()
    except OSError as error:
        reason = f"the application does not answer at {address} ({said(error)}); start it, or correct the address"
        yield "upstream.address", reason


def is_running(settings: Settings) -> bool:
    """Whether a gateway with these settings is running, which then uses the addresses."""
    return ask_running(settings, "/alive").startswith(b"HTTP/1.1 200")


def ask_running(settings: Settings, path: str) -> bytes:
    """Return the complete response of the gateway that runs with these settings, b"" if none does."""
    if not settings.admin.listen:
        return b""
    try:
        with connect(settings.admin.listen, ADMIN_SECONDS) as sock, sock.makefile("rb") as answer:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii"))
            return answer.read()
    except OSError:
        return b""


def probe_forwarded_for(settings: Settings) -> Iterator[Said]:
    """Warn if the running gateway has seen a proxy that writes no addresses into X-Forwarded-For."""
    found = UNREADABLE.search(ask_running(settings, "/metrics"))
    if found is not None and (count := float(found[1])) > 0:
        reason = f"a proxy in front wrote no address into X-Forwarded-For ({count:.0f} times), so its own was taken"
        yield "listen.trusted_proxies", f"{reason}; the log says what it wrote (forwarded_for_unreadable)"


def probe_addresses(settings: Settings) -> Iterator[Said]:
    listen = settings.listen.addresses
    places = [(key_of(("listen", "addresses", number)), address) for number, address in enumerate(listen)]
    for key, address in (*places, ("admin.listen", settings.admin.listen)):
        if address and is_taken(address):
            yield key, f"another program listens on {address}; end it, or take another address"


def is_taken(address: str) -> bool:
    """Whether a program listens there."""
    try:
        connect(address, ADMIN_SECONDS).close()
    except OSError:
        return False
    return True


def probe_mail(mailer: Mailer) -> Iterator[Said]:
    """Test connection, TLS, user name and password of the mail server, without sending a mail."""
    try:
        asyncio.run(mailer.try_out())
    except MailUnsent as error:
        yield "mail", f"no mail can be sent through {error}; `otium-gateway mail test ADDRESS` tries again"


def connect(address: str, seconds: float) -> socket.socket:
    """Connect to host:port, [v6]:port or unix:/path. Raises OSError."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(seconds)
        try:
            sock.connect(address.removeprefix("unix:"))
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), seconds)


def said(error: OSError) -> str:
    return error.strerror or str(error)
