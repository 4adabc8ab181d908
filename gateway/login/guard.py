"""Brute-force protection of codes: rate limits, consecutive-failure counters, and audit rows of refused codes.

An attacker who guesses codes knows the password already. Factors that can't be guessed don't come here.
All workers share three counters:

- failures per account and address in a sliding window, as for passwords;
- failures per address, for all accounts, with ten times that limit;
- consecutive failures per account and factor, from anywhere. From the fifth on, the wait doubles each time; after the
  hundredth, the factor is blocked until it is reset. A right code sets the counter to zero.

A known device (address and browser) has its own bucket instead of the first two, and its own row of the third, so the
account's owner can work on while an attacker is guessing.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.actions.action import Action
from gateway.factors.contract import Reason, Wrong
from gateway.login.outcome import Blocked, LockedOut
from gateway.model.account import Account
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.sessions import rows as session_rows
from gateway.throttle import limits, streaks
from gateway.throttle.address_limit import ADDRESS_FACTOR
from gateway.throttle.limits import Limit, Locked, address_bucket, for_known

FREE_FAILURES = 4
FIRST_WAIT = 15  # seconds
LONGEST_WAIT = 3_600
MOST_FAILURES = 100  # consecutive, NIST SP 800-63B §5.2.2
ELSEWHERE = ""
COSTS_A_TRY = (Reason.WRONG, Reason.LATE)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The code may be checked, and was counted as a failure in advance in the buckets `keys`, the pair's first."""

    keys: tuple[str, ...]
    origin: str
    locks_now: bool


def wait_after(failures: int) -> int:
    """Return the seconds to wait after that many consecutive failures."""
    over = failures - FREE_FAILURES
    return 0 if over <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(over - 1, 20))


class Guard:
    """`limit` is that of a pair of account and address."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._address_limit = Limit(limit.failures * ADDRESS_FACTOR, limit.window_seconds, limit.lock_seconds)

    async def admit(self, action: Action, factor: Factor, account: Account) -> Admitted | LockedOut | Blocked:
        origin = await find_origin(action, account)
        failures, wait_until = await streaks.read(action.tx, account.id, factor, origin)
        if failures >= MOST_FAILURES:
            return Blocked()
        if action.now < wait_until:
            return LockedOut(wait_until)
        address = address_bucket(action.actor.address)
        pair = f"code:{account.id}|{address}"
        if origin != ELSEWHERE:
            buckets = [(for_known(pair), self._limit)]
        else:
            buckets = [(pair, self._limit), *([(f"code:|{address}", self._address_limit)] if address else [])]
        verdict = await limits.reserve_all(action.tx, buckets, action.now)
        if isinstance(verdict, Locked):
            return LockedOut(verdict.until)
        return Admitted(tuple(key for key, _ in buckets), origin, verdict.locks_now)

    async def forgive(self, action: Action, factor: Factor, account: Account, admitted: Admitted) -> None:
        """Undo the count in advance, and reset the account's counters, after a right code."""
        pair, *shared = admitted.keys
        await limits.clear(action.tx, pair)
        for key in shared:
            await limits.give_back(action.tx, key, action.now)
        await streaks.reset(action.tx, account.id, factor, admitted.origin)

    async def refuse(self, action: Action, factor: Factor, account: Account, admitted: Admitted, why: Wrong) -> None:
        """Record a wrong code, and count it if it may be a guess."""
        tx, now = action.tx, action.now
        await self.record_refusal(action, factor, account, why)
        if why.reason not in COSTS_A_TRY:
            for key in admitted.keys:
                await limits.give_back(tx, key, now)
            return
        failures, _ = await streaks.read(tx, account.id, factor, admitted.origin)
        await streaks.write(tx, account.id, factor, admitted.origin, failures + 1, now + wait_after(failures + 1))
        if admitted.locks_now or failures + 1 >= MOST_FAILURES:
            await action.record(Event.LOGIN_LOCKOUT, account, {"factor": factor, "failures": str(failures + 1)})

    async def record_refusal(self, action: Action, factor: Factor, account: Account, why: Wrong) -> None:
        """Record a refusal without counting: for links, passkeys and codes of an enrolment, which can't be guessed."""
        await action.record_or_count(Event.LOGIN_2FA_FAILED, account, {"factor": factor, "reason": why.reason.value})


async def find_origin(action: Action, account: Account) -> str:
    """Return the key of this device if it is known, otherwise ELSEWHERE."""
    address, user_agent = action.actor.address, action.actor.user_agent
    if not await session_rows.is_known_device(action.tx, account.id, address, user_agent, action.now):
        return ELSEWHERE
    return session_rows.device_key(address, user_agent)
