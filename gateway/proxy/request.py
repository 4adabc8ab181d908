"""Writes the request head for the upstream: forwarded lines, then identity, each exactly once."""

from __future__ import annotations

from gateway.model.inbound import CHUNKED, Inbound
from gateway.wire.http1 import leave_out

MAX_CACHED = 10_000
WITHOUT_BODY = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))  # other methods send a length of 0 too, RFC 9110 §8.6


class RequestWriter:
    """`scheme` is that of the public URL, whatever proxies are in between.

    `fixed` are the field lines of every request, each ending in CRLF.
    """

    def __init__(self, scheme: str, fixed: bytes = b"") -> None:
        self._scheme = scheme.encode("ascii")
        self._fixed = fixed
        self._forwarded: dict[tuple[str, str], bytes] = {}

    def head(self, inbound: Inbound, more: bytes) -> bytes:
        """Return the whole head. `more` are further field lines, each ending in CRLF, such as the identity."""
        if inbound.length or inbound.is_websocket or inbound.method not in WITHOUT_BODY:
            more = framing_of(inbound) + more
        request_line = b"%b %b HTTP/1.1" % (inbound.method.encode("ascii"), inbound.target)
        host, address = inbound.host, inbound.address
        forwarded = self._forwarded.get((host, address)) or self._forwarded_lines(host, address)
        request_id = b"X-Request-Id: " + inbound.request_id.encode("ascii")
        lines = leave_out(inbound.lines, inbound.nominated) if inbound.nominated else inbound.lines
        # One join copies the bytes once.
        return b"\r\n".join([request_line, forwarded, *lines, request_id, more, b""])

    def _forwarded_lines(self, host: str, address: str) -> bytes:
        """Return the Host and X-Forwarded-* lines. The client's own are replaced, since they may be forged.

        An unknown address (behind a Unix socket) is left out, because the upstream might trust a made-up one.
        """
        if len(self._forwarded) >= MAX_CACHED:
            self._forwarded.clear()
        authority = host.encode("ascii")
        lines = self._forwarded[host, address] = b"Host: %b\r\n%b%bX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b" % (
            authority,
            self._fixed,
            b"X-Forwarded-For: %b\r\n" % address.encode("ascii") if address else b"",
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
