"""Fair sharing of a limited resource: how much each client may hold, and which client is next. Pure: no clock, no I/O,
no event loop.

Connections, request bodies, slots of an upstream and the hashing threads are all shared by these rules, each through a
`Shares` of its own. A client is an address, or an IPv6 network of 64 bits (see `client_of`).

Holding. A client may take one more share while it holds fewer than are free. Alone it gets half of the capacity; the
next client that is as greedy gets half of the rest, and so on, so some shares are always free for a client that holds
none. As shares are released, n greedy clients converge to 1/(n+1) each, and as much stays free. No client needs a quota
of its own: the limit shrinks as the resource gets scarce. This is the dynamic threshold of shared packet buffers
(Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998) with alpha = 1. A resource that is never held for
long (a thread that computes one hash) needs no such reserve: there `reserve` is 0 and the order of the queue is fair
enough.

Waiting. Clients take turns (round robin), and each client's items keep their order. So an item waits for at most one
turn of every other client, however many items these have waiting. When the queue is full, the client with the most
waiting items loses its newest: a client that floods the queue displaces only its own items, and a new client finds
room. A newcomer is refused only if as many clients as there are places wait already, each with one item.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Granted(NamedTuple):
    """The item may proceed at once, and holds a share until `release`."""


class Queued(NamedTuple, Generic[Item]):
    """The item waits until a `release` returns it. `dislodged` is the item that lost its place, with its client."""

    dislodged: tuple[str, Item] | None = None


class Refused(NamedTuple):
    """The item is refused. With `is_own`, the client itself already holds shares or has items waiting."""

    is_own: bool


GRANTED = Granted()


class Shares(Generic[Item]):
    """Shares of one resource: `capacity` may be held at once, and `room` items may wait. `reserve` is the number that
    must be free, for each share that a client holds, before it takes one more: 1 for shares held long, 0 for others.
    """

    __slots__ = ("_capacity", "_free", "_held", "_lines", "_reserve", "_room", "_waiting")

    def __init__(self, capacity: int, room: int = 0, *, reserve: int = 1) -> None:
        self._capacity = self._free = capacity
        self._room = room
        self._reserve = reserve
        self._held: dict[str, int] = {}
        self._lines: dict[str, deque[Item]] = {}  # the waiting items of each client, in the order of turns
        self._waiting = 0

    @property
    def in_use(self) -> int:
        return self._capacity - self._free

    @property
    def waiting(self) -> int:
        return self._waiting

    def take(self, client: str) -> bool:
        """Take one share now; returns False if the client may not have one."""
        held = self._held.get(client, 0)
        if held * self._reserve >= self._free:
            return False
        self._held[client] = held + 1
        self._free -= 1
        return True

    def ask(self, client: str, item: Item) -> Granted | Queued[Item] | Refused:
        """Take one share now, or queue `item` for it."""
        return GRANTED if self.take(client) else self.queue(client, item)

    def queue(self, client: str, item: Item) -> Queued[Item] | Refused:
        """Queue `item` for a share that `take` did not give."""
        dislodged = None
        if self._waiting >= self._room:
            loser = self._greediest()
            if loser is None or len(self._lines[loser]) <= len(self._lines.get(client, ())) + 1:
                return Refused(is_own=self.has(client))
            dislodged = loser, self._lines[loser].pop()
            self._waiting -= 1
        self._lines.setdefault(client, deque()).append(item)
        self._waiting += 1
        return Queued(dislodged)

    def would_refuse(self, client: str) -> bool:
        """Whether `ask` would refuse this client now. Changes nothing."""
        if self._held.get(client, 0) * self._reserve < self._free or self._waiting < self._room:
            return False
        loser = self._greediest()
        return loser is None or len(self._lines[loser]) <= len(self._lines.get(client, ())) + 1

    def has(self, client: str) -> bool:
        """Whether the client holds a share or has an item waiting."""
        return client in self._held or client in self._lines

    def release(self, client: str) -> Sequence[Item]:
        """Release one share. Returns the items whose turn has come; each holds a share from now on."""
        held = self._held.pop(client) - 1
        if held:
            self._held[client] = held
        self._free += 1
        return self._grant() if self._lines else ()

    def withdraw(self, client: str, item: Item) -> bool:
        """Remove an item from the queue. Returns whether it was there."""
        line = self._lines.get(client, ())
        if item not in line:
            return False
        self._leave(client, item)
        return True

    def _grant(self) -> list[Item]:
        granted: list[Item] = []
        while (client := next(filter(self._may_take, self._lines), None)) is not None:
            line = self._lines.pop(client)
            granted.append(line.popleft())
            self._waiting -= 1
            if line:
                self._lines[client] = line  # at the end of the turns
            self.take(client)
        return granted

    def _may_take(self, client: str) -> bool:
        return self._held.get(client, 0) * self._reserve < self._free

    def _greediest(self) -> str | None:
        return max(self._lines, key=lambda client: len(self._lines[client]), default=None)

    def _leave(self, client: str, item: Item) -> None:
        line = self._lines[client]
        line.remove(item)
        self._waiting -= 1
        if not line:
            del self._lines[client]
