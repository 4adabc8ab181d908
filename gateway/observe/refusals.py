"""Counts and logs refusals of limited resources."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from time import monotonic

from gateway.observe.logs import get_logger

log = get_logger("throttle")

LOG_SECONDS = 60.0


class Scarce(Enum):
    """The limited resources that are shared among clients."""

    CONNECTIONS = "connections"
    BODIES = "bodies"
    APPLICATION = "application"
    PAGES = "pages"
    HASHING = "hashing"
    PASSWORDS = "passwords"


class Reason(Enum):
    SHARE = "share"  # the client has others in use or waiting, and may have no more now
    FULL = "full"  # it has none, and none are left


class Refusals:
    """Records refusals. `count` adds to the metrics; the log gets at most one line a minute for each resource."""

    def __init__(self, count: Callable[[Scarce, Reason], None]) -> None:
        self._count = count
        self._logged_at: dict[Scarce, float] = {}

    def note(self, what: Scarce, client: str, is_own: bool) -> None:
        reason = Reason.SHARE if is_own else Reason.FULL
        self._count(what, reason)
        now = monotonic()
        if now - self._logged_at.get(what, -LOG_SECONDS) < LOG_SECONDS:
            return
        self._logged_at[what] = now
        log.warning("refused_to_be_fair", what=what.value, reason=reason.value, client=client)
