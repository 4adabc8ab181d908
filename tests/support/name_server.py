"""A DNS server on loopback, over UDP and TCP, that answers what a test says: records, errors, lies, or nothing."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.message import Message

Answer = Callable[[Message, bool], bytes | None]
"""Returns the bytes that answer a question, over TCP or not; None leaves it unanswered."""
LARGEST = 512  # bytes over UDP; RFC 1035 §4.2.1


def records(kind: str, *texts: str) -> Answer:
    """Answer with records of a kind, as in a zone file."""
    return lambda query, is_tcp: pack(with_records(query, kind, *texts), is_tcp)


def txt(*values: str) -> Answer:
    return records("TXT", *(f'"{value}"' for value in values))


def alias(target: str, *values: str) -> Answer:
    """Answer as a resolver that follows a CNAME: with the alias, and with the records of its target."""

    def answer(query: Message, is_tcp: bool) -> bytes:
        reply = with_records(query, "CNAME", f"{target}.")
        if values:
            texts = [f'"{value}"' for value in values]
            reply.answer.append(dns.rrset.from_text_list(f"{target}.", 60, "IN", "TXT", texts))
        return pack(reply, is_tcp)

    return answer


def failing(code: dns.rcode.Rcode) -> Answer:
    def answer(query: Message, is_tcp: bool) -> bytes:
        reply = dns.message.make_response(query)
        reply.set_rcode(code)
        return pack(reply, is_tcp)

    return answer


def silent(query: Message, is_tcp: bool) -> None:
    """Leave every question unanswered."""


def with_records(query: Message, kind: str, *texts: str) -> Message:
    reply = dns.message.make_response(query)
    if texts:
        reply.answer.append(dns.rrset.from_text_list(query.question[0].name, 60, "IN", kind, list(texts)))
    return reply


def pack(reply: Message, is_tcp: bool) -> bytes:
    """Return a reply's bytes; over UDP, one that is too long is cut, so that the client asks again over TCP."""
    wire = reply.to_wire(max_size=65_535)
    if is_tcp or len(wire) <= LARGEST:
        return wire
    reply.answer.clear()
    reply.flags |= dns.flags.TC
    return reply.to_wire()


class NameServer:
    """`answers` are by name, in lower case and without the last dot; other names don't exist. `asked` is what came."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, bool]] = []
        self._udp, self._tcp = bind()
        self.address = f"127.0.0.1:{self._udp.getsockname()[1]}"
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve_udp, self._serve_tcp)]

    @contextlib.contextmanager
    def running(self) -> Iterator[NameServer]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            for sock in (self._udp, self._tcp):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            for thread in self._threads:
                thread.join()

    def _answer(self, data: bytes, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, is_tcp))
        return self.answers.get(name, failing(dns.rcode.NXDOMAIN))(query, is_tcp)

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                data, client = self._udp.recvfrom(4_096)
                if not data:
                    return
                if (reply := self._answer(data, False)) is not None:
                    self._udp.sendto(reply, client)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._tcp.accept()
                with client, contextlib.suppress(ConnectionError), client.makefile("rb") as stream:
                    head = stream.read(2)
                    if len(head) < 2:  # it has lost its patience
                        continue
                    (length,) = struct.unpack("!H", head)
                    if (reply := self._answer(stream.read(length), True)) is not None:
                        client.sendall(struct.pack("!H", len(reply)) + reply)
                    else:
                        stream.read()  # silence, until the client has lost its patience


def bind() -> tuple[socket.socket, socket.socket]:
    """Return sockets for UDP and TCP on the same free port."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        return udp, tcp
