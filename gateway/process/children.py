"""What a supervisor needs of the system: children that do one thing, pipes, and a word to systemd."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from collections.abc import Callable

from gateway.process.sockets import CannotServe

FEED_SECONDS = 1.0
NOTIFY_SECONDS = 0.2


def wait_to_read(descriptor: int, until: float) -> bool:
    """Return whether there is anything to read by then; systemd hears meanwhile that we are still here."""
    while True:
        left = until - time.monotonic()
        readable, _, _ = select.select([descriptor], [], [], max(0.0, min(left, FEED_SECONDS)))
        if readable or left <= 0:
            return bool(readable)
        notify("WATCHDOG=1")


def in_child(work: Callable[[], None]) -> None:
    """Do something once in a process of its own, so that its memory is not every worker's. Raises CannotServe."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        message = b""
        try:
            work()
        except Exception as error:
            message = (str(error) or type(error).__name__).encode()
        finally:
            os.write(write, message)
            os._exit(1 if message else 0)
    os.close(write)
    wait_to_read(read, math.inf)
    with os.fdopen(read, "rb") as pipe:
        message = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise CannotServe(message.decode() or "the store could not be prepared")


def notify(state: str) -> None:
    """Tell systemd, if it listens; one that does not take it has us wait no longer than a moment."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(NOTIFY_SECONDS)
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
