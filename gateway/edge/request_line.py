"""Parses the request line (RFC 9112 §3).

A target in absolute form is split: its host must equal Host's (see edge.request), and it is forwarded in origin form,
which is all that servers behind a gateway expect. `*` is accepted for OPTIONS only.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

from gateway.wire.authority import read_authority
from gateway.wire.failures import Failure
from gateway.wire.http1 import METHODS
from gateway.wire.target import is_safe_query, read_path

METHOD = re.compile(rb"[A-Z]{2,}(?:-[A-Z]{2,})*")  # also of methods that are not supported
ABSOLUTE_FORM = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)
SERVER_ITSELF = b"*"  # the target of an OPTIONS for no particular path, RFC 9112 §3.2.4
MAX_CARRIED = 16_000  # bytes; nginx.conf limits lines to 16 kB
METHOD_NAMES = {name.encode("ascii"): name for name in METHODS}


class RequestLine(NamedTuple):
    """A supported request line. `readings` is None if the target must be refused (see wire.target).

    `host` is the one of a target in absolute form, "" in others. `shape` is the line with `/` for its target.
    """

    method: str
    target: bytes
    readings: tuple[str, ...] | None
    is_http_1_1: bool
    host: str
    shape: bytes


def read_request_line(line: bytes, max_target_bytes: int, carriers: Container[bytes] = ()) -> RequestLine | Failure:
    """Parse the line. `carriers` are the paths whose query has another target in it, and so may be longer."""
    parts = line.split(b" ")
    if len(parts) != 3:
        return Failure.BAD_REQUEST
    verb, target, version = parts
    method = METHOD_NAMES.get(verb)
    is_http_1_1 = version == b"HTTP/1.1"
    if method is None or not (is_http_1_1 or version == b"HTTP/1.0"):
        return refusal(verb, version)
    is_carrier = target.partition(b"?")[0] in carriers
    if len(target) > (max(max_target_bytes, MAX_CARRIED) if is_carrier else max_target_bytes):
        return Failure.TARGET_TOO_LONG
    host = ""
    absolute = ABSOLUTE_FORM.fullmatch(target)
    if absolute is not None:
        named = read_authority(absolute[1])
        if named is None:
            return Failure.BAD_REQUEST
        host, target = named, origin_form(absolute[2], method)
    return RequestLine(method, target, read_target(target, method), is_http_1_1, host, b"%b / %b" % (verb, version))


def origin_form(rest: bytes, method: str) -> bytes:
    """Return the origin form of a target, given the part after the host (RFC 9112 §3.2.1 and §3.2.4)."""
    if not rest and method == "OPTIONS":
        return SERVER_ITSELF
    return rest if rest.startswith(b"/") else b"/" + rest


def read_target(target: bytes, method: str) -> tuple[str, ...] | None:
    if target == SERVER_ITSELF and method == "OPTIONS":
        return (SERVER_ITSELF.decode("ascii"),)
    path, _, query = target.partition(b"?")
    return read_path(path) if is_safe_query(query) else None


def refusal(verb: bytes, version: bytes) -> Failure:
    """Return the failure for an unsupported method or version."""
    if METHOD.fullmatch(verb) is None or re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version) is None:
        return Failure.BAD_REQUEST
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return Failure.HTTP_VERSION
    return Failure.METHOD_NOT_ALLOWED
