"""The format of a provisioning token. Pure, except that a new one is random.

    otw_scim_ + 43 characters of base64url (256 random bits) + 6 characters of base32 (a CRC-32)

Scanners for leaked secrets recognise the prefix. The checksum refuses noise before the store is asked, and proves
nothing.
"""

from __future__ import annotations

import base64
import re
import zlib

from gateway.model.secret import Secret
from gateway.model.token import key_of, new_token

PREFIX = "otw_scim_"
TOKEN = re.compile(rf"({PREFIX}[A-Za-z0-9_-]{{43}})([a-z2-7]{{6}})")


def make() -> Secret[str]:
    content = f"{PREFIX}{new_token().reveal()}"
    return Secret(content + checksum(content))


def key_of_header(value: bytes) -> bytes | None:
    """Return the SHA-256 of the token of an Authorization header, or None if it can be none of ours."""
    scheme, _, given = value.decode("ascii", "replace").partition(" ")
    match = TOKEN.fullmatch(given.strip(" "))
    if scheme.lower() != "bearer" or match is None or checksum(match[1]) != match[2]:
        return None
    return key_of(Secret(match[0]))


def hint_of(token: Secret[str]) -> str:
    """Return how a token begins: 24 of its 256 random bits."""
    return token.reveal()[: len(PREFIX) + 4]


def checksum(content: str) -> str:
    crc = zlib.crc32(content.encode("ascii")).to_bytes(4, "big")
    return base64.b32encode(crc).decode("ascii").lower()[:6]
