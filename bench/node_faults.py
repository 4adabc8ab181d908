"""What people notice when a node or the database fails: three nodes on one PostgreSQL, nginx in front.

    python bench/node_faults.py [FAULT ...]

While something fails, people use the application, sign in with their passwords, and end sessions (see nodes.py). Lines
say what of it was wrongly allowed, how long requests that failed took, when all was well again after the end of the
fault, and whether an accepted sign-in or a row of the audit log was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
from nodes import Client, Person, Seen, quantile, revoke, store_with
from servers import upstream

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.model.token import key_of_text
from tests.support import postgres
from tests.support.cluster import Cluster, cluster
from tests.support.gateway import COOKIE, PASSWORD, free_port

NODES = 3
STEADY = 3.0  # seconds before the fault
AFTER = 12.0  # and after it
AFFECTED = 1  # the number of the node


@dataclass(slots=True)
class Trial:
    """What is running. `url` has `{port}` in the place of the server's port."""

    running: Cluster
    server: postgres.Server
    url: str
    folder: Path
    cookies: list[str] = field(default_factory=list)
    replica: postgres.Server | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """`seconds` lie between `begin` and `end`."""

    seconds: float
    begin: Callable[[Trial], None]
    end: Callable[[Trial], None]


def freeze_node(trial: Trial) -> None:
    trial.running.send(AFFECTED, signal.SIGSTOP)


def thaw_node(trial: Trial) -> None:
    trial.running.send(AFFECTED, signal.SIGCONT)


def kill_node(trial: Trial) -> None:
    trial.running.send(AFFECTED, signal.SIGKILL)


def start_node(trial: Trial) -> None:
    trial.running.nodes[AFFECTED].start()


def cut_node(trial: Trial) -> None:
    trial.running.relays[AFFECTED].send_signal(signal.SIGSTOP)


def join_node(trial: Trial) -> None:
    trial.running.relays[AFFECTED].send_signal(signal.SIGCONT)


def set_clock(offset: str) -> Callable[[Trial], None]:
    def write(trial: Trial) -> None:
        file = trial.folder / "clock"
        file.with_suffix(".new").write_text(offset)
        file.with_suffix(".new").replace(file)

    return write


def stop_database(trial: Trial) -> None:
    trial.server.stop()


def start_database(trial: Trial) -> None:
    trial.server.start()


def signal_database(signum: signal.Signals) -> Callable[[Trial], None]:
    return lambda trial: trial.server.send(signum)


def fail_over(trial: Trial) -> None:
    """The primary is gone in the middle of everything."""
    trial.server.send(signal.SIGKILL)
    (trial.server.data / "postmaster.pid").unlink()


def promote(trial: Trial) -> None:
    assert trial.replica is not None
    trial.replica.promote()


def nothing(_: Trial) -> None:
    pass


FAULTS = {
    "a node is frozen for 5 s": Fault(5, freeze_node, thaw_node),
    "a node is killed": Fault(5, kill_node, start_node),
    "a node is cut off from the database for 10 s": Fault(10, cut_node, join_node),
    "a node's clock goes back an hour": Fault(5, set_clock("-3600"), nothing),
    "a node's clock goes forward an hour": Fault(5, set_clock("+3600"), nothing),
    "PostgreSQL is stopped for 60 s": Fault(60, stop_database, start_database),
    "PostgreSQL is frozen for 30 s": Fault(30, signal_database(signal.SIGSTOP), signal_database(signal.SIGCONT)),
    "PostgreSQL is restarted": Fault(0, stop_database, start_database),
    "PostgreSQL fails over to a replica": Fault(3, fail_over, promote),
}


@dataclass(slots=True)
class Failures:
    """When requests failed, and how long each took."""

    at: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    total: int = 0


async def use_it(people: list[Person], port: int, found: Failures, until: asyncio.Event) -> None:
    """Use the application through nginx; a request that gets no answer in 15 s is given up."""
    client, number = Client(port), 0
    while not until.is_set():
        began = time.monotonic()
        try:
            async with asyncio.timeout(15):
                status = await client.ask(people[number % len(people)].keeper)
        except TimeoutError:
            status = 0
            client.close()
        number += 1
        found.total += 1
        if status != 200:
            found.at.append(time.monotonic())
            found.seconds.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    client.close()


async def sign_in(port: int, cookies: list[str], until: asyncio.Event) -> None:
    """Sign in again and again; keep the cookie of each sign-in that was accepted."""
    number = 0
    while not until.is_set():
        number += 1
        form = urlencode({"email": f"crowd{number % 50}@acme.example", "password": PASSWORD, "next": "/"}).encode()
        client = Client(port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                if await client.ask("", "/login", form) == 303:
                    cookies.extend(
                        line.split(b"=", 1)[1].split(b";")[0].decode()
                        for line in client.head.split(b"\r\n")
                        if line.lower().startswith(f"set-cookie: {COOKIE}=".lower().encode())
                    )
        client.close()
        await asyncio.sleep(0.1)


async def end_sessions(people: list[Person], running: Cluster, seen: Seen, until: asyncio.Event) -> None:
    while not until.is_set() and people:
        nodes = [[Client(node.port) for _ in range(2)] for node in running.nodes]
        front = Client(running.port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(40):
                await revoke(people.pop(), nodes, front, seen)
        for client in (front, *(client for clients in nodes for client in clients)):
            client.close()


async def live_through(trial: Trial, fault: Fault, people: list[Person]) -> tuple[Seen, Failures, float]:
    """Return what came of it, and when the fault ended."""
    seen, failures, until = Seen(), Failures(), asyncio.Event()
    port = trial.running.port
    tasks = [asyncio.ensure_future(use_it(people[:20], port, failures, until)) for _ in range(6)]
    tasks.append(asyncio.ensure_future(sign_in(port, trial.cookies, until)))
    rest = people[20:]
    tasks += [asyncio.ensure_future(end_sessions(rest, trial.running, seen, until)) for _ in range(4)]
    await asyncio.sleep(STEADY)
    await asyncio.to_thread(fault.begin, trial)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(fault.end, trial)
    ended_at = time.monotonic()
    await asyncio.sleep(AFTER)
    until.set()
    await asyncio.gather(*tasks)
    return seen, failures, ended_at


async def count_lost(url: str, cookies: list[str]) -> tuple[int, int]:
    """Return how many accepted sign-ins have no session, and how many have no row in the audit log."""
    connection = await asyncpg.connect(url)
    keys = [key_of_text(cookie) for cookie in cookies]
    found = await connection.fetch("SELECT id FROM sessions WHERE token_key = ANY($1)", keys)
    ids = [row["id"] for row in found]
    told = await connection.fetchval(
        "SELECT count(*) FROM audit WHERE event = 'login' AND outcome = 'success' AND session = ANY($1)", ids
    )
    await connection.close()
    return len(keys) - len(ids), len(ids) - told


def attempt(name: str, fault: Fault) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodes-")))
        server, url, people = stack.enter_context(store_with(600, crowd=True))
        application = stack.enter_context(upstream(folder))
        is_failover, has_clock = fault.begin is fail_over, "clock" in name
        replica = None
        if is_failover:
            replica, url = stack.enter_context(replicated(server, url))
        running = stack.enter_context(
            cluster(
                folder,
                url,
                f"127.0.0.1:{application}",
                NODES,
                relayed_to=0 if is_failover else server.port,
                with_clock=AFFECTED if has_clock else None,
            )
        )
        trial = Trial(running, server, url, folder, replica=replica)
        seen, failures, ended_at = asyncio.run(live_through(trial, fault, people))
        now = replica or server
        lost = asyncio.run(count_lost(now.url_of("bench"), trial.cookies))
        verified = running.nodes[0].cli("audit", "verify")
    slow = sorted(failures.seconds)
    said = [
        f"{len(seen.pressed)} revocations (slowest {max(seen.pressed):.1f} s)",
        f"wrongly allowed {seen.wrong} of {seen.checked}",
        f"{len(slow)} of {failures.total} requests failed" + (f" (p99 {quantile(slow, 0.99):.1f} s)" if slow else ""),
        f"well again after {max([at - ended_at for at in failures.at if at > ended_at], default=0.0):.1f} s",
        f"of {len(trial.cookies)} sign-ins lost {lost[0]}, audit rows {lost[1]}",
        "audit chain whole" if verified.returncode == 0 else verified.stderr.strip(),
    ]
    print(f"{name}: {'; '.join(said)}", flush=True)


@contextlib.contextmanager
def replicated(server: postgres.Server, url: str) -> Iterator[tuple[postgres.Server, str]]:
    """Give the server a replica that confirms each commit; yield it, and a URL that names both."""
    server.execute("ALTER DATABASE bench SET synchronous_commit = on")
    with server.replica(free_port()) as replica:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        server.execute("SELECT pg_reload_conf()")
        replica_first = f"postgresql://{postgres.USER}@127.0.0.1:{replica.port},127.0.0.1:{server.port}"
        yield replica, f"{replica_first}/bench?sslmode=disable&target_session_attrs=read-write"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", help=f"parts of: {'; '.join(FAULTS)}")
    options = parser.parse_args()
    for name, fault in FAULTS.items():
        if not options.faults or any(part in name for part in options.faults):
            attempt(name, fault)


if __name__ == "__main__":
    main()
