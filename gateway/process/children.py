"""System calls of the supervisor: one-off child processes, pipes, notifications to systemd."""

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


def wait_until_readable(descriptor: int, until: float) -> bool:
    """Return whether the pipe becomes readable by then (monotonic clock). Feeds systemd's watchdog meanwhile."""
    while True:
        left = until - time.monotonic()
        readable, _, _ = select.select([descriptor], [], [], max(0.0, min(left, FEED_SECONDS)))
        if readable or left <= 0:
            return bool(readable)
        notify("WATCHDOG=1")


def run_in_child(work: Callable[[], None]) -> None:
    """Run `work` in a child process, so that workers do not inherit its memory. Raises CannotServe."""
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
    wait_until_readable(read, math.inf)
    with os.fdopen(read, "rb") as pipe:
        message = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise CannotServe(message.decode() or "the store could not be prepared")


def notify(state: str) -> None:
    """Send a state to systemd, if it supervises us. Gives up after NOTIFY_SECONDS."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(NOTIFY_SECONDS)
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
