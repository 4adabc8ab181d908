"""Reads what a form sent: urlencoded or multipart, as UTF-8 and nothing else.

The body is read whole and taken apart here, in one pass: no charset that a client names is looked up (Python knows
some that take seconds, make half characters, or unpack), and nothing within a part is decoded or unpacked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from aiohttp import web
from werkzeug.http import parse_options_header

from gateway.http1 import HEAD_END, split_field

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_FIELDS = 1_000
MAX_PART_HEAD = 2_048  # bytes; there stand a name, a file's name and a type
MAX_BOUNDARY = 70  # characters, RFC 2046 §5.1.1
BROKEN = "\ufffd"  # what stands for bytes that are no UTF-8


class Part(NamedTuple):
    """One part of a multipart form. `filename` is None for what is no file, "" where none was chosen.

    `says_more`: its head has further fields, so its content may be of some type or encoding.
    """

    name: str
    content: bytes
    filename: str | None
    says_more: bool = False


async def read_texts(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form. One that came twice is left out: neither can be meant.

    Raises HTTPBadRequest where the form is broken, HTTPRequestEntityTooLarge beyond the application's limit.
    """
    media_type, options = parse_options_header(request.headers.get("Content-Type"))
    if media_type not in (URLENCODED, MULTIPART):
        raise web.HTTPUnsupportedMediaType
    if options.get("charset", "utf-8").lower() != "utf-8":
        raise web.HTTPBadRequest
    body = await request.read()
    try:
        pairs = read_urlencoded(body) if media_type == URLENCODED else texts_of(body, options.get("boundary", ""))
    except ValueError as error:
        raise web.HTTPBadRequest from error
    if any(BROKEN in text or "\0" in text for pair in pairs for text in pair):
        raise web.HTTPBadRequest
    counts = Counter(name for name, _ in pairs)
    return {name: text for name, text in pairs if counts[name] == 1}


async def read_upload(request: web.Request, name: str, max_bytes: int) -> bytes:
    """Return the content of the file that was sent as `name`, b"" if none was. Raises as `read_texts` does."""
    media_type, options = parse_options_header(request.headers.get("Content-Type"))
    if media_type != MULTIPART:
        raise web.HTTPUnsupportedMediaType
    body = await request.clone(client_max_size=max_bytes).read()
    try:
        parts = read_multipart(body, options.get("boundary", ""))
    except ValueError as error:
        raise web.HTTPBadRequest from error
    return next((part.content for part in parts if part.filename is not None and part.name == name), b"")


def read_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Raises ValueError for bytes that are no UTF-8, and for too many fields."""
    text = body.decode("utf-8")
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")


def texts_of(body: bytes, boundary: str) -> list[tuple[str, str]]:
    return [
        (part.name, part.content.decode("utf-8")) for part in read_multipart(body, boundary) if part.filename is None
    ]


def read_multipart(body: bytes, boundary: str) -> list[Part]:
    """Return the parts of a form as browsers send it (RFC 7578). Raises ValueError for everything else."""
    if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise ValueError("a boundary has 1 to 70 characters")
    delimiter = f"\r\n--{boundary}".encode("ascii")
    before, *parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 1)
    if before or not parts or parts.pop().strip(b"\r\n") != b"--":
        raise ValueError("the form does not begin or end with its boundary, or has too many parts")
    return [read_part(part) for part in parts]


def read_part(part: bytes) -> Part:
    """Read what stands between two boundaries."""
    head, end, _ = part[: MAX_PART_HEAD + len(HEAD_END)].partition(HEAD_END)
    if not head.startswith(b"\r\n") or not end:
        raise ValueError("a part has no head, or a long one")
    fields = [split_field(line) for line in head[2:].split(b"\r\n")]
    said = [field[1] for field in fields if field is not None and field[0] == b"content-disposition"]
    if None in fields or len(said) != 1:
        raise ValueError("the head of a part is malformed")
    kind, options = parse_options_header(said[0].decode("utf-8"))
    if kind != "form-data" or "name" not in options:
        raise ValueError("a part without a name")
    return Part(options["name"], part[len(head) + len(end) :], options.get("filename"), len(fields) > 1)
