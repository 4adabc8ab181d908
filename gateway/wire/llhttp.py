"""Asks llhttp, Node.js's parser, whether it accepts a head. Our own rules are stricter; this is a second opinion."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser


class _Listener:
    """Callbacks of llhttp: none, since only acceptance matters."""


_LISTENER = _Listener()


def accepts_request(head: bytes) -> bool:
    """Return whether llhttp accepts a whole head. A new parser for each is faster than resetting one."""
    return accepts(HttpRequestParser(_LISTENER), head)


def accepts_response(head: bytes) -> bool:
    return accepts(HttpResponseParser(_LISTENER), head)


def accepts(parser: HttpRequestParser | HttpResponseParser, head: bytes) -> bool:
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        return True
    except HttpParserError:
        return False
    return True
