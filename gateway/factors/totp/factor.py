"""TOTP: a code of the authenticator app.

Each code is accepted once (RFC 6238 §5.2): the step of the last accepted code is stored, by a conditional UPDATE that
only accepts a later step, so of concurrent requests one succeeds. A stored step in the future was written while this
machine's clock was ahead. It is ignored, or this phone would be refused until that time.
"""

from __future__ import annotations

from sqlalchemy import or_, select, update

from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.factors import enrolment
from gateway.factors.contract import Asked, FactorContract, News, Panel, Reason, Right, SetUp, Summary, Wrong
from gateway.factors.totp.codes import OFFSETS, PERIOD, find_step, minutes_late, new_secret, next_drift
from gateway.factors.totp.rows import demand, find_enrolment, forget, put
from gateway.factors.typed import read_digits
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Enrolled, Factor
from gateway.model.factor_policy import Second, accepts_only_passkeys
from gateway.model.secret import Secret
from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.observe.logs import get_logger
from gateway.store import Transaction
from gateway.store.schema import totp

log = get_logger("totp")

PENDING_SECONDS = 3_600
PENDING_PLACE = "pending"


class TOTPFactor(FactorContract):
    name = Factor.TOTP
    page = "totp"

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    label = Sentence("authenticator app")
    means = Sentence("an authenticator app")

    def is_usable(self, enrolled: Enrolled, second: Second) -> bool:
        """Not instead of a passkey where only that counts: a person can be talked into typing a code elsewhere."""
        return not accepts_only_passkeys(second, enrolled)

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

    # Enrolment. The new secret is sealed in the form, and stored only with its first right code.

    def offer(self, account: str, now: int) -> tuple[Secret[bytes], str]:
        """Return a new secret, and the sealed hex string of it that `enrol` takes."""
        secret = new_secret()
        sealed = self._sealer.seal(now.to_bytes(8) + secret.reveal(), Place("totp", PENDING_PLACE, account))
        return secret, sealed.hex()

    def reopen(self, account: str, offered: str, now: int) -> Secret[bytes] | None:
        """Unseal a secret that was offered to this account within the last hour; otherwise return None."""
        try:
            content = self._sealer.open(bytes.fromhex(offered), Place("totp", PENDING_PLACE, account))
        except (ValueError, Unopenable):
            return None
        is_recent = now - int.from_bytes(content[:8]) < PENDING_SECONDS
        return Secret(content[8:]) if is_recent else None

    async def enrol(
        self, tx: Transaction, account: Account, offered: str, given: Secret[str], now: int
    ) -> SetUp | Wrong:
        secret = self.reopen(account.id, offered, now)
        if secret is None or not await self.confirm(tx, account.id, secret, given, now):
            return Wrong()
        return SetUp(News(Event.TWO_FACTOR_ENABLED, "totp_enabled"))

    async def forget(self, tx: Transaction, account: str) -> bool:
        return await forget(tx, account)

    async def panel(self, tx: Transaction, session: Session, used_at: int | None) -> Panel | None:
        may_turn_off = session.second.is_met_by(session.enrolled.without(self.name))
        facts = {"enrolment": await find_enrolment(tx, session.account), "may_turn_off": may_turn_off}
        return Panel("totp/panel.html", facts)

    async def summarise(self, tx: Transaction, account: str) -> list[Summary]:
        found = await find_enrolment(tx, account)
        return [Summary(self.name, found.confirmed_at, found.used_at)] if found.is_enrolled else []

    async def reset(self, tx: Transaction, account: str, now: int, *, is_owner: bool) -> None:
        """Remove it. Members must enrol again at the next sign-in; owners must always, after the mailed link."""
        if is_owner:
            await forget(tx, account)
        else:
            await demand(tx, account, now)

    async def confirm(self, tx: Transaction, account: str, secret: Secret[bytes], given: Secret[str], now: int) -> bool:
        """Store `secret` and consume the code, if it is right. Returns whether it was."""
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
        await enrolment.add(tx, account, Factor.TOTP)
        await put(tx, account, values)
        return True


def place(account: str) -> Place:
    return Place("totp", "secret", account)
