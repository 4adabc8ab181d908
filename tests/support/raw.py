"""HTTP byte for byte: send what no client would, and read exactly what comes back."""

from __future__ import annotations

import functools
import socket
import ssl
from dataclasses import dataclass, field
from types import TracebackType

TIMEOUT = 120.0  # seconds, only for what never comes: a machine that runs the tests may be busy with others


@dataclass(frozen=True, slots=True)
class Response:
    """`is_complete` is False where the connection ended before the answer did."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    is_complete: bool = True
    head: bytes = field(default=b"", repr=False)

    def get(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for field_name, value in self.fields if field_name.lower() == name.lower()]


class Connection:
    """One TCP (or Unix) connection. `source` binds the client's address, for tests of trusted proxies."""

    def __init__(
        self,
        port: int | str,
        *,
        source: str = "127.0.0.1",
        tls: bool = False,
        server_name: str = "app.example.com",
        timeout: float = TIMEOUT,
    ) -> None:
        if isinstance(port, str):
            self.sock = connect_unix(port, timeout)
        else:
            self.sock = socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = trusting().wrap_socket(self.sock, server_hostname=server_name)
        self.buffer = bytearray()  # bytes would be copied by each block of an answer

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def receive(self) -> bytes:
        """Return some bytes, b"" at the end of the connection (however it ended)."""
        try:
            return self.sock.recv(65_536)
        except (ConnectionResetError, ssl.SSLError):
            return b""

    def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and with `mark`; what there is, if the connection ends before."""
        while mark not in self.buffer:
            more = self.receive()
            if not more:
                return self._take(len(self.buffer))
            self.buffer += more
        return self._take(self.buffer.index(mark) + len(mark))

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            more = self.receive()
            if not more:
                break
            self.buffer += more
        return self._take(size)

    def read_to_end(self) -> bytes:
        while more := self.receive():
            self.buffer += more
        return self._take(len(self.buffer))

    def _take(self, size: int) -> bytes:
        found = bytes(self.buffer[:size])
        del self.buffer[:size]
        return found

    def response(self, method: str = "GET") -> Response | None:
        """Read one answer to `method` by its framing; None if the connection ended without any."""
        head = self.read_until(b"\r\n\r\n")
        if not head.endswith(b"\r\n\r\n"):
            return None
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        response = Response(int(status_line.split(" ")[1]), fields, b"", head=head)
        body, is_complete = self._body(method, response)
        return Response(response.status, fields, body, is_complete, head)

    def _body(self, method: str, response: Response) -> tuple[bytes, bool]:
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return b"", True
        if response.get("transfer-encoding") == "chunked":
            return self._chunks()
        length = response.get("content-length")
        if length is None:
            return self.read_to_end(), True
        body = self.read_exactly(int(length))
        return body, len(body) == int(length)

    def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            line = self.read_until(b"\r\n")
            if not line.endswith(b"\r\n"):
                return body, False
            size = int(line, 16)
            chunk = self.read_exactly(size + 2)
            if len(chunk) < size + 2:
                return body, False
            if size == 0:
                return body, True
            body += chunk[:-2]

    def is_closed(self) -> bool:
        """Whether the other side ends the connection now (waits for it)."""
        return not self.buffer and self.receive() == b""


def connect_unix(path: str, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


@functools.cache
def trusting() -> ssl.SSLContext:
    """Return a context for servers whose certificate a test made. Each new one would read all of the system's."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def exchange(port: int | str, request: bytes, *, source: str = "127.0.0.1", tls: bool = False) -> Response | None:
    """Send `request` on a connection of its own and read one answer."""
    with Connection(port, source=source, tls=tls) as connection:
        connection.send(request)
        return connection.response(request.split(b" ", 1)[0].decode("latin-1"))


def get(path: str, *lines: str, host: str = "app.example.com", method: str = "GET") -> bytes:
    """Return a plain request's bytes; `lines` are further field lines."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")
