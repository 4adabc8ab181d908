"""Challenges of ceremonies: good once, for five minutes, for one purpose, and for one attempt or session.

A challenge is kept by the page that asked for it, sealed together with its time, so that asking stores nothing. What is
stored is that it was answered (WebAuthn L3 §13.4.3).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.factors.passkey import rows
from gateway.store import Transaction

LIFE_SECONDS = 300
CHALLENGE_BYTES = 32
MAX_SEALED = 1_000  # characters


@dataclass(frozen=True, slots=True)
class Asking:
    """A challenge, and the sealed hex string of it that the page sends back."""

    challenge: bytes
    sealed: str


class Challenges:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def ask(self, purpose: str, holder: str, now: int) -> Asking:
        """Return a new challenge for `holder`, the id of an attempt or session. `now` is UTC seconds."""
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        sealed = self._sealer.seal(now.to_bytes(8) + challenge, Place("passkeys", purpose, holder))
        return Asking(challenge, sealed.hex())

    def open(self, purpose: str, holder: str, sealed: str, now: int) -> bytes | None:
        """Return the challenge that was sealed for this purpose and holder; None if it is no longer good."""
        if len(sealed) > MAX_SEALED:
            return None
        try:
            content = self._sealer.open(bytes.fromhex(sealed), Place("passkeys", purpose, holder))
        except (ValueError, Unopenable):
            return None
        asked_at, challenge = int.from_bytes(content[:8]), content[8:]
        if not now - LIFE_SECONDS < asked_at <= now + LIFE_SECONDS:
            return None
        return challenge

    async def take(self, tx: Transaction, purpose: str, holder: str, sealed: str, now: int) -> bytes | None:
        """The same, once: of concurrent requests, one gets the challenge."""
        challenge = self.open(purpose, holder, sealed, now)
        if challenge is None:
            return None
        is_first = await rows.is_first_answer(tx, sha256(challenge).digest(), now + 2 * LIFE_SECONDS)
        return challenge if is_first else None
