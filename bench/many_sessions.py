"""What live sessions cost: disk, memory of a worker, look-ups, the minute's write, start-up, and copying the store.

    python bench/many_sessions.py [1000 100000 300000]     # ten minutes

Each session has its own account, and all of them take turns in random order, which is the worst case for a worker's
memory: it is made to hold 50,000 (`sessions.cached`). Lines are for SQLite and PostgreSQL. The
memory of a worker is that of a process which has opened the look-up and nothing else, with and without sessions in it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import insert, text

from gateway.model.factor_policy import FactorPolicy
from gateway.model.session import Lifetime, Lifetimes
from gateway.sessions.live import open_lookup
from gateway.sessions.lookup import Pending
from gateway.store import Store
from gateway.store.location import SQLite, locate
from gateway.store.migrate import migrate
from gateway.store.schema import accounts, sessions, tenants
from tests.support import postgres
from tests.support.gateway import ANEW, Gateway

ROOT = Path(__file__).parent.parent
NUMBERS = (1_000, 100_000, 300_000)
LOOKUPS = 20_000
BATCH = 5_000
CACHED = 50_000
LIFETIMES = Lifetimes(Lifetime(604_800, 2_592_000), Lifetime(1_800, 43_200))
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"


def token_of(number: int) -> str:
    """Return the token of a person's cookie: the same in each run."""
    return base64.urlsafe_b64encode(hashlib.sha256(number.to_bytes(8, "big")).digest()).decode().rstrip("=")


def key_of(number: int) -> bytes:
    return hashlib.sha256(token_of(number).encode()).digest()


async def fill(
    url: str,
    count: int,
    password_hash: str = "pbkdf2:sha256:1000000$" + "a" * 16 + "$" + "0" * 64,
    tenant: str = "turns",
    first: int = 0,
) -> None:
    """Add a tenant with people who are signed in, numbered from `first` on."""
    now = int(time.time())
    store = Store.open(url)
    async with store.transaction() as tx:
        await tx.execute(insert(tenants).values(slug=tenant, name=tenant.title(), status="active"))
        for some in chunks(first, count):
            people = [
                {
                    "id": f"acc_{number:021}", "identifier": f"person.{number}@acme.example",
                    "name": f"Person {number}", "tenant": tenant, "role": "employee", "modules": "hr",
                    "status": "active",
                    "password_hash": password_hash, "created_at": now,
                }
                for number in some
            ]  # fmt: skip
            signed_in = [
                {
                    "id": f"ses_{number:021}", "token_key": key_of(number), "account": f"acc_{number:021}",
                    "proofs": f'[["password",{now}],["totp",{now}]]', "address": "203.0.113.77", "user_agent": CHROME,
                    "started_at": now, "seen_at": now,
                }
                for number in some
            ]  # fmt: skip
            await tx.execute(insert(accounts), people)
            await tx.execute(insert(sessions), signed_in)
    await store.close()


def chunks(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


async def bytes_of(url: str, count: int) -> float:
    """Return the bytes of a session's row with its indexes."""
    store = Store.open(url)
    query = "SELECT sum(pgsize) FROM dbstat WHERE name = 'sessions' OR name LIKE '%sessions%'"
    if not isinstance(locate(url), SQLite):
        query = "SELECT pg_total_relation_size('sessions')"
    async with store.reading() as tx:
        size = (await tx.execute(text(query))).scalar_one()
    await store.close()
    return float(size) / count


def resident() -> float:
    """Return the bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def look_up(url: str, count: int) -> dict[str, float]:
    """Measure in this process, which does nothing else."""
    began = time.perf_counter()
    lookup = open_lookup(url, FactorPolicy(), LIFETIMES, cached_sessions=CACHED)
    await lookup.start()
    figures = {"open": (time.perf_counter() - began) * 1e3}
    now, shuffle = int(time.time()), random.Random(1)
    held = min(count, CACHED)
    empty = resident()
    times = []
    for number in range(held):
        start = time.perf_counter()
        assert await lookup.fetch(key_of(number), now)
        times.append(time.perf_counter() - start)
    figures["first look-up"] = statistics.median(times) * 1e6
    figures["bytes"] = (resident() - empty) / held if held > 10_000 else float("nan")
    keys = [key_of(shuffle.randrange(held)) for _ in range(LOOKUPS)]
    start = time.perf_counter()
    missed = 0
    for key in keys:
        if isinstance(lookup.find(key, now), Pending):
            missed += 1
            await lookup.fetch(key, now)
    figures["from memory"] = (time.perf_counter() - start) / LOOKUPS * 1e6
    figures["missed"] = missed
    store = Store.open(url)
    later = now + 61
    for number in range(held):
        lookup.find(key_of(number), later)
    start = time.perf_counter()
    await lookup.flush(store)
    figures["minute"] = (time.perf_counter() - start) / held * 1e6
    shuffled = [key_of(shuffle.randrange(count)) for _ in range(LOOKUPS)]
    start = time.perf_counter()
    for key in shuffled:
        await lookup.fetch(key, now) if isinstance(lookup.find(key, later), Pending) else None
    figures["taking turns"] = (time.perf_counter() - start) / LOOKUPS * 1e6
    await lookup.close()
    await store.close()
    return figures


def in_a_process_of_its_own(url: str, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--look-up", url, str(count)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def start_up(url: str, folder: Path) -> tuple[float, float]:
    """Return the seconds until a gateway serves, and MB of memory (proportional) of a worker."""
    gateway = Gateway(folder, "127.0.0.1:1", store_url=url)
    gateway.program = ANEW
    began = time.perf_counter()
    gateway.start()
    seconds = time.perf_counter() - began
    rollup = Path(f"/proc/{gateway.workers()[0]}/smaps_rollup").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
    gateway.stop()
    return seconds, memory


def copy(source: str, target: str, folder: Path) -> tuple[float, float]:
    """Return the seconds and the MB of memory that copying the store takes."""
    gateway = Gateway(folder, "127.0.0.1:1", store_url=source)
    command = [*ANEW, "store", "copy", source, target, "--config", str(gateway.config)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=gateway.environ, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, status
    return time.perf_counter() - began, used.ru_maxrss / 1024


def measure(name: str, url: str, count: int, folder: Path) -> None:
    migrate(url)
    asyncio.run(fill(url, count))
    size = asyncio.run(bytes_of(url, count))
    found = in_a_process_of_its_own(url, count)
    seconds, memory = start_up(url, folder / f"{name}{count}")
    print(
        f"{name:11}{count:9,}{size:9,.0f} B{found['bytes']:9,.0f} B{found['first look-up']:9.0f} µs"
        f"{found['from memory']:9.2f} µs{found['taking turns']:9.1f} µs{found['minute']:9.1f} µs"
        f"{seconds:8.1f} s{memory:8.0f} MB",
        flush=True,
    )


@contextmanager
def headed() -> Iterator[None]:
    names = ("a row", "in memory", "first", "remembered", "turns", "seen", "start", "worker")
    widths = (11, 11, 12, 12, 12, 12, 10, 11)
    print(f"{'':20}" + "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)))
    yield


def main(numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name, postgres.running() as server, headed():
        folder = Path(name)
        for count in numbers:
            on_file, on_server = f"sqlite:///{folder}/{count}.db", server.create(f"bench{count}")
            measure("SQLite", on_file, count, folder)
            measure("PostgreSQL", on_server, count, folder)
            for source, target, words in (
                (on_file, server.create(f"copy{count}"), "SQLite to PostgreSQL"),
                (on_server, f"sqlite:///{folder}/copy{count}.db", "PostgreSQL to SQLite"),
            ):
                seconds, memory = copy(source, target, folder / "copy")
                print(f"copying {count:,} sessions and accounts, {words}: {seconds:.1f} s, {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--look-up"]:
        print(json.dumps(asyncio.run(look_up(sys.argv[2], int(sys.argv[3])))))
    else:
        main([int(number) for number in sys.argv[1:]] or list(NUMBERS))
