"""An upstream that keeps every byte it receives and answers whatever a test tells it to, byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@dataclass(slots=True)
class Recorded:
    """One request: its head as it came, and the body by its framing."""

    head: bytes
    body: bytes = b""
    connection: int = 0

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    def all(self, name: str) -> list[str]:
        """The values of every field that a server may take for `name`: case and `_` don't count."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        fields = [(n.lower().replace("_", "-"), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        return [value for field_name, value in fields if field_name == name.lower().replace("_", "-")]


class Talk:
    """What a scripted answer works with: the socket, and what was received so far."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.buffer = bytearray()
        self.ends = False

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def read_more(self) -> bool:
        try:
            more = self.sock.recv(262_144)
        except OSError:
            more = b""
        self.buffer += more
        return bool(more)

    def read_request(self) -> Recorded | None:
        while b"\r\n\r\n" not in self.buffer:
            if not self.read_more():
                return None
        request = Recorded(self.take(self.buffer.index(b"\r\n\r\n") + 4)[:-2], connection=self.number)
        lengths = request.all("content-length")
        if request.all("transfer-encoding"):
            while b"0\r\n\r\n" not in self.buffer:
                if not self.read_more():
                    return request
            request.body = self.take(len(self.buffer))
        elif lengths:
            size = int(lengths[0])
            while len(self.buffer) < size:
                if not self.read_more():
                    break
            request.body = self.take(size)
        return request

    def take(self, size: int) -> bytes:
        found = bytes(self.buffer[:size])
        del self.buffer[:size]
        return found

    def close(self) -> None:
        self.ends = True


Script = Callable[[Talk, Recorded], None]


@dataclass
class RecordingUpstream:
    """`scripts` maps a path (without query) to what answers it; everything else gets `OK`."""

    scripts: dict[str, Script] = field(default_factory=dict)
    requests: list[Recorded] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    connections: int = 0

    def start(self) -> RecordingUpstream:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self) -> None:
        self._listener.close()

    def reset(self) -> None:
        self.requests.clear()
        self.scripts.clear()

    def answers(self, path: str, content: bytes, *, closes: bool = False) -> None:
        """Let `path` be answered by these bytes."""

        def script(talk: Talk, _: Recorded) -> None:
            talk.send(content)
            if closes:
                talk.close()

        self.scripts[path] = script

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        talk = Talk(sock, number)
        with sock:
            while not talk.ends:
                request = talk.read_request()
                if request is None:
                    return
                self.requests.append(request)
                script = self.scripts.get(request.target.partition("?")[0])
                try:
                    if script is None:
                        talk.send(OK)
                    else:
                        script(talk, request)
                except OSError:
                    return
