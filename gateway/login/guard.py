"""The one place through which every code passes: it limits, counts, and writes down what was refused.

Who guesses codes knows the password already. Three counts stand in the way, all of them shared by all workers:

- so many failures in a quarter of an hour for an account from an address, as for passwords;
- as many times more for an address, whatever the account;
- failures of a factor in a row for an account, from anywhere: after the fifth there are waits that double, and after
  the hundredth the factor is not asked for any more until it is reset. A right code begins the count anew.

A device (address and browser) that signed in before has a row of its own in the last count, and a bucket of its own
instead of the first two. So the people whom an account belongs to go on working while somebody else is guessing.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.audit import rows as audit
from gateway.factors.contract import Reason, Wrong
from gateway.login.outcome import Blocked, LockedOut
from gateway.model.account import Account
from gateway.model.event import Event, entry_of
from gateway.model.factor import Factor
from gateway.model.inbound import Inbound
from gateway.sessions import rows as session_rows
from gateway.store import Transaction
from gateway.throttle import limits, streaks
from gateway.throttle.limits import Limit, Locked, address_bucket, for_known

ADDRESS_FACTOR = 10  # an office has one address and many people
FREE_FAILURES = 4
FIRST_WAIT = 15  # seconds
LONGEST_WAIT = 3_600
MOST_FAILURES = 100  # NIST SP 800-63B §5.2.2
ELSEWHERE = ""
COSTS_A_TRY = (Reason.WRONG, Reason.LATE)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The code may be checked; it has been counted as a failure in advance, in the buckets `keys`, the pair's first."""

    keys: tuple[str, ...]
    origin: str
    locks_now: bool


def wait_after(failures: int) -> int:
    """Return how many seconds nobody may try after so many failures in a row."""
    over = failures - FREE_FAILURES
    return 0 if over <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(over - 1, 20))


class Guard:
    """`limit` holds for a pair of account and address."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._address_limit = Limit(limit.failures * ADDRESS_FACTOR, limit.window_seconds, limit.lock_seconds)

    async def admit(
        self, tx: Transaction, factor: Factor, account: Account, inbound: Inbound, now: int
    ) -> Admitted | LockedOut | Blocked:
        origin = await find_origin(tx, account, inbound, now)
        failures, wait_until = await streaks.read(tx, account.id, factor, origin)
        if failures >= MOST_FAILURES:
            return Blocked()
        if now < wait_until:
            return LockedOut(wait_until)
        address = address_bucket(inbound.address)
        pair = f"code:{account.id}|{address}"
        if origin != ELSEWHERE:
            buckets = [(for_known(pair), self._limit)]
        else:
            buckets = [(pair, self._limit), *([(f"code:|{address}", self._address_limit)] if address else [])]
        verdict = await limits.reserve_all(tx, buckets, now)
        if isinstance(verdict, Locked):
            return LockedOut(verdict.until)
        return Admitted(tuple(key for key, _ in buckets), origin, verdict.locks_now)

    async def forgive(self, tx: Transaction, factor: Factor, account: Account, admitted: Admitted, now: int) -> None:
        """It was right."""
        pair, *shared = admitted.keys
        await limits.clear(tx, pair)
        for key in shared:
            await limits.give_back(tx, key, now)
        await streaks.reset(tx, account.id, factor, admitted.origin)

    async def refuse(
        self,
        tx: Transaction,
        factor: Factor,
        account: Account,
        admitted: Admitted,
        why: Wrong,
        inbound: Inbound,
        now: int,
        session: str | None = None,
    ) -> None:
        """It was wrong: count it, unless it was no guess, and write it down. `session`: of who is signed in already."""
        await self.write_down(tx, factor, account, why, inbound, now, session)
        if why.reason not in COSTS_A_TRY:
            for key in admitted.keys:
                await limits.give_back(tx, key, now)
            return
        failures, _ = await streaks.read(tx, account.id, factor, admitted.origin)
        await streaks.write(tx, account.id, factor, admitted.origin, failures + 1, now + wait_after(failures + 1))
        if admitted.locks_now or failures + 1 >= MOST_FAILURES:
            details = {"factor": factor, "failures": str(failures + 1)}
            await audit.record(tx, entry_of(Event.LOGIN_LOCKOUT, account, inbound, now, details, session))

    async def write_down(
        self,
        tx: Transaction,
        factor: Factor,
        account: Account,
        why: Wrong,
        inbound: Inbound,
        now: int,
        session: str | None,
    ) -> None:
        """Note what was refused; by itself for what nobody can guess, like a link or the code of one's own set-up."""
        details = {"factor": factor, "reason": why.reason.value}
        await audit.record_or_count(tx, entry_of(Event.LOGIN_2FA_FAILED, account, inbound, now, details, session))


async def find_origin(tx: Transaction, account: Account, inbound: Inbound, now: int) -> str:
    """Return the name of this device if it signed in before, else ELSEWHERE."""
    if not await session_rows.is_known_device(tx, account.id, inbound.address, inbound.user_agent, now):
        return ELSEWHERE
    return session_rows.device_key(inbound.address, inbound.user_agent)
