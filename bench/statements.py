"""What PostgreSQL is asked for each thing that people do, counted by PostgreSQL itself (pg_stat_statements).

    python bench/statements.py                    # two minutes; --all lists every statement

A gateway with two workers runs on a PostgreSQL of its own. Each thing is done for twenty people, and the counters are
read before and after. Renewals of leases, which go on all the time, are counted on their own, over a minute in which
nothing else happens. Bytes are those of the write-ahead log. The counts don't depend on the machine.

Last come the rows of the audit log, which are chained: only one transaction at a time can add to the chain, from when
it has read the last row until its commit is on the disk. Four connections do that as fast as they can.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import asyncpg
from sqlalchemy import text

from gateway.audit import rows as audit_rows
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.store import Store
from tests.support import postgres
from tests.support.gateway import PASSWORD, Gateway
from tests.support.person import CHROME, Person, code_of
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

PEOPLE = 20
REQUESTS = 1_000
IDLE_SECONDS = 60
CHAINED = 500  # transactions on each connection
MANY = 20_000  # rows at once
ENTRY = Entry(
    Event.LOGIN, Outcome.SUCCESS, 1_800_000_000, "erin.employee@acme.example", "acme", "acc_0123456789abcdef0123",
    "203.0.113.77", CHROME.partition(": ")[2], "ses_0123456789abcdef0123", "0123456789abcdef0123456789abcdef",
    {"factors": "password,totp", "new_device": True},
)  # fmt: skip
BACKGROUND = ("WITH unhurried", "SELECT id, renewal FROM nodes")
QUERY = """
    SELECT query, calls, total_exec_time FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
    WHERE datname = current_database() AND query !~ 'pg_stat_statements|pg_current_wal_insert_lsn'
"""
POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Counts:
    calls: Counter[str]
    milliseconds: float
    log_bytes: int


class Database:
    def __init__(self, server: postgres.Server, name: str) -> None:
        self._server, self._name = server, name
        server.use(name, lambda connection: connection.execute("CREATE EXTENSION pg_stat_statements"))

    def count(self, work: Callable[[], object]) -> Counts:
        began = self._read()
        work()
        ended = self._read()
        return Counts(
            ended.calls - began.calls, ended.milliseconds - began.milliseconds, ended.log_bytes - began.log_bytes
        )

    def _read(self) -> Counts:
        async def read(connection: asyncpg.Connection) -> Counts:
            rows = await connection.fetch(QUERY)
            calls = Counter({" ".join(query.split()): count for query, count, _ in rows})
            spent = sum(spent for query, _, spent in rows if not query.strip().startswith(BACKGROUND))
            return Counts(calls, spent, int(await connection.fetchval(POSITION)))

        return self._server.use(self._name, read)


def show(name: str, counts: Counts, times: int, *, is_whole: bool) -> None:
    """Print how many statements each time took; BEGIN, COMMIT and ROLLBACK are statements too."""
    own = {query: calls for query, calls in counts.calls.items() if not query.startswith(BACKGROUND)}
    around = sum(calls for query, calls in own.items() if query.startswith(TRANSACTION))
    commits = sum(calls for query, calls in own.items() if query.startswith("COMMIT"))
    print(
        f"{name:34} {(sum(own.values()) - around) / times:8.2f} {around / times:8.2f} {commits / times:8.2f}"
        f" {counts.milliseconds / times:8.2f} {counts.log_bytes / times:9,.0f}"
    )
    if is_whole:
        for query, calls in sorted(own.items(), key=lambda item: -item[1]):
            print(f"    {calls / times:7.2f}  {query[:150]}")


def main(is_whole: bool) -> None:
    postgres.SETTINGS = ("listen_addresses=", "max_connections=100")  # every commit waits for the disk
    with tempfile.TemporaryDirectory() as name, postgres.running() as server:
        server.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        server.execute("ALTER SYSTEM SET autovacuum = off")  # its log bytes are not ours
        server.stop()
        server.start()
        upstream = RecordingUpstream().start()
        gateway = Gateway(Path(name), f"127.0.0.1:{upstream.port}", store_url=server.create("bench")).seed()
        database = Database(server, "bench")
        gateway.start()
        try:
            measure(gateway, database, is_whole)
        finally:
            gateway.stop()
            upstream.stop()
        asyncio.run(chain(gateway.store_url))


def measure(gateway: Gateway, database: Database, is_whole: bool) -> None:
    people = [Person(gateway, f"crowd{number}@acme.example") for number in range(PEOPLE)]
    secrets: dict[str, str] = {}

    def each(work: Callable[[Person], object]) -> Callable[[], object]:
        return lambda: [work(person) for person in people]

    def enrol(person: Person) -> None:
        secrets[person.email] = person.enrol()[0]

    def enter_code(person: Person) -> None:
        person.submit("/login/totp", code=code_of(gateway, person.email, secrets[person.email]))

    def sign_in(person: Person) -> None:
        person.submit("/login", follow=False, email=person.email, password=PASSWORD)

    def fail(person: Person) -> None:
        person.open("/login")
        person.submit("/login", email=person.email, password=PASSWORD + "?")

    def ask(times: int) -> None:
        line = people[0].cookie_line
        with gateway.connect() as connection:
            for _ in range(times):
                connection.send(get("/probe", line, CHROME))
                connection.response()

    print(f"{'':34} {'':>8} {'begin,':>8}")
    print(f"{'':34} {'others':>8} {'commit':>8} {'commits':>8} {'ms in it':>8} {'log bytes':>9}")
    steps: list[tuple[str, Callable[[], object], int]] = [
        ("opening the sign-in page", each(lambda person: person.open("/login?next=/probe")), PEOPLE),
        ("sign-in with password", each(sign_in), PEOPLE),
        ("first request on a worker", each(lambda person: person.open("/probe")), PEOPLE),
        ("setting up TOTP", each(enrol), PEOPLE),
        ("/me/security", each(lambda person: person.open("/me/security")), PEOPLE),
        ("/me/sessions", each(lambda person: person.open("/me/sessions")), PEOPLE),
        ("a thousand requests", lambda: ask(REQUESTS), 1),
        ("sign-out", each(lambda person: person.send("/logout", {})), PEOPLE),
        ("a wrong password", each(fail), PEOPLE),
        ("the same up to the code", each(lambda person: person.give_password()), PEOPLE),
        ("the code, and the page after it", each(enter_code), PEOPLE),
    ]  # fmt: skip
    for name, work, times in steps:
        show(name, database.count(work), times, is_whole=is_whole)
    idle = database.count(lambda: time.sleep(IDLE_SECONDS))
    show("a minute idle, besides leases", idle, 1, is_whole=is_whole)
    leases = sum(calls for query, calls in idle.calls.items() if query.startswith(BACKGROUND))
    print(f"leases: {leases / 2 / IDLE_SECONDS:.2f} statements a second for each worker")


async def chain(url: str) -> None:
    """Print how many transactions a second can each add a row, and the bytes of a row with its indexes."""
    store = Store.open(url)

    async def add(times: int) -> None:
        for _ in range(times):
            async with store.transaction() as tx:
                await audit_rows.record(tx, ENTRY)

    began = time.perf_counter()
    await asyncio.gather(*(add(CHAINED) for _ in range(4)))
    rate = 4 * CHAINED / (time.perf_counter() - began)
    async with store.transaction() as tx:
        for _ in range(MANY):
            await audit_rows.record(tx, ENTRY)
    async with store.reading() as tx:
        count, size = (await tx.execute(text("SELECT count(*), pg_total_relation_size('audit') FROM audit"))).one()
    await store.close()
    print(f"audit log: {rate:,.0f} transactions a second; {size / count:,.0f} bytes a row")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="list every statement")
    main(parser.parse_args().all)
