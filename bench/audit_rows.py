"""A million rows of audit: how long a filter's first page takes, how fast the chain is verified, what an export holds.

    python bench/audit_rows.py [ROWS]

On SQLite in a temporary folder. The rows are spread over a quarter of a year, 400 tenants and 40,000 people.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.audit import picture, search
from gateway.audit.chain import Head, Row, extend
from gateway.audit.export import Format, as_bytes
from gateway.audit.marks import Signer
from gateway.audit.search import Filter
from gateway.audit.verify import Verifier, Whole
from gateway.model.clock import DAY
from gateway.model.entry import Entry, Outcome
from gateway.model.event import FAILURES, GROUPS, Event, Group
from gateway.model.secret import Secret
from gateway.store import Store
from gateway.store.migrate import migrate

ROWS = 1_000_000
SPAN = 90 * DAY
UTC = ZoneInfo("UTC")
NOW = 1_800_000_000
PEOPLE, TENANTS = 40_000, 400
EVENTS = (
    [Event.LOGIN] * 40
    + [Event.LOGIN_FAILED] * 25
    + [Event.LOGOUT] * 15
    + [Event.LOGIN_STEP] * 12
    + [Event.STEP_UP] * 4
    + [Event.LOGIN_2FA_FAILED] * 2
    + [Event.LOGIN_LOCKOUT, Event.SESSION_REVOKED]
)
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{n}.0 Safari/537.36" for n in range(100, 140)]


def one(event: Event) -> Filter:
    return Filter(events=frozenset((event,)))


def rows(count: int) -> Iterator[Row]:
    chance, head = random.Random(1), Head()
    for at in range(count):
        who = min(int(chance.expovariate(1 / 6_000)), PEOPLE - 1)
        event = chance.choice(EVENTS)
        is_known = event is not Event.LOGIN_FAILED or who % 5
        entry = Entry(
            event,
            Outcome.FAILURE if event in FAILURES else Outcome.SUCCESS,
            NOW - SPAN + at * SPAN // count,
            f"person{who}@tenant{who % TENANTS}.example",
            tenant=f"tenant{who % TENANTS}" if is_known else None,
            account=f"acc_{who:020x}" if is_known else None,
            address=f"198.51.{who % 250}.{at % 7}",
            user_agent=AGENTS[who % len(AGENTS)],
            session=f"ses_{at:020x}" if event is Event.LOGIN else None,
            request_id=f"{at:032x}",
            details={"method": "2fa"} if event is Event.LOGIN else {"reason": "wrong"},
        )
        row = extend(head, entry, os.urandom(16), os.urandom(16))
        head = Head(row.id, row.hash)
        yield row


def fill(path: Path, count: int) -> None:
    began = time.perf_counter()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    last: list[Row] = []

    def noted() -> Iterator[Row]:
        for row in rows(count):
            last[:] = [row]
            yield row

    connection.executemany(f"INSERT INTO audit VALUES ({','.join('?' * len(Row._fields))})", noted())
    connection.execute("UPDATE audit_head SET number = ?, hash = ?", (last[0].id, last[0].hash))
    connection.commit()
    connection.close()
    print(f"{count:,} rows in {time.perf_counter() - began:.0f} s, {path.stat().st_size / 1e6:,.0f} MB")


FAILED = GROUPS[Group.FAILED_SIGN_INS]
FILTERS = {
    "nothing": Filter(),
    "an event": one(Event.LOGIN),
    "a rare event": one(Event.SESSION_REVOKED),
    "an event that never was": one(Event.KEYS_ROTATED),
    "failed sign-ins": Filter(events=FAILED),
    "a person": Filter(person="person77@tenant77.example"),
    "a person with an event": replace(one(Event.LOGIN_FAILED), person="person77@tenant77.example"),
    "nobody": Filter(person="nobody@nowhere.example"),
    "an address": Filter(address="198.51.7.3"),
    "a tenant": Filter(tenant="tenant7"),
    "a tenant's failed sign-ins": Filter(tenant="tenant7", events=FAILED),
    "a tenant and an event": replace(one(Event.LOGIN_LOCKOUT), tenant="tenant7"),
    "a tenant and somebody else's address": Filter(tenant="tenant7", address="198.51.8.3"),
    "a week": Filter(since=NOW - 40 * DAY, until=NOW - 33 * DAY),
    "an event in a week": replace(one(Event.STEP_UP), since=NOW - 40 * DAY, until=NOW - 33 * DAY),
    "words that are there": Filter(words="Chrome/107"),
    "words that are nowhere": Filter(words="not there"),
    "everything at once": Filter(
        tenant="tenant7", events=GROUPS[Group.SIGN_INS], address="198.51.7.3", since=NOW - SPAN, words="chrome"
    ),
}


async def measure(url: str) -> None:
    store = Store.open(url)
    for name, wanted in FILTERS.items():
        milliseconds = []
        for _ in range(3):
            began = time.perf_counter()
            async with store.reading() as tx:
                page = await search.find(tx, wanted, None, 50)
            milliseconds.append((time.perf_counter() - began) * 1e3)
        began = time.perf_counter()
        async with store.reading() as tx:
            await picture.draw(tx, wanted, NOW, UTC)
        drawn = (time.perf_counter() - began) * 1e3
        print(f"{name:40} {len(page.rows):3} rows {max(milliseconds):7.1f} ms, the picture {drawn:7.1f} ms")
    whole = replace(FILTERS["nothing"], since=NOW - SPAN)
    began = time.perf_counter()
    async with store.reading() as tx:
        await picture.draw(tx, whole, NOW, UTC)
    print(f"{'the picture of a quarter of a year':40} {(time.perf_counter() - began) * 1e3:7.1f} ms")
    await measure_long(store)
    await store.close()


async def measure_long(store: Store) -> None:
    began, before = time.perf_counter(), peak()
    found = await Verifier(store, Signer([Secret(b"b" * 48)])).run()
    assert isinstance(found, Whole), found
    seconds = time.perf_counter() - began
    print(f"verify: {found.rows / seconds:,.0f} rows/s, memory grew by {peak() - before:.1f} MB")
    for form in Format:
        began, before, size = time.perf_counter(), peak(), 0
        async for piece in as_bytes(store, Filter(), form):
            size += len(piece)
        seconds = time.perf_counter() - began
        print(f"export {form.value}: {size / 1e6:,.0f} MB in {seconds:.1f} s, memory grew by {peak() - before:.1f} MB")


def peak() -> float:
    """Return the most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "bench.db"
        migrate(f"sqlite:///{file}")
        fill(file, count)
        asyncio.run(measure(f"sqlite:///{file}"))
