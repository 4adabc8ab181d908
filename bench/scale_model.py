"""How many nodes does it take, and how large a database? Simulates the queues, from what was measured.

    python bench/scale_model.py                                  # five cases, half a minute
    python bench/scale_model.py --people 50000 --requests 1000 --share 1 --cores 8

People arrive at random, in a peak, and wait in queues; so nothing here is a product of averages. Simulated are:

1.  Sign-ins. Each worker computes one password hash at a time, with the CPU that requests leave it. 64 wait for it;
    the others are told to try again, and do so after a while.
2.  The chain of the audit log. In the whole system, one transaction at a time adds to it, from its read of the last row
    until its commit: four round trips to the database, and a write to the disk.
3.  A worker's memory of sessions. It holds 50,000, and starts anew when that is full. What it misses, it asks for.
4.  The database's cores, before which the statements queue.

Left out is what would have to be invented: the application, congested networks, failures. The figures come from the
machine that they were measured on; the ratios between the lines hold longer than the lines.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

HOUR = 3_600.0
QUEUE = 64  # limits.hashing_queue
REMEMBERED = 50_000  # sessions/memory.py
TRIES = 10  # then somebody gives up, and is in no line of the table but `refused`
LEAST_SHARE = 0.25  # of a core, for hashing beside requests (docs/decisions.md)
MOST_SIGN_INS = 20_000  # simulated: a part of the workers stands for all
PEAK = math.pi / 2  # the highest rate of a half wave, over its mean
GOAL_SECONDS, GOAL_LOAD = 3.0, 0.7


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    what: str
    by: str


MEASURED = {
    "request": Figure(280e-6, "s of CPU a request, where thousands take turns", "bench/many_people.py"),
    "hash": Figure(0.213, "s of CPU to check a password (PBKDF2, a million rounds)", "bench/sign_ins.py"),
    "statements": Figure(52, "statements of a sign-in with password and code", "bench/statements.py"),
    "sign_in": Figure(1.5e-3, "s of the database for them", "bench/statements.py"),
    "chained": Figure(2, "transactions of it that add to the audit log", "bench/statements.py"),
    "log": Figure(6_400, "bytes of write-ahead log for it", "bench/statements.py"),
    "look_up": Figure(90e-6, "s of the database to find a session", "bench/statements.py"),
    "seen": Figure(50e-6, "s of the database to note that a session was used", "bench/many_sessions.py"),
    "renewal": Figure(100e-6, "s of the database to renew a lease", "bench/statements.py"),
    "renewals": Figure(4.07, "statements a second of each worker for its lease", "bench/statements.py"),
    "worker": Figure(49e6, "bytes of a worker", "bench/many_sessions.py"),
    "memory": Figure(1_750, "more bytes for each session in its memory", "bench/many_sessions.py"),
    "session": Figure(490, "bytes of a session on disk", "bench/many_sessions.py"),
    "audit": Figure(530, "bytes of an entry of the audit log on disk", "bench/audit_rows.py"),
}
F = {name: figure.value for name, figure in MEASURED.items()}


@dataclass(frozen=True, slots=True)
class Site:
    """`people` are signed in, and send `requests` a second at the peak. Assumed, not measured, is all of this."""

    people: int
    requests: float
    share: float = 1.0  # of the people, who sign in within the hour
    active: float = 0.3  # of the people, who send the requests of a minute
    cores: int = 4  # of a node, and so workers
    database_cores: int = 8
    round_trip: float = 0.5e-3  # seconds, between a node and the database
    loop: float = 0.3e-3  # seconds until a worker turns to an answer of the database
    disk: float = 1e-3  # seconds of a commit's write, as a median; log-normal
    patience: float = 20.0  # seconds until somebody tries again, on average
    every_days: float = 14.0  # between two sign-ins of a person


def peak_hour(count: float, rng: random.Random) -> Iterator[float]:
    """Yield the times of about `count` arrivals within an hour: a Poisson process whose rate is half a wave."""
    highest, at = count / HOUR * PEAK, 0.0
    while count and (at := at + rng.expovariate(highest)) < HOUR:
        if rng.random() < math.sin(math.pi * at / HOUR):
            yield at


@dataclass(frozen=True, slots=True)
class Waits:
    median: float
    p99: float
    worst: float
    refused: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float], refused: float = 0.0) -> Waits:
        found = sorted(seconds) or [0.0]
        return cls(found[len(found) // 2], found[len(found) * 99 // 100], found[-1], refused)


def serve(arrivals: Iterable[float], service: Iterator[float], servers: int = 1) -> Iterator[float]:
    """Yield how long each waits for one of `servers` to begin, first come first served."""
    free = [0.0] * servers
    for at in arrivals:
        began = max(at, free[0])
        heapq.heapreplace(free, began + next(service))
        yield began - at


def sign_in_waits(site: Site, nodes: int, rng: random.Random) -> Waits:
    """From the click until the password is checked, with all tries, at the peak hour."""
    workers = nodes * site.cores
    hashing = F["hash"] / max(LEAST_SHARE, 1 - site.requests / workers * F["request"])
    each = site.people * site.share / workers
    waits: list[float] = []
    refused = arrived = 0
    for _ in range(min(workers, math.ceil(MOST_SIGN_INS / max(each, 1)))):
        events = [(at, at, 1) for at in peak_hour(each, rng)]  # sorted, and so a heap
        busy: deque[float] = deque()  # until when, for each hash that is computed or waits
        while events:
            at, clicked, tries = heapq.heappop(events)
            while busy and busy[0] <= at:
                busy.popleft()
            arrived += 1
            if len(busy) > QUEUE:
                refused += 1
                if tries < TRIES:
                    heapq.heappush(events, (at + rng.expovariate(1 / site.patience), clicked, tries + 1))
                continue
            busy.append((busy[-1] if busy else at) + hashing)
            waits.append(busy[-1] - clicked)
    return Waits.of(waits, refused / max(arrived, 1))


def chain_waits(site: Site, rng: random.Random) -> tuple[Waits, float]:
    """How long transactions wait for the audit log's chain; and its load at the peak."""

    def held() -> Iterator[float]:
        while True:
            yield 4 * (site.round_trip + site.loop) + rng.lognormvariate(math.log(site.disk), 0.5)

    count = site.people * site.share * F["chained"]
    mean = 4 * (site.round_trip + site.loop) + site.disk * math.exp(0.125)
    return Waits.of(serve(peak_hour(count, rng), held())), count / HOUR * PEAK * mean


def missed(people: int, rng: random.Random, requests: int = 120_000) -> float:
    """Return the part of a worker's requests that its memory can't answer, if so many people send them."""
    if people <= REMEMBERED:
        return 0.0
    known: set[int] = set()
    misses = 0
    for _ in range(requests):
        person = rng.randrange(people)
        if person not in known:
            misses += 1
            if len(known) >= REMEMBERED:
                known.clear()
            known.add(person)
    return misses / requests


def seen_together(people: float, requests: float) -> float:
    """Return of how many people a worker notes each minute that they were here, if it gets `requests` a second."""
    return people * -math.expm1(-requests * 60 / people)


@dataclass(frozen=True, slots=True)
class Load:
    """What the database does at the peak: statements a second, the load of its cores, and how long they wait."""

    statements: float
    cores: float
    waits: Waits


def database_load(site: Site, nodes: int, missing: float, people: float, rng: random.Random) -> Load:
    workers = nodes * site.cores
    sign_ins = site.people * site.share / HOUR * PEAK
    kinds = (
        (site.requests * missing + sign_ins * 2, F["look_up"]),
        (sign_ins * F["statements"], F["sign_in"] / F["statements"]),
        (seen_together(people, site.requests / workers) * workers / 60, F["seen"]),
        (workers * F["renewals"], F["renewal"]),
    )
    rates, means = zip(*kinds, strict=True)
    total = sum(rates)
    cores = sum(rate * mean for rate, mean in kinds)

    def arrivals() -> Iterator[float]:
        at = 0.0
        for _ in range(50_000):
            yield (at := at + rng.expovariate(total))

    def services() -> Iterator[float]:
        while True:
            for mean in rng.choices(means, rates, k=1_000):
                yield rng.expovariate(1 / mean)

    return Load(total, cores, Waits.of(serve(arrivals(), services(), site.database_cores)))


def show(site: Site, *, seed: int = 1) -> None:
    rng = random.Random(seed)
    print(f"\n== {site.people:,} signed in, {site.requests:,.0f} requests/s, {site.share:.0%} sign in within an hour")
    active = max(1, int(site.people * site.active))
    print("          CPU of   sign-in: seconds          memory      not in memory    database: any node / hashed")
    print("    nodes requests median     p99   refused  of a node   any node  hashed    statements/s     cores  p99 ms")
    fits = 0
    for nodes in candidates(site):
        load = site.requests * F["request"] / (nodes * site.cores)
        waits = sign_in_waits(site, nodes, rng)
        of_a_node = math.ceil(active / nodes)
        anywhere, hashed = missed(active, rng), missed(of_a_node, rng)
        first = database_load(site, nodes, anywhere, active, rng)
        second = database_load(site, nodes, hashed, of_a_node, rng)
        memory = site.cores * (F["worker"] + F["memory"] * min(REMEMBERED, active)) / 1e6
        is_enough = waits.p99 < GOAL_SECONDS and load < GOAL_LOAD
        print(
            f"    {nodes:5} {load:8.0%} {waits.median:6.2f}{waits.p99:8.1f}{waits.refused:10.1%}{memory:8.0f} MB"
            f"{anywhere:11.0%}{hashed:8.0%}{first.statements:10,.0f} / {second.statements:<6,.0f}{first.cores:5.1f} / "
            f"{second.cores:<4.1f}{first.waits.p99 * 1e3:5.1f}{'  enough' if is_enough else ''}"
        )
        fits += is_enough
        if fits == 2:
            break
    chain, load = chain_waits(site, rng)
    print(f"    audit log: its chain is busy {load:.0%} of the time at the peak; wait p99 {chain.p99:.2f} s")
    rows = site.people / site.every_days * (F["chained"] + 1)
    print(
        f"    disk: {site.people * F['session'] / 1e9:.2f} GB of sessions; audit log {rows:,.0f} entries and "
        f"{rows * F['audit'] / 1e9:.2f} GB a day, if people sign in every {site.every_days:.0f} days"
    )


def candidates(site: Site) -> Iterator[int]:
    """Yield numbers of nodes, from what would do if nobody ever waited."""
    hashing = site.people * site.share / HOUR * F["hash"]
    nodes = max(1, math.ceil((site.requests * F["request"] + hashing) / site.cores * 0.9))
    while True:
        yield nodes
        nodes = max(nodes + 1, round(nodes * 1.3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, help="who are signed in")
    parser.add_argument("--requests", type=float, default=1_000, help="a second, at the peak")
    parser.add_argument("--share", type=float, default=1, help="of the people who sign in within the peak hour")
    parser.add_argument("--cores", type=int, default=4, help="of a node")
    parser.add_argument("--database-cores", type=int, default=8)
    parser.add_argument("--round-trip", type=float, default=0.5, help="ms between a node and the database")
    parser.add_argument("--disk", type=float, default=1, help="ms of a commit's write")
    given = parser.parse_args()
    print("Measured, each with the script that measures it:")
    for figure in MEASURED.values():
        print(f"    {figure.value:12,.6g} {figure.what:60} {figure.by}")
    base = Site(
        0, 0, share=given.share, cores=given.cores, database_cores=given.database_cores,
        round_trip=given.round_trip / 1e3, disk=given.disk / 1e3,
    )  # fmt: skip
    print("Assumed:")
    for name in ("active", "cores", "database_cores", "round_trip", "loop", "disk", "patience", "every_days"):
        print(f"    {name:16} {getattr(base, name):g}")
    sites = [(given.people, given.requests, given.share)] if given.people else SITES
    for people, requests, share in sites:
        show(replace(base, people=people, requests=requests, share=share))


SITES = [
    (1_000, 50, 1.0),
    (20_000, 500, 1.0),
    (100_000, 2_000, 1.0),
    (1_000_000, 10_000, 0.1),
    (1_000_000, 10_000, 1.0),
]

if __name__ == "__main__":
    main()
