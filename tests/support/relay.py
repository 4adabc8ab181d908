"""A way to a TLS server for clients that can't send a cookie: it listens on loopback and adds field lines to requests."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.raw import Connection


@contextlib.contextmanager
def adding(port: int, *lines: str) -> Iterator[int]:
    """Yield the port of a relay to `port` that adds `lines` to the one request of each connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        more = "\r\n".join(("", *lines, "Connection: close", "", "")).encode()
        threading.Thread(target=accept, args=(listener, port, more), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def accept(listener: socket.socket, port: int, more: bytes) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=carry, args=(sock, port, more), daemon=True).start()


def carry(sock: socket.socket, port: int, more: bytes) -> None:
    """Pass on one request as it comes, and its answer to the end."""
    received = b""
    with contextlib.suppress(OSError), sock, Connection(port, tls=True) as onward:  # either side may leave
        while b"\r\n\r\n" not in received:
            piece = sock.recv(65_536)
            if not piece:
                return
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"te:"))]
        onward.send(b"\r\n".join(lines) + more + body)
        threading.Thread(target=pass_body, args=(sock, onward), daemon=True).start()
        while piece := onward.receive():
            sock.sendall(piece)


def pass_body(sock: socket.socket, onward: Connection) -> None:
    with contextlib.suppress(OSError):
        while piece := sock.recv(65_536):
            onward.send(piece)
