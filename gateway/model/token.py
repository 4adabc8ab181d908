"""Tokens and ids: creation, parsing and comparison.

A token is 256 random bits as 43 characters of base64url, kept in a cookie or mailed in a link. The store has only its
SHA-256, called its key. An id is public and reveals nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from gateway.model.secret import Secret

TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
TOKEN_BYTES = 32
ID_BYTES = 10


def new_token() -> Secret[str]:
    return Secret(secrets.token_urlsafe(TOKEN_BYTES))


def new_id(kind: str) -> str:
    """Return an id like acc_0123456789abcdef0123 (80 random bits)."""
    return f"{kind}_{secrets.token_hex(ID_BYTES)}"


def key_of(token: Secret[str]) -> bytes:
    """Return the key of a token that we made."""
    return hashlib.sha256(token.reveal().encode("ascii")).digest()


def digest(token: bytes) -> bytes | None:
    """Return the key of a token that was sent to us, or None if its format is wrong."""
    return hashlib.sha256(token).digest() if TOKEN.fullmatch(token) else None


def key_of_text(token: str) -> bytes | None:
    """The same for a token in a URL."""
    return digest(token.encode("ascii", "replace"))


def is_same(given: bytes, expected: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given, expected)
