"""Several nodes on one PostgreSQL: how long it takes to take a right away everywhere, and whether it is really gone.

    python bench/nodes.py [REVOCATIONS] [--nodes 1 3 5]

For each revocation, a session is used on connections to every node, so that all have it in memory, and goes on being
used while another session of its account ends it at /me/sessions. When that is confirmed (the answer has come), it is
used on all connections once more. An answer of the application to a request that was sent after the confirmation is
*wrongly allowed*. Meanwhile others use the application, through nginx.

Everything runs on the same cores, also the load: times are upper limits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from servers import upstream

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.accounts import rows as account_rows
from gateway.model.account import Account, Role, Status
from gateway.model.factor import Factor, Proof
from gateway.model.token import key_of, new_token
from gateway.sessions import rows as session_rows
from gateway.store import Store
from gateway.store.migrate import migrate
from tests.support import postgres
from tests.support.cluster import Cluster, cluster
from tests.support.gateway import COOKIE, HOST, ORIGIN, free_port
from tests.support.gateway import fill as fill_with_everybody

TO_EACH_NODE = 4  # connections, so that both workers have some
AT_ONCE = 1  # revocations
OTHERS = 4  # connections of other people, through nginx
MOST_DROPPED = 200  # revocations without notifications, a third of a second each
PAUSE = 0.01  # seconds between two requests on one of them


@dataclass(frozen=True, slots=True)
class Person:
    """The cookies of two sessions of one account, and the id of the one that is ended."""

    victim: str
    victim_id: str
    keeper: str


@dataclass(slots=True)
class Seen:
    """What came of the requests. `late` are the seconds of answers that were no success."""

    pressed: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    wrong: int = 0
    checked: int = 0


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self.head = b""

    async def ask(self, cookie: str, path: str = "/1k", form: bytes | None = None) -> int:
        """Send a request; return the status, 0 if the connection ended without an answer."""
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            lines = [f"{'GET' if form is None else 'POST'} {path} HTTP/1.1", f"Host: {HOST}"]
            lines.append(f"Cookie: {COOKIE}={cookie}")
            if form is not None:
                lines += [f"Origin: {ORIGIN}", "Content-Type: application/x-www-form-urlencoded"]
                lines.append(f"Content-Length: {len(form)}")
            head = "\r\n".join((*lines, "", ""))
            self._writer.write(head.encode() + (form or b""))
            self.head = answer = await self._reader.readuntil(b"\r\n\r\n")
            lower = answer.lower()
            at = lower.find(b"content-length: ")
            if at >= 0:
                await self._reader.readexactly(int(lower[at + 16 : lower.index(b"\r\n", at)]))
            if b"connection: close" in lower or (at < 0 and not lower.startswith((b"http/1.1 204", b"http/1.1 304"))):
                self.close()
            return int(answer[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def fill(url: str, count: int) -> list[Person]:
    """Add accounts with two sessions each."""
    store, now, people = Store.open(url), int(time.time()), []
    for start in range(0, count, 200):
        async with store.transaction() as tx:
            for number in range(start, min(start + 200, count)):
                account = Account(
                    account_rows.new_account_id(), f"p{number}@acme.example", "P", "acme", Role.EMPLOYEE, frozenset(),
                    Status.ACTIVE, None, now,
                )  # fmt: skip
                await account_rows.add(tx, account)
                made = []
                for _ in range(2):
                    token = new_token()
                    session = await session_rows.add(
                        tx, token_key=key_of(token), account_id=account.id, proofs=[Proof(Factor.PASSWORD, now)],
                        address="127.0.0.1", user_agent="bench", now=now,
                    )  # fmt: skip
                    made.append((token.reveal(), session))
                people.append(Person(made[0][0], made[0][1], made[1][0]))
    await store.close()
    return people


async def revoke(person: Person, nodes: list[list[Client]], front: Client, seen: Seen) -> None:
    """End a session while it is used, and use it once more when that is confirmed."""
    every = [client for clients in nodes for client in clients]
    used = [clients.pop() for clients in [list(clients) for clients in nodes]]  # these go on using it
    await asyncio.gather(*(client.ask(person.victim) for client in every))
    confirmed_at: list[float] = []

    async def use(client: Client) -> None:
        while not confirmed_at:
            await judge(client)
            await asyncio.sleep(0.002)

    async def judge(client: Client) -> None:
        sent_at = time.monotonic()
        status = await client.ask(person.victim)
        if confirmed_at and sent_at > confirmed_at[0]:
            seen.checked += 1
            seen.wrong += status == 200
            seen.statuses[status] += 1

    using = [asyncio.ensure_future(use(client)) for client in used]
    pressed_at = time.monotonic()
    status = await front.ask(person.keeper, "/me/sessions/revoke", f"session={person.victim_id}".encode())
    now = time.monotonic()
    if b"done=revoked" in front.head:
        confirmed_at.append(now)
        seen.pressed.append(now - pressed_at)
    else:
        confirmed_at.append(float("inf"))
        seen.statuses[status] += 1
        seen.late.append(now - pressed_at)
    still = [client for client in every if client not in used]
    await asyncio.gather(*(judge(client) for client in still), *using)


async def bother(people: list[Person], port: int, seen: Seen, until: asyncio.Event) -> None:
    """Use the application as other people do, through nginx."""
    client, number = Client(port), 0
    while not until.is_set():
        began = time.monotonic()
        status = await client.ask(people[number % len(people)].keeper)
        number += 1
        seen.statuses[status] += 1
        if status != 200:
            seen.late.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE)
    client.close()


@contextlib.asynccontextmanager
async def others(people: list[Person], port: int) -> AsyncIterator[Seen]:
    seen, until = Seen(), asyncio.Event()
    tasks = [asyncio.ensure_future(bother(people, port, seen, until)) for _ in range(OTHERS)]
    yield seen
    until.set()
    await asyncio.gather(*tasks)


async def revoke_all(running: Cluster, people: list[Person]) -> Seen:
    seen, queue = Seen(), list(people)

    async def work() -> None:
        nodes = [[Client(node.port) for _ in range(TO_EACH_NODE)] for node in running.nodes]
        front = Client(running.port)
        while queue:
            await revoke(queue.pop(), nodes, front, seen)
        for client in (front, *(client for clients in nodes for client in clients)):
            client.close()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return seen


def confirmed_within(running: Cluster, bound: str) -> float:
    """Return the share of confirmations that took at most `bound` seconds, from the nodes' own metrics."""
    within = total = 0.0
    for node in running.nodes:
        for line in node.ask_admin("/metrics").body.decode().splitlines():
            if line.startswith(f'otium_gateway_confirmation_seconds_bucket{{le="{bound}"}}'):
                within += float(line.split()[1])
            elif line.startswith("otium_gateway_confirmation_seconds_count"):
                total += float(line.split()[1])
    return within / total


@contextlib.contextmanager
def store_with(people: int, *, crowd: bool = False) -> Iterator[tuple[postgres.Server, str, list[Person]]]:
    """Yield a server, the URL of a store in it with `{port}` in the place of its port, and who is in it."""
    port = free_port()
    with postgres.running(port) as server:
        server.create("bench")
        url = f"postgresql://{postgres.USER}@127.0.0.1:{{port}}/bench?sslmode=disable"
        migrate(url.format(port=port))
        if crowd:  # who can sign in
            asyncio.run(fill_with_everybody(url.format(port=port)))
        yield server, url, asyncio.run(fill(url.format(port=port), people))


def measure(count: int, revocations: int, *, drops: bool) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="nodes-") as name,
        store_with(revocations + 20) as (server, url, people),
        upstream(Path(name)) as application,
        cluster(Path(name), url, f"127.0.0.1:{application}", count, relayed_to=server.port, drops=drops) as running,
    ):

        async def run() -> tuple[Seen, Seen]:
            async with others(people[:20], running.port) as beside:
                return await revoke_all(running, people[20:]), beside

        began = time.monotonic()
        seen, beside = asyncio.run(run())
        seconds = time.monotonic() - began
        within = confirmed_within(running, "0.05")
    times = sorted(seen.pressed)
    said = [
        f"{len(times)} of {revocations} revocations",
        f"confirmed within 50 ms {within:.1%}",
        f"press to done p50 {quantile(times, 0.5) * 1000:.0f} ms, p99 {quantile(times, 0.99) * 1000:.0f} ms",
        f"wrongly allowed {seen.wrong} of {seen.checked}",
        f"beside it {beside.statuses.total() / seconds:.0f} requests/s",
    ]
    print(f"{count} nodes, {'NOTIFY dropped' if drops else 'NOTIFY'}: {'; '.join(said)}", flush=True)


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("revocations", type=int, nargs="?", default=300)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 3, 5])
    options = parser.parse_args()
    for count in options.nodes:
        for drops in (False, True):
            measure(count, min(options.revocations, MOST_DROPPED) if drops else options.revocations, drops=drops)


if __name__ == "__main__":
    main()
