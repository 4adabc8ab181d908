"""Decides which unused accounts can be disabled together, and which stay. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from gateway.access_review.lines import Line
from gateway.model.account import Status
from gateway.model.clock import DAY


class Kept(StrEnum):
    """Why an account stays as it is."""

    SELF = "self"
    OWNER = "owner"
    BREAK_GLASS = "break_glass"
    DISABLED = "disabled"
    SEEN = "seen"  # used since the list was shown
    TOKEN = "token"  # noqa: S105 - a program acts for them


@dataclass(frozen=True, slots=True)
class Unused:
    """Idle for more than `days`. `viewer` is the account that asks, "" in the shell; `owners` are identifiers."""

    days: int
    now: int
    viewer: str
    owners: Collection[str]

    def why_kept(self, line: Line) -> Kept | None:
        """Return why an account can't be disabled with others, or None."""
        account, since = line.account, self.now - self.days * DAY
        if account.id == self.viewer:
            return Kept.SELF
        if account.identifier in self.owners:
            return Kept.OWNER
        if account.enrolled.is_exempt:
            return Kept.BREAK_GLASS
        if account.status is Status.DISABLED:
            return Kept.DISABLED
        if line.idle_since >= since:
            return Kept.SEEN
        return Kept.TOKEN if line.token_active_at is not None and line.token_active_at >= since else None
