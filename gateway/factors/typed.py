"""Normalises codes that people type or paste.

Input may have full-width characters (NFKC makes them ASCII), digits of another script, spaces and hyphens between
groups, or invisible characters such as a zero-width space.
"""

from __future__ import annotations

import unicodedata

from gateway.model.secret import Secret

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I and O, which look alike
MOST_CHARACTERS = 200  # longer than any code with its separators


def read_code(given: Secret[str]) -> str:
    """Return only the letters A to Z and digits 0 to 9 of a code, in upper case."""
    return "".join(map(read_character, unicodedata.normalize("NFKC", given.reveal()[:MOST_CHARACTERS])))


def read_digits(given: Secret[str]) -> str:
    return "".join(filter(str.isdigit, read_code(given)))


def read_character(char: str) -> str:
    """Return one upper-case ASCII letter or digit, or ""."""
    if char.isascii():
        return char.upper() if char.isalnum() else ""
    return str(unicodedata.decimal(char, ""))
