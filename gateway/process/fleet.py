"""The workers of one supervisor, and what becomes of them.

A Fleet is one generation: settings, the sockets that they name, and a Slot for each worker. A worker holds its slot
until it is told to leave:

    event                    holds a slot, serving       holds a slot, hung       has none (leaving)
    no sign of life          killed -> hung              -                        killed -> hung
    it ended                 its slot is due again       its slot is due again    forgotten
    told to leave            -> leaving                  -> leaving               -

A slot is taken, or `due` to be filled at a time, later the more of its workers died young. Only the current fleet's
slots are filled. A reload is under way while there is a `former` fleet:

    the files or the store are bad, an address is taken     -> nothing was changed
    new fleet's workers started, all ready                  -> the former's are told to leave; its other sockets close
    new fleet's workers started, one not ready in time      -> the new ones are killed; the former is current again
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from gateway.settings import Settings

STEADY_SECONDS = 1.0  # a worker that lived this long may be replaced at once
LONGEST_PAUSE = 10.0


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one worker: taken, or to be filled at `due`. `pause` grows while workers in it keep dying young."""

    pause: float = 0.0
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one reading of the settings leads to."""

    settings: Settings
    sockets: dict[str, socket.socket]
    slots: list[Slot]


@dataclass(slots=True, eq=False)
class Worker:
    """A child process. `slot` is None once it was told to leave; on the pipe `ready` it says that it serves."""

    pid: int
    slot: Slot | None
    region: int
    began: float
    ready: int | None
    is_hung: bool = False


def fleet_of(settings: Settings, sockets: dict[str, socket.socket]) -> Fleet:
    return Fleet(settings, sockets, [Slot() for _ in range(settings.listen.workers)])


def next_pause(pause: float, lived: float) -> float:
    """Return for how many seconds a slot stays empty whose worker lived for so many, after a pause of so many."""
    return 0.0 if lived > STEADY_SECONDS else min(LONGEST_PAUSE, pause * 2 or 0.1)
