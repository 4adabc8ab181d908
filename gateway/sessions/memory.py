"""The sessions that a worker has in memory, and forgetting exactly those that a change is about.

There are two generations, as in model.memo: beyond its size, the memory forgets those that were not used for longest. A
session is in one of the two at most, and a change is applied to both.
"""

from __future__ import annotations

from gateway.model.session import Session
from gateway.store.revision import Change


class Generation:
    """`sessions` are by the SHA-256 of their cookie. The index may name keys of an account that are gone from here."""

    __slots__ = ("_of_account", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[bytes, Session] = {}
        self._of_account: dict[str, list[bytes]] = {}

    def put(self, key: bytes, session: Session) -> None:
        if key not in self.sessions:
            self._of_account.setdefault(session.account, []).append(key)
        self.sessions[key] = session

    def forget_account(self, account: str) -> None:
        for key in self._of_account.pop(account, ()):
            self.sessions.pop(key, None)

    def forget_tenant(self, tenant: str) -> None:
        for account in {session.account for session in self.sessions.values() if session.tenant == tenant}:
            self.forget_account(account)


class Memory:
    """Keeps the `size` sessions that were used last, and at most twice as many.

    Whoever is in a hurry asks for `young.get(key) or recall(key)`.
    """

    __slots__ = ("_latest", "_old", "_size", "young")

    def __init__(self, size: int) -> None:
        self._size = size
        self._old = Generation()
        self._begin()

    def __contains__(self, key: bytes) -> bool:
        return key in self.young or key in self._old.sessions

    def recall(self, key: bytes) -> Session | None:
        """Return a session that is not in `young`, and keep it there; None if it is not remembered."""
        session = self._old.sessions.get(key)
        if session is not None:
            self.put(key, session)
        return session

    def put(self, key: bytes, session: Session) -> None:
        self._old.sessions.pop(key, None)
        if len(self.young) >= self._size and key not in self.young:
            self._old = self._latest
            self._begin()
        self._latest.put(key, session)

    def forget(self, change: Change) -> None:
        if not change.account and not change.tenant:
            self.clear()
            return
        for generation in (self._latest, self._old):
            if change.account:
                generation.forget_account(change.account)
            else:
                generation.forget_tenant(change.tenant)

    def clear(self) -> None:
        self._old = Generation()
        self._begin()

    def _begin(self) -> None:
        """Begin a generation."""
        self._latest = Generation()
        self.young = self._latest.sessions
