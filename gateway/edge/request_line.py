"""What the first line of a request says (RFC 9112 §3)."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.edge.target import is_safe_query, read_path
from gateway.failures import Failure
from gateway.http1 import METHODS

METHOD = re.compile(rb"[A-Z]+(?:-[A-Z]+)*")  # what may be a method that is not served
METHOD_NAMES = {name.encode("ascii"): name for name in METHODS}


class RequestLine(NamedTuple):
    """A request line that is served; `readings` are None where the target is to be refused (see edge.target)."""

    method: str
    target: bytes
    readings: tuple[str, ...] | None
    is_http_1_1: bool


def read_request_line(line: bytes, max_target_bytes: int) -> RequestLine | Failure:
    parts = line.split(b" ")
    if len(parts) != 3:
        return Failure.BAD_REQUEST
    verb, target, version = parts
    method = METHOD_NAMES.get(verb)
    is_http_1_1 = version == b"HTTP/1.1"
    if method is None or not (is_http_1_1 or version == b"HTTP/1.0"):
        return refusal(verb, version)
    if len(target) > max_target_bytes:
        return Failure.TARGET_TOO_LONG
    path, _, query = target.partition(b"?")
    return RequestLine(method, target, read_path(path) if is_safe_query(query) else None, is_http_1_1)


def refusal(verb: bytes, version: bytes) -> Failure:
    """Name what is wrong with a request line that has another method or version than is served."""
    if METHOD.fullmatch(verb) is None or re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version) is None:
        return Failure.BAD_REQUEST
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return Failure.HTTP_VERSION
    return Failure.METHOD_NOT_ALLOWED
