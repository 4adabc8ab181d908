"""How many instructions it takes to note a page view, to write it, and to move it to its session's row.

    python bench/page_views.py     # some minutes

This is what `instructions.py` leaves out: the work in the background, SQLite's included. A worker's collector and store
run under valgrind's callgrind, in a process of their own, without a gateway. As many views as half a second of a busy
worker brings come again and again, until batches are moved twice; the figures are per view.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from instructions import control, total
from many_sessions import fill

from gateway.model.page_view import Views
from gateway.page_views import batches
from gateway.page_views.collector import PageViews
from gateway.process.supervisor import GC_THRESHOLD
from gateway.settings.record import PageViewSettings
from gateway.store import Store
from gateway.store.migrate import migrate
from gateway.wire.deadlines import Deadlines
from tests.login.people import inbound_of

PEOPLE = 1_000
AT_ONCE = 8_000  # views in half a second
TIMES = 2 * -(-batches.AT_ONCE // AT_ONCE)
REQUEST = 153_000  # instructions of a request, as `instructions.py` counts them
LOADS: dict[str, Callable[[int], int]] = {  # the person of each request
    "in bursts of 10": lambda number: number // 10 % PEOPLE,
    "in turns": lambda number: number % PEOPLE,
    "one person": lambda number: 0,
}
PARTS = ("note", "write", "move")


def main() -> None:
    print(f"{'instructions a view':20}" + "".join(f"{part:>8}" for part in PARTS) + "   all, × a request")
    for load in LOADS:
        with tempfile.TemporaryDirectory() as name:
            counted = count(Path(name), load)
        spent = "".join(f"{counted[part]:8,.0f}" for part in PARTS)
        print(f"{load:20}{spent}   {1 + sum(counted.values()) / REQUEST:.3f} ×")


def count(folder: Path, load: str) -> dict[str, float]:
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    asyncio.run(fill(url, PEOPLE))
    counts, spent = folder / "counts", dict.fromkeys(PARTS, 0)
    under = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={counts}.%p")
    command = (*under, sys.executable, __file__, str(folder / "store.db"), load)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None

        def do(part: str) -> None:
            print(part, file=worker.stdin, flush=True)
            assert cast(Any, worker.stdout).readline() == "done\n"

        for part in PARTS:  # what is only done once
            do(part)
        control(worker.pid, "instrumentation on")
        for number in range(TIMES):
            for part in PARTS if (number + 1) % (TIMES // 2) == 0 else PARTS[:2]:
                control(worker.pid, "zero")
                do(part)
                control(worker.pid, "dump")
                spent[part] += total(counts, worker.pid)
        worker.stdin.close()
    return {part: instructions / TIMES / AT_ONCE for part, instructions in spent.items()}


async def work(path: str, load: str) -> None:
    """Be the worker: do each part that is asked for on standard input."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)  # as in a worker
    store, clock = Store.open(f"sqlite:///{path}"), SimpleNamespace(utc=int(time.time()))
    views = PageViews(store, cast(Deadlines, clock), PageViewSettings(), ("/invite/",), print)
    inbound = inbound_of()._replace(method="GET", readings=("/1k",), address="192.0.2.7")
    people = [Views(f"acc_{number:021}", f"ses_{number:021}", "turns") for number in range(PEOPLE)]
    order = [people[LOADS[load](number)] for number in range(AT_ONCE)]
    for line in sys.stdin:
        match line.strip():
            case "note":
                clock.utc += 1
                for whose in order:
                    views.note((whose, inbound, clock.utc), 200)
            case "write":
                await views.flush()
            case _:
                await views.move()
        print("done", flush=True)
    await store.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(*sys.argv[1:]))
    else:
        main()
