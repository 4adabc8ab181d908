"""Strict readers of base64url, JSON and CBOR, for untrusted input.

Each accepts one way to write a value, takes time proportional to its input, and raises `Rejected` and nothing else. The
CBOR is that of authenticators (FIDO CTAP 2.2 §8). General decoders also accept tags, which build dates, regular
expressions or shared references, and say nothing of what follows the value.
"""

from __future__ import annotations

import json
from typing import NoReturn

from gateway.factors.passkey.record import Refusal, Rejected
from gateway.model.base64url import decode_base64url

MAX_ITEMS = 256  # values in one text; honest answers have fewer than 60
MAX_DEPTH = 4  # FIDO CTAP 2.2 §8

NUMBER = object()
SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}


def malformed() -> Rejected:
    return Rejected(Refusal.MALFORMED)


def read_bytes(text: object) -> bytes:
    """Return the bytes that WebAuthn writes into JSON as base64url."""
    value = decode_base64url(text) if isinstance(text, str) else None
    if value is None:
        raise malformed()
    return value


def decode_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed() from None


def decode_json(text: str) -> dict[str, object]:
    """Decode a JSON object without duplicate keys. Each number becomes NUMBER: no field that we use is one."""
    # This bounds the depth too, before the decoder descends.
    if sum(map(text.count, "{[,")) > MAX_ITEMS:
        raise malformed()
    try:
        value = json.loads(
            text,
            object_pairs_hook=_read_object,
            parse_constant=_refuse,
            parse_int=_ignore,
            parse_float=_ignore,
        )
    except ValueError:
        raise malformed() from None
    if not isinstance(value, dict):
        raise malformed()
    return value


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise malformed()
    return value


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which only Python takes for JSON."""
    raise malformed()


def _ignore(number: str) -> object:
    """Leave a number alone: converting long ones takes quadratic time."""
    return NUMBER


def decode_cbor(data: bytes) -> object:
    """Decode one value, which must be all of `data`."""
    reader = CBORReader(data)
    value = reader.read()
    if reader.at != len(data):
        raise malformed()
    return value


class CBORReader:
    """Reads values one after the other. `at` is the position, in bytes."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.at = at
        self._data = data
        self._left = MAX_ITEMS

    def take(self, length: int) -> bytes:
        """Return the next bytes as they are."""
        end = self.at + length
        if end > len(self._data):
            raise malformed()
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def read(self, depth: int = 0) -> object:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise malformed()
        head = self.take(1)[0]
        if head in SIMPLE:
            return SIMPLE[head]
        argument = self._read_argument(head & 0x1F)
        match head >> 5:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self.take(argument)
            case 3:
                return decode_text(self.take(argument))
            case 4:
                return [self.read(depth + 1) for _ in range(argument)]
            case 5:
                return self._read_map(argument, depth + 1)
            case _:  # tags, floats, other simple values
                raise malformed()

    def _read_argument(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:  # reserved, or an indefinite length
            raise malformed()
        return int.from_bytes(self.take(1 << (short - 24)))

    def _read_map(self, length: int, depth: int) -> dict[int | str, object]:
        value: dict[int | str, object] = {}
        for _ in range(length):
            key = self.read(depth)
            # True and 1 would be the same key.
            if isinstance(key, bool) or not isinstance(key, int | str) or key in value:
                raise malformed()
            value[key] = self.read(depth)
        return value
