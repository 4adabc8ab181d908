"""Checks a new password against policy, breach list and range API, cheapest first."""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.breaches.lists import BreachList, digest_of, open_list
from gateway.model.secret import Secret
from gateway.observe.logs import get_logger
from gateway.passwords.policy import Person, Refusal, judge
from gateway.throttle.shares import Shares
from gateway.throttle.turns import Tell, Turns, tell_nobody

if TYPE_CHECKING:
    from gateway.breaches.range_api import BreachAPI

log = get_logger("passwords")

MAX_WAITING = 64  # a check takes some milliseconds, so the last one waits less than a second


@dataclass(frozen=True, slots=True)
class Judgement:
    """`refusal` is None for an accepted password. `is_api_silent`: the range API did not answer."""

    refusal: Refusal | None
    is_api_silent: bool = False


class Lists(Protocol):
    """The breach lists of the settings' section `passwords`; "" for none."""

    @property
    def breach_list(self) -> str: ...

    @property
    def breach_api(self) -> str: ...


def checker_of(lists: Lists, refused: Tell = tell_nobody) -> PasswordChecker:
    """Construct the checker for these settings. Raises NoBreachList if the list's file is missing."""
    return PasswordChecker(open_list(lists.breach_list), api_at(lists.breach_api), refused)


def api_at(address: str) -> BreachAPI | None:
    if not address:
        return None
    from gateway.breaches.range_api import BreachAPI  # aiohttp's client, which nothing else needs

    return BreachAPI(address)


class PasswordChecker:
    """`breaches` is the operator's list, `api` the range API.

    `refused` is called for each client that gets no turn. Clients are those of `client_of`; "" is the local shell.
    """

    def __init__(self, breaches: BreachList | None, api: BreachAPI | None, refused: Tell = tell_nobody) -> None:
        self._breaches = breaches
        self._api = api
        self._turns = Turns(Shares(1, MAX_WAITING, reserve=0), refused)
        # A thread, because an estimate takes milliseconds and a list is on disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")

    async def check(self, password: Secret[str], person: Person, client: str = "") -> Judgement:
        """Run every check. If the range API does not answer, the password is accepted."""
        refusal = await self.check_here(password, person, client)
        if refusal is not None or self._api is None:
            return Judgement(refusal)
        is_breached = await self._api.holds(digest_of(nfc(password)))
        return Judgement(Refusal.BREACHED if is_breached else None, is_api_silent=is_breached is None)

    async def check_here(self, password: Secret[str], person: Person, client: str = "") -> Refusal | None:
        """Check a password without the range API, for hints while it is typed."""
        async with self._turns.turn(client) as is_ours:
            if not is_ours:
                return Refusal.BUSY
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._judge, password, person)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _judge(self, password: Secret[str], person: Person) -> Refusal | None:
        refusal = judge(password.reveal(), person)
        if refusal is None and self._breaches is not None and self._is_listed(self._breaches, nfc(password)):
            return Refusal.BREACHED
        return refusal

    def _is_listed(self, breaches: BreachList, password: str) -> bool:
        try:
            return breaches.holds(digest_of(password))
        except OSError as error:
            log.error("breach_list_unreadable", reason=str(error))
            return False


def nfc(password: Secret[str]) -> str:
    return unicodedata.normalize("NFC", password.reveal())
