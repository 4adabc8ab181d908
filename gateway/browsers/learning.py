"""Learns which cookies the application sets in which browser, from its responses as they pass.

A response does not wait until they are stored: that takes some milliseconds, and the next person takes longer to sign
in to this browser. Cookies that a worker has seen before cost one lookup in a bounded memo.
"""

from __future__ import annotations

import asyncio

from gateway.browsers import rows
from gateway.browsers.record import AppCookie, read_set_cookie
from gateway.model.inbound import Inbound
from gateway.model.memo import Memo
from gateway.observe.logs import get_logger
from gateway.store import Store, StoreUnavailable

log = get_logger("browsers")

MAX_WAITING = 2_000


class CookieLearner:
    """Learns cookies for one worker, and remembers about `cached` of them."""

    def __init__(self, store: Store, cached: int) -> None:
        self._store = store
        self._known = Memo[tuple[bytes, AppCookie], bool](cached)
        self._waiting: dict[tuple[bytes, AppCookie], None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def note(self, inbound: Inbound, lines: list[bytes]) -> None:
        """Note the cookies that the response to `inbound` sets; `lines` are all its header lines."""
        if inbound.browser_key is None:
            return
        path = inbound.target.partition(b"?")[0].decode("ascii")
        for line in lines:
            cookie = read_set_cookie(line, path) if line[:11].lower() == b"set-cookie:" else None
            if cookie is not None:
                self._note(inbound.browser_key, cookie)
        if self._waiting and self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def _note(self, key: bytes, cookie: AppCookie) -> None:
        of_browser = key, cookie
        if of_browser in self._known.young or self._known.recall(of_browser):
            return
        self._known.put(of_browser, True)
        if len(self._waiting) < MAX_WAITING:
            self._waiting[of_browser] = None

    async def _write(self) -> None:
        try:
            await self.flush()
        except StoreUnavailable as error:
            log.warning("store_unavailable", reason=str(error))  # the next flush writes them
        except Exception:
            log.exception("cookies_not_noted")
        finally:
            self._writing = None

    async def flush(self) -> None:
        """Store the cookies that wait. Raises StoreUnavailable, and then they stay queued.

        Those that are being stored already are not stored twice, but waited for: the store may be closed afterwards.
        """
        async with self._turn:
            while self._waiting:
                key, _ = next(iter(self._waiting))
                cookies = [cookie for of, cookie in self._waiting if of == key]
                async with self._store.transaction() as tx:
                    await rows.learn(tx, key, cookies)
                for cookie in cookies:
                    self._waiting.pop((key, cookie), None)
