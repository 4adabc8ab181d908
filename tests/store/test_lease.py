"""No order of steps lets a node answer for a right after its removal was confirmed (the claim of store.lease).

The model has one database, one node (what is claimed of one holds for each) and two revokers. The second takes away the
right that is watched; the first takes another, and may mark the node as lapsed meanwhile. Every step that can happen alone
is one: a statement is sent, takes its snapshot, commits, and is answered or lost, each at any time; the node is killed and
starts anew, or is frozen, which is to take no step. Any time may pass between any two steps. All reachable states are
visited; in none may the node hold the right after its removal was confirmed.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from gateway.store.lease import NONE, Confirmation, Done, Lease, Node, Terms, Waiting

TERMS = Terms(seconds=1, margin=1)
NO_LEASE = Lease()
LONG = 2  # ticks: what is longer ago than this is as good as this


class Statement(NamedTuple):
    """`read` is the revision in its snapshot, None before it began; `is_refused` if it found no row to renew."""

    is_join: bool
    sent_at: int
    applied: int
    read: int | None = None
    is_refused: bool = False
    is_committed: bool = False


class Row(NamedTuple):
    """That of the node since it last joined. Others, of joins whose answer was lost, only make revokers wait."""

    applied: int
    renewal: int
    is_lapsed: bool = False


class Revoker(NamedTuple):
    """`mark` is the row to be marked as lapsed."""

    confirmation: Confirmation | None = None
    is_confirmed: bool = False
    mark: Node | None = None


class World(NamedTuple):
    """All times are relative to now, so they are at most 0, but for the end of the lease.

    `removed` is the revision of the watched right's removal, 0 before. `knows` says whether the node has the right in
    memory, `asked` the revision it had applied when it asked for it, and whether it was told that it holds.
    """

    revision: int = 0
    removed: int = 0
    row: Row | None = None
    has_joined: bool = False
    lease: Lease = NO_LEASE
    knows: bool = False
    asked: tuple[int, bool] | None = None
    statement: Statement | None = None
    lost: Statement | None = None  # its answer was given up, and it may still be carried out
    other: Revoker = Revoker()
    revoker: Revoker = Revoker()


class Protocol:
    """What nodes and revokers do, and what may happen to them. To leave something out keeps the number of states small.

    `has_other`: there is another revoker. `has_losses`: renewals whose answer was lost may be carried out later.
    `asks_late`: time passes between the database's answer about a right and the moment when the node keeps it.
    """

    def __init__(self, *, has_other: bool = True, has_losses: bool = True, asks_late: bool = True) -> None:
        self.has_other = has_other
        self.has_losses = has_losses
        self.asks_late = asks_late

    def sent_at(self, statement: Statement) -> int:
        return statement.sent_at

    def look(self, confirmation: Confirmation, rows: list[Node]) -> tuple[Confirmation, Waiting | Done]:
        return confirmation.look(rows, 0, TERMS)

    def may_fill(self, asked_under: int, lease: Lease) -> bool:
        return asked_under == lease.applied

    def may_renew(self, row: Row | None) -> bool:
        return row is not None and not row.is_lapsed

    def may_mark(self, row: Row, seen: Node) -> bool:
        return row.renewal == seen.renewal

    def has_joined(self) -> bool:
        """Whether a node renews only after it has joined in a transaction before."""
        return False


class LeaseFromTheAnswer(Protocol):
    def sent_at(self, statement: Statement) -> int:
        return 0


class NoWaiting(Protocol):
    def look(self, confirmation: Confirmation, rows: list[Node]) -> tuple[Confirmation, Waiting | Done]:
        return confirmation, Done()


class FillsWhateverChanged(Protocol):
    def may_fill(self, asked_under: int, lease: Lease) -> bool:
        return True


class LapsedNodesRenew(Protocol):
    def may_renew(self, row: Row | None) -> bool:
        return row is not None


class MarksWhoRenewed(Protocol):
    def may_mark(self, row: Row, seen: Node) -> bool:
        return True


class JoinsByRenewing(Protocol):
    def may_renew(self, row: Row | None) -> bool:
        return row is None or not row.is_lapsed

    def has_joined(self) -> bool:
        return True


def is_broken(world: World) -> bool:
    """Whether the node would answer, now and from memory, for the right whose removal was confirmed."""
    return world.knows and world.revoker.is_confirmed and world.lease.is_held(0)


def steps(world: World, protocol: Protocol) -> Iterator[World]:
    yield pass_time(world)
    yield from node_steps(world, protocol)
    yield from database_steps(world, protocol)
    for name in ("other", "revoker") if protocol.has_other else ("revoker",):
        yield from revoker_steps(world, protocol, name)


def pass_time(world: World) -> World:
    return world._replace(
        lease=lease_later(world.lease),
        statement=world.statement and statement_later(world.statement),
        lost=world.lost and statement_later(world.lost),
        other=revoker_later(world.other),
        revoker=revoker_later(world.revoker),
    )


def earlier(at: float) -> float:
    return max(at - 1, -LONG)


# Few parts make up many worlds: what is found out about a part is remembered.


@functools.cache
def lease_later(lease: Lease) -> Lease:
    if lease.until == NONE:
        return lease
    until = lease.until - 1
    return replace(lease, until=until if until > 0 else NONE)


@functools.cache
def statement_later(statement: Statement) -> Statement:
    return statement._replace(sent_at=earlier(statement.sent_at))


@functools.cache
def revoker_later(revoker: Revoker) -> Revoker:
    confirmation = revoker.confirmation
    if confirmation is None:
        return revoker
    first_at = NONE if confirmation.first_at == NONE else earlier(confirmation.first_at)
    return revoker._replace(confirmation=replace(confirmation, since=earlier(confirmation.since), first_at=first_at))


def node_steps(world: World, protocol: Protocol) -> Iterator[World]:
    sent = world.statement
    has_joined = world.has_joined or protocol.has_joined()
    if sent is None:
        yield world._replace(statement=Statement(not has_joined, 0, world.lease.applied))
    else:
        lost = sent if protocol.has_losses and not sent.is_join and not sent.is_committed else world.lost
        abandoned = world._replace(statement=None, lost=lost)
        yield abandoned  # its answer was lost, or comes too late
        yield abandoned._replace(lease=NO_LEASE, has_joined=False, knows=False, asked=None)  # killed
        if sent.is_committed:
            yield receive(world._replace(statement=None), sent, protocol)
    if world.asked is None:
        if has_joined and not world.knows and protocol.asks_late:
            yield world._replace(asked=(world.lease.applied, world.removed == 0))
        elif has_joined and not world.knows and not world.removed:
            yield world._replace(knows=True)
    else:
        under, holds = world.asked
        yield world._replace(asked=None, knows=world.knows or (holds and protocol.may_fill(under, world.lease)))


def receive(world: World, answer: Statement, protocol: Protocol) -> World:
    assert answer.read is not None
    if answer.is_join:
        return world._replace(has_joined=True, knows=False, lease=Lease(answer.read), asked=None)
    if answer.is_refused:
        return world._replace(has_joined=False, knows=False, lease=world.lease.end(), asked=None)
    lease = world.lease.renew(protocol.sent_at(answer), answer.read, TERMS)
    if not lease.is_held(0):
        lease = lease.end()
    return world._replace(lease=lease, knows=world.knows and not 0 < world.removed <= lease.applied)


def database_steps(world: World, protocol: Protocol) -> Iterator[World]:
    """Begin and commit statements. One that has begun holds the lock of the row."""
    for name in ("statement", "lost"):
        statement: Statement | None = getattr(world, name)
        if statement is None or statement.is_committed:
            continue
        if statement.read is None:
            if not is_locked(world):
                is_refused = not statement.is_join and not protocol.may_renew(world.row)
                yield world._replace(**{name: statement._replace(read=world.revision, is_refused=is_refused)})
            continue
        ended = statement._replace(is_committed=True) if name == "statement" else None
        if statement.is_join:  # another row, that nothing sent before knows of
            yield world._replace(row=Row(statement.read, 0), statement=ended, lost=None)
        elif statement.is_refused or world.row is None:
            yield world._replace(**{name: ended})
        else:
            applied = max(world.row.applied, statement.applied)
            row = world.row._replace(applied=applied, renewal=world.row.renewal + 1)
            yield world._replace(row=row, **{name: ended})


def is_locked(world: World) -> bool:
    return any(
        one is not None and one.read is not None and not one.is_committed and not one.is_refused
        for one in (world.statement, world.lost)
    )


def revoker_steps(world: World, protocol: Protocol, name: str) -> Iterator[World]:
    revoker: Revoker = getattr(world, name)
    if revoker.confirmation is None:
        removed = world.revision + 1 if name == "revoker" else world.removed
        committed = Revoker(Confirmation(world.revision + 1, 0))
        yield world._replace(revision=world.revision + 1, removed=removed, **{name: committed})
    elif revoker.mark is not None:
        if not is_locked(world) and world.row is not None:
            is_marked = protocol.may_mark(world.row, revoker.mark)
            row = world.row._replace(is_lapsed=world.row.is_lapsed or is_marked)
            yield world._replace(row=row, **{name: revoker._replace(mark=None)})
    elif not revoker.is_confirmed:
        if not revoker.confirmation.left(0, TERMS):  # though the database can't be read
            yield world._replace(**{name: revoker._replace(is_confirmed=True)})
        row = world.row
        rows = [] if row is None or row.is_lapsed else [Node("one", row.applied, row.renewal)]
        confirmation, outcome = protocol.look(revoker.confirmation, rows)
        revoker = revoker._replace(confirmation=confirmation)
        if isinstance(outcome, Done):
            revoker = revoker._replace(is_confirmed=True, mark=next(iter(outcome.lapsed), None))
        yield world._replace(**{name: revoker})


def canonical(world: World, before: World) -> World:
    """Return `world`, which follows `before`, a canonical one, as it is counted among the worlds that were seen."""
    if (world.row, world.other, world.revoker) == (before.row, before.other, before.revoker):
        return world
    row, other, revoker = counted_anew(world.row, world.other, world.revoker)
    return world._replace(row=row, other=other, revoker=revoker)


@functools.cache
def counted_anew(row: Row | None, other: Revoker, revoker: Revoker) -> tuple[Row | None, Revoker, Revoker]:
    """Count renewals from the oldest that anyone remembers: only whether two are the same matters."""
    counts = {0} if row is None else {row.renewal}
    for one in (other, revoker):
        counts |= {node.renewal for node in remembered(one)}
    rank = {count: place for place, count in enumerate(sorted(counts))}
    row = row and row._replace(renewal=rank[row.renewal])
    return row, ranked(other, rank), ranked(revoker, rank)


def remembered(revoker: Revoker) -> list[Node]:
    if revoker.is_confirmed:
        return [revoker.mark] if revoker.mark else []
    return list(revoker.confirmation.first) if revoker.confirmation else []


def ranked(revoker: Revoker, rank: dict[int, int]) -> Revoker:
    if revoker.is_confirmed and revoker.mark is None:
        return Revoker(Confirmation(0, -LONG), is_confirmed=True)  # it has no more to do
    if revoker.is_confirmed:
        assert revoker.mark is not None
        mark = replace(revoker.mark, renewal=rank[revoker.mark.renewal])
        return Revoker(Confirmation(0, -LONG), is_confirmed=True, mark=mark)
    if revoker.confirmation is None or not revoker.confirmation.first:
        return revoker
    first = tuple(replace(node, renewal=rank[node.renewal]) for node in revoker.confirmation.first)
    return revoker._replace(confirmation=replace(revoker.confirmation, first=first))


def explore(protocol: Protocol) -> tuple[int, World | None]:
    """Visit all states; return how many, and the first broken one."""
    seen = {World()}
    ahead = deque([World()])
    while ahead:
        before = ahead.popleft()
        for following in steps(before, protocol):
            world = canonical(following, before)
            if world not in seen:
                if is_broken(world):
                    return len(seen), world
                seen.add(world)
                ahead.append(world)
    return len(seen), None


@pytest.mark.parametrize(
    "protocol", [Protocol(has_other=False), Protocol(has_losses=False, asks_late=False)], ids=["losses", "lapses"]
)
def test_no_order_of_steps_answers_for_a_right_whose_removal_was_confirmed(protocol: Protocol) -> None:
    visited, broken = explore(protocol)
    assert broken is None
    assert visited > 10_000


@pytest.mark.parametrize(
    "weaker",
    [LeaseFromTheAnswer, NoWaiting, FillsWhateverChanged, LapsedNodesRenew, MarksWhoRenewed, JoinsByRenewing],
)
def test_a_weaker_protocol_is_found_out(weaker: type[Protocol]) -> None:
    is_about_lapses = weaker in (LapsedNodesRenew, MarksWhoRenewed)
    protocol = weaker(has_losses=False, has_other=is_about_lapses, asks_late=not is_about_lapses)
    assert explore(protocol)[1] is not None
