"""base64url without padding (RFC 7515 §2), as JOSE and WebAuthn write bytes. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode_base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes | None:
    """Decode what encode_base64url returns, and no other spelling of the same bytes."""
    try:
        value = urlsafe_b64decode(text + "==")  # too much padding is ignored
    except ValueError:
        return None
    return value if encode_base64url(value) == text else None
