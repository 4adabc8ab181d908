"""The base class of client and upstream connections: flow control, and the count of unsent bytes."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import cast

from gateway.wire.deadlines import NEVER

WRITE_HIGH = 262_144  # bytes waiting to be written before the sender is paused
READ_BYTES = 256_000  # what uvloop reads at a time. If it gets so many, libuv reads on at once, up to 32 times.


class Channel(asyncio.Protocol):
    """An asyncio protocol. `write` is the transport's own method; `wire.deadlines` watches `deadline`."""

    __slots__ = ("_is_paused", "_transport", "deadline", "write")

    def __init__(self) -> None:
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until connection_made
        self._is_paused = False
        self.deadline = NEVER
        self.write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self.write = self._transport.write

    def set_no_delay(self) -> None:
        """Disable Nagle's algorithm, which can delay a small response by 40 ms."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def stop_reading(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def take_turns(self) -> None:
        """After a full read (READ_BYTES), go on reading only in the event loop's next turn.

        While the loop was busy elsewhere, or had no processor, the kernel may have taken megabytes. Read in one go,
        they would keep everybody else waiting: a body of tiny chunks takes a second.
        """
        if not self._is_paused and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_again)

    def _read_again(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def count_unsent(self) -> int:
        """Return the bytes that the peer has not acknowledged: our buffer, and the kernel's (SIOCOUTQ, tcp(7))."""
        sock = self._transport.get_extra_info("socket")
        waiting = self._transport.get_write_buffer_size()
        if sock is None or self._transport.is_closing():
            return waiting
        (in_kernel,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        return waiting + int(in_kernel)

    def has_unread(self) -> bool:
        """Whether bytes have arrived that the event loop has not read yet (FIONREAD, tcp(7))."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or self._transport.is_closing():
            return False
        return any(fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0\0\0\0"))
