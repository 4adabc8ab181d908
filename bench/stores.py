"""The same request on SQLite and on PostgreSQL, in one run; a part of `make bench`.

    python bench/stores.py [--seconds 6] [--rounds 5]

One worker on core 0, in turns with the others: on SQLite; on PostgreSQL with leases; on PostgreSQL with
`store.sessions = "strict"`, where each request asks the database. Lines say the CPU of the worker and of the database a
request, and how many transactions the database counted for 100,000 requests (a lease's renewals are some, at four a
second).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import servers
from run import CONNECTIONS, load, sign_in
from servers import LOAD_CORE, TICKS

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support import postgres

COUNT = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"


@dataclass(frozen=True, slots=True)
class Round:
    """CPU µs a request of the worker and of the database, and transactions for 100,000 requests."""

    rate: float
    worker: float
    database: float
    transactions: float


def cpu_of(server: postgres.Server) -> float:
    """Return the CPU seconds of all the server's processes."""
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    seconds = 0.0
    for pid in (postmaster, *children):
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def transactions_of(server: postgres.Server, database: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(server.url_of("postgres"))
        count: int = await connection.fetchval(COUNT, database)
        await connection.close()
        return count

    time.sleep(1.5)  # backends report their counts once a second
    return asyncio.run(ask())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    compare(parser.parse_args())


def compare(options: argparse.Namespace) -> None:
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        database = stack.enter_context(postgres.running())
        to = stack.enter_context(servers.upstream(folder))
        kinds = {"SQLite": "", "PostgreSQL": "lease", "PostgreSQL, strict": "strict"}
        running, cookies = {}, {}
        for name, sessions in kinds.items():
            place = folder / (sessions or "sqlite")
            place.mkdir()
            store = f'url = "{database.create(sessions)}"\nsessions = "{sessions}"' if sessions else ""
            running[name] = stack.enter_context(servers.gateway(place, to, False, store=store))
            cookies[name] = sign_in(running[name])
        rounds: dict[str, list[Round]] = {name: [] for name in kinds}
        for _ in range(options.rounds):
            for name, sessions in kinds.items():
                counted = transactions_of(database, sessions) if sessions else 0
                spent = cpu_of(database)
                figures = load(running[name], "1k", cookies[name], CONNECTIONS, options.seconds)
                requests = figures.rate * options.seconds
                spent = (cpu_of(database) - spent) / requests * 1e6
                counted = (transactions_of(database, sessions) if sessions else 0) - counted
                rounds[name].append(Round(figures.rate, figures.cpu, spent, counted / requests * 1e5))
        for name, found in rounds.items():
            ratios = [one.worker / base.worker for one, base in zip(found, rounds["SQLite"], strict=True)]
            print(
                f"{name:18} {statistics.median(one.rate for one in found):7.0f} requests/s, CPU a request: worker "
                f"{statistics.median(one.worker for one in found):5.1f} µs ({statistics.median(ratios):.2f} × SQLite), "
                f"database {statistics.median(one.database for one in found):5.1f} µs; "
                f"{statistics.median(one.transactions for one in found):.0f} transactions for 100,000 requests"
            )


if __name__ == "__main__":
    main()
