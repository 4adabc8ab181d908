"""The strict reader of JSON from providers.

It accepts one way to write a value, and takes time proportional to its length.
"""

from __future__ import annotations

import json
from typing import NoReturn

from gateway.sso.oidc.record import Refusal, Rejected

MAX_ITEMS = 5_000  # values in one text; large honest metadata has about 300
MAX_SHOWN = 300
MAX_DIGITS = 18  # converting long numbers takes quadratic time


class _NotJSON(ValueError):
    """The text is no JSON that we accept."""


def read_object(text: bytes, otherwise: Refusal) -> dict[str, object]:
    """Return a JSON object. Raises Rejected: DUPLICATE if it, or one in it, has a name twice; else `otherwise`."""
    # This bounds the depth too, together with the decoder's own limit.
    if sum(map(text.count, (b"{", b"[", b","))) > MAX_ITEMS:
        raise Rejected(otherwise)
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_read_pairs,
            parse_constant=_refuse,
            parse_int=_read_int,
            parse_float=_read_float,
        )
        if b"\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # halves of surrogate pairs can't be stored
    except (ValueError, RecursionError):
        raise Rejected(otherwise) from None
    if not isinstance(value, dict):
        raise Rejected(otherwise)
    return value


def _read_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Rejected(Refusal.DUPLICATE)
    return value


def _read_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _NotJSON
    return int(text)


def _read_float(text: str) -> float:
    if len(text) > 2 * MAX_DIGITS:
        raise _NotJSON
    value = float(text)
    if abs(value) > 10**MAX_DIGITS:  # 1e999 is infinite
        raise _NotJSON
    return value


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which only Python takes for JSON."""
    raise _NotJSON


def shown(text: str) -> str:
    """Return a provider's text as logs and pages may have it: one line, and not long."""
    return "".join(character for character in text[:MAX_SHOWN] if character.isprintable())
