"""A share of a core for threads of the lowest priority, which get no time while an event loop keeps the core full.

The loop asks every millisecond or so how long it must leave the core to them, and sleeps for so long: often and
briefly, so that no request waits long. A share that the kernel gives comes in pieces of several milliseconds. Pure: no
clock, no thread.
"""

from __future__ import annotations

LONGEST_PAUSE = 0.001  # seconds


class CoreShare:
    """`share` is a part of a core, 0 to 1; `now` is a time in seconds, `used` the threads' CPU time until then."""

    __slots__ = ("_at", "_lack", "_share", "_used")

    def __init__(self, share: float, now: float, used: float) -> None:
        self._share = share
        self._at = now
        self._used = used
        self._lack = 0.0

    def pause(self, now: float, used: float) -> float:
        """Return the seconds that the threads lack, at most LONGEST_PAUSE. What they got beyond their share before does
        not count: the core may have filled up since.
        """
        lack = self._lack + self._share * (now - self._at) - (used - self._used)
        self._lack = min(max(0.0, lack), LONGEST_PAUSE)
        self._at, self._used = now, used
        return self._lack
