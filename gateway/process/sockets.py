"""Listening sockets: opened, kept over a reload, inherited from systemd, closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

BACKLOG = 2_048
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START


class CannotServe(Exception):
    """The gateway can't start, or not with these settings; the message says what to do."""


def open_sockets(addresses: Sequence[str], open_ones: dict[str, socket.socket]) -> dict[str, socket.socket]:
    """Return a listening socket for each address, taking those that are open already. All or nothing."""
    found: dict[str, socket.socket] = {}
    try:
        for address in addresses:
            found[address] = open_ones.get(address) or listen(address)
    except OSError as error:
        close_all(found, but=open_ones)
        raise CannotServe(
            f"can't listen on {address} (listen.addresses or admin.listen): {error.strerror}. Stop what listens there, "
            "or take another address"
        ) from error
    return found


def listen(address: str) -> socket.socket:
    """Listen on host:port, [v6]:port or unix:/path. A socket file left behind is replaced, a live one is not."""
    if address.startswith("unix:"):
        return listen_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def listen_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(path):
        if sock.connect_ex(path) == 0:
            sock.close()
            raise OSError(0, "another process listens there")
        os.unlink(path)
        sock.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)  # the proxy in front is let in by its group
    try:
        sock.bind(path)
    finally:
        os.umask(mask)
    sock.listen(BACKLOG)
    return sock


def inherited_sockets() -> list[socket.socket]:
    """Return the sockets that systemd listens on for us."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    del os.environ["LISTEN_PID"]
    return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(count)]


def close_all(sockets: dict[str, socket.socket], *, but: dict[str, socket.socket]) -> None:
    for name, sock in sockets.items():
        if name not in but:
            sock.close()
