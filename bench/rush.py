"""How long people wait who sign in while others keep the gateway busy, and what the others notice.

    python bench/rush.py [--old COMMIT] [--seconds 60] [--rounds 2] [--every 2]

Full core: one worker on core 0, which 64 connections keep full; load and upstream have core 1. A person signs in every
`--every` seconds, even if earlier sign-ins are not finished. "Others" are the p99 of the requests beside it, divided by
that of the round without sign-ins just before.

Rush: 200 people open the sign-in page, sign in and open a page, at random moments of a minute; then as many within five
seconds. Two workers on both cores, which they share with upstream and load, and beside it a hundred requests a second.

Passwords have the hash and the cost that the gateway is delivered with.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import servers
from many_people import BY_NGINX, address_of, lua, session_of
from many_sessions import fill
from run import CONNECTIONS, wrk
from servers import HOST, LOAD_CORE, PASSWORD, Server, store_of
from werkzeug.security import generate_password_hash

ROUNDS_OF_PBKDF2 = 1_000_000
PEOPLE = 200
BOTH_CORES = "0,1"
MINUTE, AT_ONCE = 60.0, 5.0
READS_A_SECOND = 100


@dataclass(frozen=True, slots=True)
class Tried:
    """A sign-in: the status of its answer, its Retry-After, and the seconds it took."""

    status: int
    retry_after: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Beside:
    """A round on a full core: sign-ins, and of the other requests p99 in ms and requests a second, without and with."""

    tried: list[Tried]
    quiet: float
    busy: float
    rates: tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="of each round on a full core")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two sign-ins on a full core")
    parser.add_argument("--old", metavar="COMMIT", help="an older commit, to run beside this one")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        trees = {"new": servers.ROOT}
        if options.old:
            trees["old"] = stack.enter_context(servers.checked_out(options.old, folder / "tree"))
        to = stack.enter_context(servers.upstream(folder))
        full_core(folder, to, trees, options)
        for within in (MINUTE, AT_ONCE):
            for age, tree in trees.items():
                with started(folder / f"rush-{within:.0f}-{age}", to, tree, workers=2, core=BOTH_CORES) as server:
                    rush(server, age, within)


def full_core(folder: Path, to: int, trees: dict[str, Path], options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        running = {age: stack.enter_context(started(folder / age, to, tree)) for age, tree in trees.items()}
        sessions, script = folder / "session.txt", folder / "one.lua"
        sessions.write_text(session_of(0) + "\n")
        script.write_text(lua(sessions, BY_NGINX))
        rounds: dict[str, list[Beside]] = {age: [] for age in running}
        for _ in range(options.rounds):
            for age, server in running.items():
                rounds[age].append(beside(server, script, options.seconds, options.every))
    for age, measured in rounds.items():
        ratio = statistics.median(one.busy / one.quiet for one in measured)
        rate = statistics.median(one.rates[1] / one.rates[0] for one in measured)
        quiet = statistics.median(one.quiet for one in measured)
        print(f"full core, a sign-in every {options.every:g} s ({age}): {said([t for m in measured for t in m.tried])}")
        print(f"  others: p99 {quiet:.2f} ms without sign-ins, {ratio:.2f} × with; {rate:.2f} × requests/s", flush=True)


@contextlib.contextmanager
def started(folder: Path, to: int, tree: Path, workers: int = 1, core: str = servers.SERVER_CORE) -> Iterator[Server]:
    folder.mkdir()
    with servers.deployed(folder, to, tree, False, core=core, workers=workers, rounds=ROUNDS_OF_PBKDF2) as server:
        hashed = generate_password_hash(PASSWORD, f"pbkdf2:sha256:{ROUNDS_OF_PBKDF2}")
        asyncio.run(fill(store_of(folder), PEOPLE, hashed))
        for person in range(2 * workers):  # what is loaded at the first sign-in is no part of one
            sign_in(server.port, person)
        yield server


def beside(server: Server, script: Path, seconds: int, every: float) -> Beside:
    def load() -> tuple[float, float]:
        answers = wrk(
            f"http://127.0.0.1:{server.port}", CONNECTIONS, seconds, "-s", str(script), "--", "0", os.urandom(8).hex()
        )
        if answers.wrong:
            raise SystemExit(f"{answers.wrong} wrong answers")
        return answers.p99, answers.rate

    (quiet, rate), moments = load(), [1 + every * number for number in range(int((seconds - 2) / every))]
    with signing_in(server.port, moments) as tried:
        busy, busy_rate = load()
    return Beside(tried, quiet, busy, (rate, busy_rate))


@contextlib.contextmanager
def signing_in(port: int, moments: Sequence[float]) -> Iterator[list[Tried]]:
    """Start a sign-in at each of the moments, in seconds from now; at the end, all have been answered."""
    tried: list[Tried] = []

    def begin() -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(PEOPLE) as pool:
            for number, moment in enumerate(moments):
                time.sleep(max(0.0, began + moment - time.monotonic()))
                pool.submit(lambda person: tried.append(sign_in(port, person)), number % PEOPLE)

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        yield tried
    finally:
        thread.join()


def rush(server: Server, age: str, within: float) -> None:
    quiet = reading(server.port, lambda: time.sleep(10))

    def let_them_in() -> None:
        moments = sorted(random.uniform(0, within) for _ in range(PEOPLE))
        with signing_in(server.port, moments) as tried:
            pass
        print(f"rush, {PEOPLE} people within {within:.0f} s ({age}): {said(tried)}")

    busy = reading(server.port, let_them_in)
    print(f"  others: p99 {quiet:.2f} ms before, {busy:.2f} ms meanwhile", flush=True)


def reading(port: int, meanwhile: Callable[[], None]) -> float:
    """Ask for a page at an even pace; return the p99 in ms."""
    took: list[float] = []
    stop = threading.Event()

    def read() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.monotonic()
        while not stop.wait(max(0.0, began + len(took) / READS_A_SECOND - time.monotonic())):
            at = time.monotonic()
            connection.request("GET", "/1k", headers={"Host": HOST, "Cookie": session_of(0)})
            connection.getresponse().read()
            took.append((time.monotonic() - at) * 1_000)
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    meanwhile()
    stop.set()
    thread.join()
    return statistics.quantiles(took, n=100)[98]


def sign_in(port: int, person: int) -> Tried:
    """Open the sign-in page, send the form, and open the page that one wanted, if one is in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    fields = {"Host": HOST, "X-Forwarded-For": address_of(person)}
    connection.request("GET", "/login?next=/1k", headers=fields)
    connection.getresponse().read()
    body = urlencode({"email": f"person.{person}@acme.example", "password": PASSWORD, "next": "/1k"})
    posted = fields | {"Origin": f"https://{HOST}", "Content-Type": "application/x-www-form-urlencoded"}
    began = time.monotonic()
    connection.request("POST", "/login", body, posted)
    answer = connection.getresponse()
    answer.read()
    seconds = time.monotonic() - began
    if answer.status == 303:
        cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        connection.request("GET", "/1k", headers=fields | {"Cookie": cookie})
        connection.getresponse().read()
    connection.close()
    return Tried(answer.status, int(answer.headers.get("Retry-After", 0)), seconds)


def said(tried: Sequence[Tried]) -> str:
    inside = sorted(one.seconds for one in tried if one.status == 303)
    refused = [one for one in tried if one.status != 303]
    p50, p99 = (inside[min(int(len(inside) * share), len(inside) - 1)] for share in (0.5, 0.99))
    text = f"{len(inside)} sign-ins, p50 {p50:.2f} s, p99 {p99:.2f} s, the slowest {inside[-1]:.2f} s"
    if refused:
        waits = sorted(one.retry_after for one in refused)
        text += f"; {len(refused)} refused ({refused[0].status}) and told to wait {waits[0]} to {waits[-1]} s"
    return text


if __name__ == "__main__":
    main()
