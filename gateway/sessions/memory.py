"""The sessions that a worker has in memory, and forgetting exactly those that a change is about."""

from __future__ import annotations

from gateway.model.session import Session
from gateway.store.revision import Change

MAX_SESSIONS = 50_000


class Memory:
    """`sessions` maps the SHA-256 of a cookie to its session. When it is full, everything is forgotten."""

    __slots__ = ("_of_account", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[bytes, Session] = {}
        self._of_account: dict[str, list[bytes]] = {}

    def put(self, key: bytes, session: Session) -> None:
        if len(self.sessions) >= MAX_SESSIONS:
            self.clear()
        if key not in self.sessions:
            self._of_account.setdefault(session.account, []).append(key)
        self.sessions[key] = session

    def forget(self, change: Change) -> None:
        if change.account:
            self._forget_account(change.account)
        elif change.tenant:
            for account in {session.account for session in self.sessions.values() if session.tenant == change.tenant}:
                self._forget_account(account)
        else:
            self.clear()

    def clear(self) -> None:
        self.sessions.clear()
        self._of_account.clear()

    def _forget_account(self, account: str) -> None:
        for key in self._of_account.pop(account, ()):
            self.sessions.pop(key, None)
