"""What one session check costs, on its own: the same lookup that answers every request, asked a hundred thousand times.

    python bench/session_check.py

Lines say µs a check: with and without noting that the session was used, after a change of everybody's rights, and on
PostgreSQL within a lease, and without one. The last one is a network rule's part of a request.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.accounts import rows as account_rows
from gateway.model.account import Account, Role, Status
from gateway.model.factor import Factor, Proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.network_rule import MAX_RANGES, NetworkRule, read_ranges
from gateway.model.session import Lifetime, Lifetimes
from gateway.sessions import rows as session_rows
from gateway.sessions.live import open_lookup
from gateway.sessions.lookup import Lookup
from gateway.store import Store
from gateway.store.migrate import migrate
from tests.support import postgres

SESSIONS = 1_000
CHECKS = 100_000
ASKED = 3_000
LIFETIMES = Lifetimes(Lifetime(604_800, 2_592_000), Lifetime(1_800, 43_200))
ROUNDS = 5


async def fill(url: str) -> list[bytes]:
    """Add sessions; return their keys."""
    store, now = Store.open(url), int(time.time())
    keys = [hashlib.sha256(os.urandom(32)).digest() for _ in range(SESSIONS)]
    async with store.transaction() as tx:
        account = Account(
            "acc_x", "erin@acme.example", "Erin", "acme", Role.EMPLOYEE, frozenset(), Status.ACTIVE, None, now
        )
        await account_rows.add(tx, account)
        for key in keys:
            await session_rows.add(
                tx, token_key=key, account_id="acc_x", proofs=[Proof(Factor.PASSWORD, now)], address="127.0.0.1",
                user_agent="bench", now=now,
            )  # fmt: skip
    await store.close()
    return keys


def ask(lookup: Lookup, keys: list[bytes], *, is_use: bool) -> float:
    """Return µs a check."""
    now = int(time.time())
    began = time.perf_counter()
    for at in range(CHECKS):
        assert lookup.find(keys[at % SESSIONS], now, is_use=is_use)
    return (time.perf_counter() - began) / CHECKS * 1e6


def by_network_rule() -> None:
    ranges = read_ranges("\n".join(f"10.{number}.0.0/16 Office {number}" for number in range(MAX_RANGES)))
    rule, now, spent = NetworkRule((("everyone", ranges),)), int(time.time()), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CHECKS):
            rule.refuse("10.99.1.2", now)
        spent.append((time.perf_counter() - began) / CHECKS * 1e6)
    print(f"a network rule of {MAX_RANGES} lines: {statistics.median(spent):.2f} µs")


async def on_sqlite(folder: Path) -> None:
    url = f"sqlite:///{folder / 'bench.db'}"
    await asyncio.to_thread(migrate, url)
    keys = await fill(url)
    lookup, store = open_lookup(url, FactorPolicy(), LIFETIMES), Store.open(url)
    await lookup.start()
    ask(lookup, keys, is_use=True)
    figures: dict[str, list[float]] = {"a check": [], "of it, noting the use": [], "the minute's write, a session": []}
    for _ in range(ROUNDS):
        whole, bare = ask(lookup, keys, is_use=True), ask(lookup, keys, is_use=False)
        began = time.perf_counter()
        await lookup.flush(store)
        figures["the minute's write, a session"].append((time.perf_counter() - began) / SESSIONS * 1e6)
        figures["a check"].append(whole)
        figures["of it, noting the use"].append(whole - bare)
    for name, values in figures.items():
        print(f"SQLite: {name:30} {statistics.median(values):7.2f} µs")
    began, asked, changes = time.perf_counter(), 0, 0
    spent = 0.0
    while time.perf_counter() - began < 5:
        async with store.transaction() as tx:  # all sessions are of this account
            await account_rows.set_role(tx, "acc_x", (Role.MANAGER, Role.EMPLOYEE)[changes % 2], frozenset())
        changes += 1
        now = int(time.time())
        start = time.perf_counter()
        for key in keys[:500]:
            assert lookup.find(key, now)
        spent += time.perf_counter() - start
        asked += 500
    print(f"SQLite: {'after a change of it, each session':30} {spent / asked * 1e6:7.2f} µs ({changes} changes)")
    await lookup.close()
    await store.close()


async def on_postgresql() -> None:
    with postgres.running() as server:
        url = server.create("bench")
        await asyncio.to_thread(migrate, url)
        keys = await fill(url)
        now = int(time.time())
        lookup = open_lookup(url, FactorPolicy(), LIFETIMES)
        await lookup.start()
        for key in keys:
            assert await lookup.fetch(key, now)
        checks = []
        for _ in range(ROUNDS):
            await asyncio.sleep(0.3)  # the lease is renewed between two rounds
            checks.append(ask(lookup, keys, is_use=True))
        print(f"PostgreSQL: {'a check within a lease':26} {statistics.median(checks):7.2f} µs")
        began = time.perf_counter()
        for at in range(ASKED):
            assert await lookup.fetch(keys[at % SESSIONS], now)
        print(f"PostgreSQL: {'one that asks':26} {(time.perf_counter() - began) / ASKED * 1e6:7.1f} µs")
        await lookup.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(on_sqlite(Path(name)))
    asyncio.run(on_postgresql())
    by_network_rule()
