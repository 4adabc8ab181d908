"""The fields of a form that waits for a fresh proof, carried there and back in a sealed query parameter.

In plain parameters, any link could fill the form in: an employee's link, with themselves as an admin in it, would need
nothing but an administrator who presses “Save”. What is sealed opens only for the account that submitted the form, and
for an hour. It stays out of logs and the browser's history as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.crypto.keys import derive
from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.model.base64url import decode_base64url, encode_base64url
from gateway.model.secret import Secret

PARAMETER = "form"
LIFE_SECONDS = 3_600
MAX_BYTES = 6_000  # of the fields; longer ones are lost. An API token's longest form has 5,000
MAX_SEALED = 8_500  # characters

CARRIED: web.RequestKey[Mapping[str, str]] = web.RequestKey("carried", Mapping)


class CarriedForm:
    """`account` is the id of the account that submitted the form, `now` UTC seconds."""

    def __init__(self, secrets: Sequence[Secret[bytes]]) -> None:
        self._sealer = Sealer([Secret(derive(secret, "carried-form", 32)) for secret in secrets])

    def seal(self, fields: Mapping[str, str], account: str, now: int) -> str:
        """Return the value of the parameter, "" for no fields, and for too long ones."""
        content = json.dumps([now, dict(fields)]).encode()
        if not fields or len(content) > MAX_BYTES:
            return ""
        return encode_base64url(self._sealer.seal(content, place_of(account)))

    def open(self, sealed: str, account: str, now: int) -> Mapping[str, str]:
        """Return the fields; none if the value is empty, of another account, or too old."""
        if not sealed or len(sealed) > MAX_SEALED:
            return {}
        try:
            content = self._sealer.open(decode_base64url(sealed) or b"", place_of(account))
        except Unopenable:
            return {}
        sealed_at: int
        fields: dict[str, str]
        sealed_at, fields = json.loads(content)
        return fields if now < sealed_at + LIFE_SECONDS else {}


def place_of(account: str) -> Place:
    return Place("query", PARAMETER, account)


def carried_of(request: web.Request) -> Mapping[str, str]:
    """Return what came back with a request to a page whose form may wait for a fresh proof (see Guards)."""
    found: Mapping[str, str] = request.get(CARRIED, {})
    return found
