"""Parses the Host field (RFC 9110 §7.2)."""

from __future__ import annotations

import re

AUTHORITY = re.compile(rb"([A-Za-z0-9](?:[A-Za-z0-9\-.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])\.?(?::([0-9]{1,5}))?")


def read_authority(value: bytes) -> str | None:
    """Return the host name in lower case, without the final dot and the port; None if malformed."""
    match = AUTHORITY.fullmatch(value)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 65_536):
        return None
    return match[1].decode("ascii").lower()
