"""The email that a person typed, carried to the next page in a sealed query parameter.

A plain one would stay in the browser's history and in the logs of proxies. The sealed one has a life of an hour, and is
made for every email alike: that it exists tells nothing about accounts. What it opens to only fills in a field.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.crypto.keys import derive
from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.model.base64url import decode_base64url, encode_base64url
from gateway.model.secret import Secret

PARAMETER = "for"
LIFE_SECONDS = 3_600
MAX_EMAIL = 320  # characters
MAX_SEALED = 2_000  # characters; 320 characters of four bytes, sealed and encoded
PLACE = Place("query", PARAMETER, "")


class CarriedEmail:
    """Has keys of its own: strangers can have any number of values sealed, which would wear out those of the store."""

    def __init__(self, secrets: Sequence[Secret[bytes]]) -> None:
        self._sealer = Sealer([Secret(derive(secret, "carried-email", 32)) for secret in secrets])

    def seal(self, email: str, now: int) -> str:
        """Return the value of the parameter, "" for no email. `now` is UTC seconds."""
        if not email:
            return ""
        return encode_base64url(self._sealer.seal(f"{now} {email[:MAX_EMAIL]}".encode(), PLACE))

    def open(self, sealed: str, now: int) -> str:
        """Return the email; "" if the value is empty, foreign or too old."""
        if not sealed or len(sealed) > MAX_SEALED:
            return ""
        try:
            at, _, email = self._sealer.open(decode_base64url(sealed) or b"", PLACE).decode().partition(" ")
        except Unopenable:
            return ""
        return email if now < int(at) + LIFE_SECONDS else ""
