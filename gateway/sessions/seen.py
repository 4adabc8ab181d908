"""When sessions were last used: noted in memory at each request, and stored about once a minute."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text

from gateway.model.api_token import is_credential
from gateway.model.session import Lifetimes, Session, has_outlived
from gateway.store import Store, Transaction

MAX_SLACK = 30  # seconds by which the stored time of last use may be too early
TOUCH_ONE = text("UPDATE sessions SET seen_at = :at WHERE token_key = :key AND seen_at < :at - :slack")
# PostgreSQL: one statement for all, which locks the rows in the order in which others do (see `in_order`).
TOUCH_ALL = text("""
WITH due AS (
    SELECT sessions.id, given.at
      FROM sessions JOIN unnest(CAST(:keys AS bytea[]), CAST(:times AS bigint[])) AS given (key, at)
           ON sessions.token_key = given.key AND sessions.seen_at < given.at - CAST(:slack AS bigint)
     ORDER BY sessions.token_key FOR UPDATE OF sessions)
UPDATE sessions SET seen_at = due.at FROM due WHERE sessions.id = due.id
""")


class Seen:
    """Times of last use that this worker has not stored yet."""

    __slots__ = ("_slack", "_times", "_written", "lifetimes")

    def __init__(self, lifetimes: Lifetimes) -> None:
        self.lifetimes = lifetimes
        # Workers don't repeat what another has just written, where it makes next to no difference.
        self._slack = min(MAX_SLACK, lifetimes.members.idle // 60, lifetimes.owners.idle // 60)
        self._times: dict[bytes, int] = {}
        self._written: dict[bytes, int] = {}  # the last flush: newer than `seen_at` of a cached Session

    def judge(self, key: bytes, session: Session, now: int, is_use: bool) -> Session | None:
        """Return `session` unless it has expired; record its use."""
        if now >= session.alive_until and self.has_expired(key, session, now):
            return None
        if is_use:
            self._times[key] = now
        return session

    def has_expired(self, key: bytes, session: Session, now: int) -> bool:
        if session.grant is not None:
            return now >= session.grant.expires_at
        seen_at = max(self._times.get(key, 0), self._written.get(key, 0), session.seen_at)
        return has_outlived(session.started_at, seen_at, self.lifetimes.of(is_owner=session.is_owner), now)

    async def flush(self, store: Store) -> None:
        times, self._times = self._times, {}
        # Uses of API tokens are written elsewhere (tokens.uses).
        times = {key: at for key, at in times.items() if not is_credential(key)}
        if not times:
            return
        self._written = times
        try:
            async with store.transaction() as tx:
                await touch(tx, times, self._slack)
        except BaseException:  # on cancellation too, so that the next flush writes them
            self._times = times | self._times
            raise


async def touch(tx: Transaction, seen: Mapping[bytes, int], slack: int = 0) -> None:
    """Store times of last use, by the SHA-256 of the cookie, unless one was stored that is later, or is earlier by at
    most `slack` seconds.
    """
    if not seen:
        return
    if tx.dialect.name == "sqlite":
        await tx.execute(TOUCH_ONE, [{"key": key, "at": at, "slack": slack} for key, at in sorted(seen.items())])
    else:
        await tx.execute(TOUCH_ALL, {"keys": list(seen), "times": list(seen.values()), "slack": slack})
