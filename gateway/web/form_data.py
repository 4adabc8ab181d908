"""Parses submitted forms: urlencoded or multipart, in UTF-8 only.

The body is parsed here, in one pass. Charsets named by the client are not looked up: some of Python's codecs take
seconds, produce surrogates, or decompress. Content-Transfer-Encoding is not decoded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import web
from werkzeug.http import parse_options_header

from gateway.throttle.slices import Slices
from gateway.wire.http1 import HEAD_END, split_field

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_FIELDS = 1_000
READ_AT_ONCE = 4_096  # bytes: at most a millisecond, if all are escapes
ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
MAX_PART_HEAD = 2_048  # bytes, for a name, a file name and a type
MAX_BOUNDARY = 70  # characters, RFC 2046 §5.1.1
BROKEN = "\ufffd"  # replaces invalid UTF-8


class Part(NamedTuple):
    """One part of a multipart form. `filename` is None for a text field, "" if no file was chosen.

    `says_more`: the head has further fields, such as a type or an encoding.
    """

    name: str
    content: bytes
    filename: str | None
    says_more: bool = False


async def read_texts(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form, without those that occur twice: which one is meant is ambiguous.

    Raises HTTPUnsupportedMediaType, HTTPBadRequest if malformed, HTTPRequestEntityTooLarge beyond the application's
    limit.
    """
    media_type, options = parse_options_header(request.headers.get("Content-Type"))
    if media_type not in (URLENCODED, MULTIPART):
        raise web.HTTPUnsupportedMediaType
    if options.get("charset", "utf-8").lower() != "utf-8":
        raise web.HTTPBadRequest
    body = await request.read()
    try:
        pairs = await (
            read_urlencoded(body) if media_type == URLENCODED else texts_of(body, options.get("boundary", ""))
        )
    except ValueError as error:
        raise web.HTTPBadRequest from error
    if any(BROKEN in text or "\0" in text for pair in pairs for text in pair):
        raise web.HTTPBadRequest
    counts = Counter(name for name, _ in pairs)
    return {name: text for name, text in pairs if counts[name] == 1}


async def read_upload(request: web.Request, name: str, max_bytes: int) -> bytes:
    """Return the content of the file field `name`, b"" if there is none. Raises like `read_texts`."""
    media_type, options = parse_options_header(request.headers.get("Content-Type"))
    if media_type != MULTIPART:
        raise web.HTTPUnsupportedMediaType
    body = await request.clone(client_max_size=max_bytes).read()
    try:
        parts = read_multipart(body, options.get("boundary", ""))
    except ValueError as error:
        raise web.HTTPBadRequest from error
    return next((part.content for part in parts if part.filename is not None and part.name == name), b"")


async def read_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Parse names and values. Raises ValueError for invalid UTF-8 and for more than MAX_FIELDS."""
    fields = body.split(b"&")
    if len(fields) > MAX_FIELDS:
        raise ValueError("the form has too many fields")
    pairs, slices = list[tuple[str, str]](), Slices()
    for field in filter(None, fields):
        name, _, value = field.partition(b"=")
        pairs.append((await unescape(name, slices), await unescape(value, slices)))
    return pairs


async def unescape(field: bytes, slices: Slices) -> str:
    """Decode a name or value, in slices: 20,000 escapes take ten milliseconds."""
    field, read, at = field.replace(b"+", b" "), list[bytes](), 0
    while at < len(field):
        end = at + READ_AT_ONCE
        for back in (1, 2):  # don't split an escape
            if ESCAPE.match(field, end - back):
                end += 3 - back
                break
        read.append(unquote_to_bytes(field[at:end]))
        at = end
        await slices.pause()
    return b"".join(read).decode("utf-8")


async def texts_of(body: bytes, boundary: str) -> list[tuple[str, str]]:
    texts, slices = list[tuple[str, str]](), Slices()
    for part in parts_of(body, boundary):
        if part.filename is None:
            texts.append((part.name, part.content.decode("utf-8")))
        await slices.pause()
    return texts


def read_multipart(body: bytes, boundary: str) -> list[Part]:
    """Return the parts of a form. Raises ValueError if malformed."""
    return list(parts_of(body, boundary))


def parts_of(body: bytes, boundary: str) -> Iterator[Part]:
    """Yield the parts of a form as browsers send it (RFC 7578). Raises ValueError for anything else."""
    if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise ValueError("a boundary has 1 to 70 characters")
    delimiter = f"\r\n--{boundary}".encode("ascii")
    before, *parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 1)
    if before or not parts or parts.pop().strip(b"\r\n") != b"--":
        raise ValueError("the form does not begin or end with its boundary, or has too many parts")
    yield from map(read_part, parts)


def read_part(part: bytes) -> Part:
    """Parse the bytes between two boundaries. Raises ValueError if malformed."""
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
