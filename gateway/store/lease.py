"""Leases: how the nodes answer from memory, and a right that was taken away is still refused everywhere. Pure.

The store has a revision, a number. A transaction that takes a right away (it ends a session, disables an account,
changes a role) raises it by one, and commits that together with the change. Each node has a row with the last
revision it has applied: up to there it has forgotten what changed. A node may answer from memory while it holds a
lease; a lease is a time on the node's own monotonic clock. (A node is here whoever has a memory of its own: each
worker of each machine.) Three rules:

1.  A node renews its lease with one statement, which writes the node's row and reads the revision and the changes in
    one snapshot. The node forgets what changed, and then holds the lease until `seconds` after it *sent* the
    statement.
2.  A node joins with an empty memory, by a row with a new id, and renews only after that row has committed. If its
    row is marked as lapsed, or gone, a statement renews nothing: the node joins again.
3.  The process that took a right away, or found it taken away, says "done" once each node that has a row, and is not
    lapsed, has applied the revision; or `seconds + margin` after its commit, counted on its own monotonic clock. It
    marks a node as lapsed whose row it saw unchanged for that long, so that the next revocation need not wait for it.

Claim: after "done" for revision r, no node answers from memory by what it knew before r. Suppose that node n does.
Its lease comes from a statement S whose snapshot is older than the commit of r, so S was sent before that commit, and
the lease ends less than `seconds` after it. If "done" came from the clock, the lease is over. Otherwise it came from
the rows, read at some time after the commit of r:

-   n's row was there and had applied r: n forgot before it wrote that, and a later snapshot is not older than r.
-   n's row was not there: it was committed later, and by rule 2 the snapshot of S is younger still. Contradiction.
    (With the same id for each join, a join whose answer was lost could write, later, that n has applied what it has
    not.)
-   n's row was deleted: n did that itself, after it had forgotten everything, or another node, which saw the row
    unchanged for a minute; then it is as with a lapsed row.
-   n was lapsed: S began before it was marked, else it would have renewed nothing. Marking waits for S (both write
    the row) and leaves the row as it is where S has renewed it. So S had committed before the marking process first
    read the row, which was `seconds + margin` before the marking: the lease is over.

A number tells nothing about another history: a restored backup, a replica that was behind when it took over. So a
statement also renews nothing if the revision that the node has applied isn't in the store with the same random stamp.

What this rests on: clocks of two machines run at the same rate, but for `margin` in `seconds`; a monotonic clock goes
on while a process is frozen (CLOCK_BOOTTIME, also while the machine sleeps, but not while a host pauses a virtual
machine); a transaction that was confirmed is not lost (synchronous replication, where there is a replica). No wall
clock is read. Messages may be late, lost, or repeated; a node may be frozen or killed between any two steps; a database
that is away ends all leases by itself.

tests/store/test_lease.py runs these classes in a model of nodes, database and revokers, through every order of steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, replace

NONE = -math.inf


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: how long a lease is, and how much longer a revoker waits for it."""

    seconds: float
    margin: float


# No settings: all machines have to agree on them.
TERMS = Terms(seconds=1.0, margin=0.2)
RENEW_SECONDS = 0.25


def monotonic() -> float:
    """Return the time of the clock that leases are counted on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Lease:
    """A node's own knowledge: the revision it has applied, and until when it may answer from memory (monotonic)."""

    applied: int = 0
    until: float = NONE

    def is_held(self, now: float) -> bool:
        return now < self.until

    def renew(self, sent_at: float, revision: int, terms: Terms) -> Lease:
        """Return the lease after a statement sent at `sent_at` read `revision`, and what changed is forgotten.

        A revision that went back is that of another database: the lease ends, and the node has to join again.
        """
        if revision < self.applied:
            return self.end()
        return Lease(revision, max(self.until, sent_at + terms.seconds))

    def end(self) -> Lease:
        return replace(self, until=NONE)


@dataclass(frozen=True, slots=True)
class Node:
    """A row that is not lapsed. Each renewal writes another `renewal`, never one that was there before."""

    id: str
    applied: int
    renewal: str | int


@dataclass(frozen=True, slots=True)
class Waiting:
    """These have not applied the revision yet."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The right is gone everywhere. Rows of `lapsed` are to be marked, unless they were renewed meanwhile."""

    lapsed: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A revoker's knowledge. Times are monotonic: `since` is after the commit of `revision`, `first_at` before the rows
    were first read, and `first` are those of them that had not applied it.
    """

    revision: int
    since: float
    first_at: float = NONE
    first: tuple[Node, ...] = ()

    def look(self, nodes: Collection[Node], now: float, terms: Terms) -> tuple[Confirmation, Waiting | Done]:
        """Judge rows that were read after `now`."""
        behind = tuple(node for node in nodes if node.applied < self.revision)
        if not behind:
            return self, Done()
        if self.first_at == NONE:
            return replace(self, first_at=now, first=behind), Waiting(behind)
        if now - self.first_at < terms.seconds + terms.margin:
            return self, Waiting(behind)
        return self, Done(tuple(node for node in behind if node in self.first))

    def left(self, now: float, terms: Terms) -> float:
        """Return the seconds until every lease from before the revision has run out, even if no row can be read."""
        return max(0.0, self.since + terms.seconds + terms.margin - now)
