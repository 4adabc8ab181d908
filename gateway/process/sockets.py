"""Listening sockets: opening them, keeping them during a reload, inheriting them from systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

BACKLOG = 2_048
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START


class CannotServe(Exception):
    """The gateway can't start with these settings. The message says what to do."""


def open_sockets(addresses: Sequence[str], open_ones: dict[str, socket.socket]) -> dict[str, socket.socket]:
    """Return a listening socket per address, reusing those in `open_ones`. On failure, none is left open. Raises
    CannotServe.
    """
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
    """Listen on host:port, [v6]:port or unix:/path. Replaces a stale socket file, but none in use. Raises OSError."""
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
    mask = os.umask(0o117)  # the proxy in front gets access through its group
    try:
        sock.bind(path)
    finally:
        os.umask(mask)
    sock.listen(BACKLOG)
    return sock


def inherited_sockets() -> list[socket.socket]:
    """Return the sockets passed by systemd (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    del os.environ["LISTEN_PID"]
    return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(count)]


def close_all(sockets: dict[str, socket.socket], *, but: dict[str, socket.socket]) -> None:
    for name, sock in sockets.items():
        if name not in but:
            sock.close()
