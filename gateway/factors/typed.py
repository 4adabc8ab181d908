"""Codes as people type, paste or dictate them, read as they are written.

What comes from a keyboard or another program may be full-width (NFKC makes it narrow), in the digits of another script,
in groups, or with marks that can't be seen: a left-to-right mark, a zero-width space. None of it carries anything.
"""

from __future__ import annotations

import unicodedata

from gateway.model.secret import Secret

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no two of them look alike
MOST_CHARACTERS = 200  # longer than any code, whatever stands between its characters


def read_code(given: Secret[str]) -> str:
    """Return the letters A to Z and the digits 0 to 9 of a code, in upper case."""
    return "".join(map(read_character, unicodedata.normalize("NFKC", given.reveal()[:MOST_CHARACTERS])))


def read_digits(given: Secret[str]) -> str:
    return "".join(filter(str.isdigit, read_code(given)))


def read_character(char: str) -> str:
    """Return a letter or digit of ASCII, or nothing."""
    if char.isascii():
        return char.upper() if char.isalnum() else ""
    return str(unicodedata.decimal(char, ""))
