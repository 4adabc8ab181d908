"""The states of workers, and of a reload.

A Fleet is one generation: settings, their sockets, and a Slot for each worker. A worker holds its slot until it is told
to leave:

    event                    holds a slot, serving       holds a slot, hung       has none (leaving)
    heartbeat is missing     killed -> hung              -                        killed -> hung
    it has exited            its slot is due again       its slot is due again    forgotten
    told to leave            -> leaving                  -> leaving               -

A slot is taken, or becomes `due` at a time, which is later the more of its workers died early. Only the slots of the
current fleet are filled. A reload is in progress while there is a `former` fleet:

    bad files, bad store, or an address is in use           -> nothing changes
    the new fleet's workers are all ready                   -> the former's workers leave; its other sockets are closed
    one of the new fleet's workers is not ready in time     -> the new ones are killed; the former is current again
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.settings import Settings

STEADY_SECONDS = 1.0  # a worker that lived longer is replaced without a pause
LONGEST_PAUSE = 10.0


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one worker: taken, or to be filled at `due`. `pause` (seconds) grows if its workers keep dying
    early.
    """

    pause: float = 0.0
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """The resources of a worker: listening sockets, its region of the board, and two pipes.

    It writes a byte to `ready` once it serves; `lifeline` becomes readable when the supervisor has exited.
    """

    sockets: Sequence[socket.socket]
    admin: socket.socket | None
    region: int
    ready: int
    lifeline: int


@dataclass(frozen=True, slots=True)
class Work:
    """What each worker of a generation does. `close` lets go of what they share, in the supervisor."""

    run: Callable[[Post], None]
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The settings of one generation, with what its workers do, their sockets and slots."""

    settings: Settings
    work: Work
    sockets: dict[str, socket.socket]
    slots: list[Slot]


@dataclass(slots=True, eq=False)
class Worker:
    """A child process. `slot` is None once it was told to leave. It writes to the pipe `ready` when it serves."""

    pid: int
    slot: Slot | None
    region: int
    began: float
    ready: int | None
    is_hung: bool = False


def fleet_of(settings: Settings, work: Work, sockets: dict[str, socket.socket]) -> Fleet:
    return Fleet(settings, work, sockets, [Slot() for _ in range(settings.listen.workers)])


def next_pause(pause: float, lived: float) -> float:
    """Return how many seconds a slot stays empty, given the pause before its worker and the worker's lifetime."""
    return 0.0 if lived > STEADY_SECONDS else min(LONGEST_PAUSE, pause * 2 or 0.1)
