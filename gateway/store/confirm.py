"""Waits, after a right was taken away on PostgreSQL, until it is refused everywhere (see store/lease.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.store.lease import TERMS, Confirmation, Done, Node, monotonic
from gateway.store.nodes import ANSWER_SECONDS, BEHIND, MARK, NOTIFY
from gateway.store.unavailable import StoreUnavailable, broken_store

if TYPE_CHECKING:
    from gateway.store.postgresql import Connection

PAUSES = (0.002, 0.004, 0.008, 0.016)  # seconds between two looks at the nodes' rows; then the last one again


@dataclass(frozen=True, slots=True)
class Confirmed:
    """How long it took (seconds); the ids of nodes whose lease had to run out; why nodes could not be asked, or ""."""

    seconds: float
    lapsed: tuple[str, ...] = ()
    reason: str = ""


Tell = Callable[[Confirmed], None]


async def confirm(connection: Connection, revision: int) -> Confirmed:
    """Return once the right that `revision` took away is refused everywhere, at the latest when all leases have ended.

    Call it right after the commit.
    """
    confirmation = Confirmation(revision, monotonic())
    lapsed: tuple[str, ...] = ()
    reason = ""
    try:
        with broken_store():
            async with asyncio.timeout(TERMS.seconds + TERMS.margin + ANSWER_SECONDS):
                lapsed = await wait(connection, confirmation)
    except StoreUnavailable as error:
        reason = str(error)
        connection.terminate()  # it may still wait for an answer
        await asyncio.sleep(confirmation.left(monotonic(), TERMS))
    return Confirmed(monotonic() - confirmation.since, lapsed, reason)


async def wait(connection: Connection, confirmation: Confirmation) -> tuple[str, ...]:
    looks = 0
    while True:
        now = monotonic()
        rows = await connection.ask(BEHIND, confirmation.revision)
        confirmation, outcome = confirmation.look([Node(*row) for row in rows], now, TERMS)
        if isinstance(outcome, Done):
            for node in outcome.lapsed:
                await connection.ask(MARK, node.id, node.renewal)
            return tuple(node.id for node in outcome.lapsed)
        if not looks:
            await connection.ask(NOTIFY, str(confirmation.revision))
        await asyncio.sleep(PAUSES[min(looks, len(PAUSES) - 1)])
        looks += 1
