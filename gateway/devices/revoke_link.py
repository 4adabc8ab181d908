"""The signed link of a new-device mail. It ends one session, and is valid for seven days.

It needs no row for single use: once the session has ended, it has no effect.
"""

from __future__ import annotations

from collections.abc import Sequence

from itsdangerous import BadData, URLSafeTimedSerializer

from gateway.crypto.keys import derive
from gateway.model.clock import DAY
from gateway.model.secret import Secret

LIFE_SECONDS = 7 * DAY
PURPOSE = "device-revoke"


class RevokeLinks:
    """Signs with the first of `secrets`, verifies with any. `address` is the link's URL, without the token."""

    def __init__(self, secrets: Sequence[Secret[bytes]], address: str) -> None:
        keys = [derive(secret, PURPOSE, 32) for secret in reversed(secrets)]  # itsdangerous signs with the last
        self._serializer = URLSafeTimedSerializer(keys, salt=PURPOSE)
        self._address = address

    def address_for(self, session_id: str) -> str:
        token = self._serializer.dumps(session_id)
        return self._address + (token if isinstance(token, str) else token.decode("ascii"))

    def read(self, token: str) -> str | None:
        """Return the session's id, or None if the token has expired or its signature is invalid."""
        try:
            session_id = self._serializer.loads(token, max_age=LIFE_SECONDS)
        except BadData:
            return None
        return session_id if isinstance(session_id, str) else None
