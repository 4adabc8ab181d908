"""Time-based one-time codes (RFC 6238): six digits, 30 seconds, SHA-1, one step of drift either way. Pure functions,
except new_secret.

The step of a code shows how far the phone's clock is off. If several codes in a row are one step off in the same
direction, the page warns that the clock drifts, before codes are refused. Older steps are checked too, to report
"your clock is slow" instead of "wrong". Later steps are not: that would confirm a guess that can still be used.
"""

from __future__ import annotations

import base64
import secrets
from enum import StrEnum

import pyotp

from gateway.model.secret import Secret
from gateway.model.token import is_same

PERIOD = 30  # seconds
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 §4, R6
OFFSETS = (0, -1, 1)
LOOK_BACK = range(2, 41)  # steps: 20 minutes
PERSISTENT = 3  # consecutive uses that were off in the same direction


class Clock(StrEnum):
    """The state of a phone's clock, by its latest codes."""

    RIGHT = "right"
    SLOW = "slow"
    FAST = "fast"


def new_secret() -> Secret[bytes]:
    return Secret(secrets.token_bytes(SECRET_BYTES))


def write_key(secret: Secret[bytes]) -> str:
    """Return the secret for typing into an app: base32 without padding (RFC 4648 §6)."""
    return base64.b32encode(secret.reveal()).decode("ascii").rstrip("=")


def provisioning_uri(secret: Secret[bytes], identifier: str, issuer: str) -> str:
    """Return the `otpauth://` URI of the QR code."""
    return pyotp.TOTP(write_key(secret), digits=DIGITS, interval=PERIOD).provisioning_uri(
        name=identifier, issuer_name=issuer
    )


def code_at(secret: Secret[bytes], step: int) -> str:
    return pyotp.HOTP(write_key(secret), digits=DIGITS).at(step)


def find_step(secret: Secret[bytes], code: str, now: int) -> int | None:
    """Return the time step of `code` if it is within the accepted drift (OFFSETS), otherwise None."""
    current = now // PERIOD
    found = [step for step in (current + off for off in OFFSETS) if is_equal(code, code_at(secret, step))]
    return found[0] if found else None


def minutes_late(secret: Secret[bytes], code: str, now: int) -> int:
    """Return how many minutes ago `code` was right, or 0 if it wasn't within LOOK_BACK."""
    current = now // PERIOD
    late = [back for back in LOOK_BACK if is_equal(code, code_at(secret, current - back))]
    return -(-late[0] * PERIOD // 60) if late else 0


def is_equal(given: str, expected: str) -> bool:
    return is_same(given.encode("utf-8", "replace"), expected.encode("ascii"))


def next_drift(drift: int, offset: int) -> int:
    """Update the number of consecutive uses that were off in the same direction, negative for a slow clock."""
    if offset == 0:
        return 0
    return drift + offset if drift * offset > 0 else offset


def clock_of(drift: int) -> Clock:
    if abs(drift) < PERSISTENT:
        return Clock.RIGHT
    return Clock.SLOW if drift < 0 else Clock.FAST
