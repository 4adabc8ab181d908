"""Time-based one-time codes (RFC 6238): six digits, 30 seconds, SHA-1, one step of drift either way.

A code is good once. The step of the last accepted code is stored, and only a later one is taken; the statement that
stores it is the verdict, so of fifty equal requests at once one succeeds (RFC 6238 §5.2). A stored step ahead of every
code that could be right now was made while this machine's clock was ahead. It binds nothing, or this phone would be
refused until the clock is there again.

How far a phone's clock is off shows in which step its codes belong to. Always the step before or always the one after
is a clock that drifts, and is said to the person where they type the code, before it drifts out of reach. Steps further
back are looked at to say "your clock is slow" rather than "wrong"; steps ahead are not, for a guess confirmed there
could still be used.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pyotp
from sqlalchemy import delete, or_, select, update

from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.factors.contract import Asked, Reason, Right, Wrong
from gateway.factors.typed import read_digits
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.model.token import is_same
from gateway.observe.logs import get_logger
from gateway.store import Transaction
from gateway.store.schema import totp
from gateway.store.stored import AS_IT_WAS, Kept, Sealed, Stored
from gateway.store.upsert import upsert

log = get_logger("totp")

PERIOD = 30  # seconds
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 §4, R6
OFFSETS = (0, -1, 1)
LOOK_BACK = range(2, 41)  # steps: 20 minutes
PERSISTENT = 3  # uses in a row that were off in the same direction
PENDING_SECONDS = 3_600
PENDING_PLACE = "pending"


class Clock(StrEnum):
    """What a phone's clock is, by the codes that it made lately."""

    RIGHT = "right"
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the security page shows. Times are UTC seconds; `drift` counts uses in a row that were off one way."""

    is_enrolled: bool
    is_demanded: bool
    confirmed_at: int | None
    used_at: int | None
    drift: int

    @property
    def clock(self) -> Clock:
        if abs(self.drift) < PERSISTENT:
            return Clock.RIGHT
        return Clock.SLOW if self.drift < 0 else Clock.FAST


NOT_ENROLLED = Enrolment(False, False, None, None, 0)


def new_secret() -> Secret[bytes]:
    return Secret(secrets.token_bytes(SECRET_BYTES))


def write_key(secret: Secret[bytes]) -> str:
    """Return the secret as people type it into their app: base32 without padding (RFC 4648 §6)."""
    return base64.b32encode(secret.reveal()).decode("ascii").rstrip("=")


def provisioning_uri(secret: Secret[bytes], identifier: str, issuer: str) -> str:
    """Return the `otpauth://` address that authenticator apps read from the QR code."""
    return pyotp.TOTP(write_key(secret), digits=DIGITS, interval=PERIOD).provisioning_uri(
        name=identifier, issuer_name=issuer
    )


def code_at(secret: Secret[bytes], step: int) -> str:
    return pyotp.HOTP(write_key(secret), digits=DIGITS).at(step)


def find_step(secret: Secret[bytes], code: str, now: int) -> int | None:
    """Return the step that `code` belongs to, within the drift that is forgiven."""
    current = now // PERIOD
    found = [step for step in (current + off for off in OFFSETS) if is_equal(code, code_at(secret, step))]
    return found[0] if found else None


def minutes_late(secret: Secret[bytes], code: str, now: int) -> int:
    """Return how many minutes ago `code` was right, 0 if it was not lately."""
    current = now // PERIOD
    late = [back for back in LOOK_BACK if is_equal(code, code_at(secret, current - back))]
    return -(-late[0] * PERIOD // 60) if late else 0


def is_equal(given: str, expected: str) -> bool:
    return is_same(given.encode("utf-8", "replace"), expected.encode("ascii"))


def next_drift(drift: int, offset: int) -> int:
    """Return the count of uses in a row that were off in one direction, negative for a slow clock."""
    if offset == 0:
        return 0
    return drift + offset if drift * offset > 0 else offset


class TOTPFactor:
    """Verifies codes, and keeps the secrets, sealed."""

    factor = Factor.TOTP

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def verify(self, tx: Transaction, asked: Asked, given: Secret[str], now: int) -> Right | Wrong:
        query = select(totp.c.secret, totp.c.last_step, totp.c.drift).where(totp.c.account == asked.account)
        row = (await tx.execute(query)).one_or_none()
        if row is None or row.secret is None:
            return Wrong()
        secret = Secret(self._sealer.open(row.secret, place(asked.account)))
        code = read_digits(given)
        step = find_step(secret, code, now)
        if step is None:
            minutes = minutes_late(secret, code, now)
            return Wrong(Reason.LATE, minutes) if minutes else Wrong()
        drift = next_drift(row.drift, step - now // PERIOD)
        newest = now // PERIOD + max(OFFSETS)
        if row.last_step > newest:
            log.warning("totp_step_ahead", account=asked.account, minutes=(row.last_step - newest) * PERIOD // 60)
        statement = (
            update(totp)
            .where(totp.c.account == asked.account, or_(totp.c.last_step < step, totp.c.last_step > newest))
            .values(last_step=step, used_at=now, drift=drift)
        )
        if (await tx.execute(statement)).rowcount != 1:
            return Wrong(Reason.USED)
        return Right()

    # Setting up. The secret travels sealed in the form itself, and becomes real with its first right code.

    def offer(self, account: str, now: int) -> tuple[Secret[bytes], str]:
        """Return a new secret, and the sealed form of it that `enrol` takes back."""
        secret = new_secret()
        sealed = self._sealer.seal(now.to_bytes(8) + secret.reveal(), Place("totp", PENDING_PLACE, account))
        return secret, sealed.hex()

    def reopen(self, account: str, offered: str, now: int) -> Secret[bytes] | None:
        """Return the secret that was offered to this account within the last hour."""
        try:
            content = self._sealer.open(bytes.fromhex(offered), Place("totp", PENDING_PLACE, account))
        except (ValueError, Unopenable):
            return None
        is_recent = now - int.from_bytes(content[:8]) < PENDING_SECONDS
        return Secret(content[8:]) if is_recent else None

    async def enrol(self, tx: Transaction, account: str, secret: Secret[bytes], given: Secret[str], now: int) -> bool:
        """Make `secret` the account's if the code is right; the code is used up. Returns whether it was."""
        step = find_step(secret, read_digits(given), now)
        if step is None:
            return False
        values = {
            "secret": self._sealer.seal(secret.reveal(), place(account)),
            "demanded_at": None,
            "confirmed_at": now,
            "used_at": now,
            "last_step": step,
            "drift": 0,
        }
        await put(tx, account, values)
        return True


def place(account: str) -> Place:
    return Place("totp", "secret", account)


async def find_enrolment(tx: Transaction, account: str) -> Enrolment:
    query = select(
        totp.c.secret.is_not(None).label("is_enrolled"),
        totp.c.demanded_at,
        totp.c.confirmed_at,
        totp.c.used_at,
        totp.c.drift,
    ).where(totp.c.account == account)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return NOT_ENROLLED
    is_demanded = row.demanded_at is not None
    return Enrolment(bool(row.is_enrolled), is_demanded, row.confirmed_at, row.used_at, row.drift)


async def forget(tx: Transaction, account: str) -> bool:
    """Turn it off. Returns whether it was on."""
    statement = delete(totp).where(totp.c.account == account).returning(totp.c.secret)
    return (await tx.execute(statement)).scalar_one_or_none() is not None


async def demand(tx: Transaction, account: str, now: int) -> None:
    """Take it away, to be set up again at the next sign-in."""
    values = {
        "secret": None,
        "demanded_at": now,
        "confirmed_at": None,
        "used_at": None,
        "last_step": 0,
        "drift": 0,
    }
    await put(tx, account, values)


async def put(tx: Transaction, account: str, values: Mapping[str, object]) -> None:
    statement = upsert(tx, totp).values(account=account, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["account"], set_=dict(values)))


STORED = (
    Stored(
        totp,
        Kept("as long as its account"),
        AS_IT_WAS,
        Sealed(totp.c.secret, totp.c.secret.is_not(None), "totp", "TOTP secrets", is_vital=True),
    ),
)
