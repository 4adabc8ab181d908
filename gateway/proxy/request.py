"""Writes the request head for the upstream: forwarded lines, then identity, each exactly once."""

from __future__ import annotations

from gateway.model.inbound import CHUNKED, Inbound
from gateway.wire.http1 import leave_out

WITHOUT_BODY = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))  # other methods send a length of 0 too, RFC 9110 §8.6


class RequestWriter:
    """`scheme` is that of the public URL, whatever proxies are in between.

    `fixed` are the field lines of every request, each ending in CRLF.
    """

    def __init__(self, scheme: str, fixed: bytes = b"") -> None:
        self._scheme = scheme.encode("ascii")
        self._fixed = fixed
        self._of_host: dict[str, bytes] = {}  # the configured hosts are few

    def head(self, inbound: Inbound, more: bytes) -> bytes:
        """Return the whole head. `more` are further field lines, each ending in CRLF, such as the identity."""
        if inbound.length or inbound.is_websocket or inbound.method not in WITHOUT_BODY:
            more = framing_of(inbound) + more
        host = inbound.host
        forwarded = self._of_host.get(host) or self._write_host(host)
        # An unknown address (behind a Unix socket) is left out: the upstream might trust a made-up one.
        sender = b"X-Forwarded-For: %b\r\n" % inbound.address.encode("ascii") if inbound.address else b""
        first = b"%b %b HTTP/1.1\r\n%b%bX-Request-Id: %b" % (
            inbound.method.encode("ascii"),
            inbound.target,
            forwarded,
            sender,
            inbound.request_id.encode("ascii"),
        )
        lines = leave_out(inbound.lines, inbound.nominated) if inbound.nominated else inbound.lines
        # One join copies the bytes once.
        return b"\r\n".join([first, *lines, more, b""])

    def _write_host(self, host: str) -> bytes:
        """Return the Host and X-Forwarded-* lines, without the address. Those of clients may be forged."""
        authority = host.encode("ascii")
        lines = self._of_host[host] = b"Host: %b\r\n%bX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
            authority,
            self._fixed,
            self._scheme,
            authority,
        )
        return lines


def framing_of(inbound: Inbound) -> bytes:
    if inbound.is_websocket:
        return b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    if inbound.length == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % inbound.length
