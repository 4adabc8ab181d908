"""Tokens and ids: made, recognised and compared here alone.

A token is 256 random bits in 43 characters of base64url. A browser keeps it in a cookie, or a mail carries it in a
link; the store knows only its SHA-256, the token's key. An id is public and tells nothing.
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
    """Return the key of a token that was made here."""
    return hashlib.sha256(token.reveal().encode("ascii")).digest()


def digest(token: bytes) -> bytes | None:
    """Return the key of a token that was sent to us, or None if it can't be one of ours."""
    return hashlib.sha256(token).digest() if TOKEN.fullmatch(token) else None


def key_of_text(token: str) -> bytes | None:
    """The same of one that stood in an address."""
    return digest(token.encode("ascii", "replace"))


def is_same(given: bytes, expected: bytes) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given, expected)
