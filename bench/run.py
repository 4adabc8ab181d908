"""`make bench`: the gateway beside nginx and Caddy, in one run on one machine, as ratios.

Each server has core 0 to itself, upstream and load share core 1. The load is wrk with 64 kept-alive connections
and the request head of a browser. The gateway does its whole work at it (session, rules, header rules, identity
headers); the others only pass on. Every figure is the median of several rounds in which the
servers take turns, so that a machine whose speed drifts drifts for all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import servers
from servers import EMAIL, LOAD_CORE, PASSWORD, Server

CONNECTIONS = 64
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Referer": "https://app.example.com/timesheets/week/47",
    "Sec-CH-UA": '"Chromium";v="142", "Not_A Brand";v="99"',
    "Sec-CH-UA-Mobile": "?0",
    "Sec-CH-UA-Platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What wrk says: requests, requests a second, latencies in ms, requests that went wrong."""

    number: int
    rate: float
    p50: float
    p99: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One round: requests a second, latencies in ms, CPU µs a request, requests that went wrong."""

    rate: float
    p50: float
    p99: float
    cpu: float
    wrong: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--floor", action="store_true", help="measure a relay that does nothing as well")
    parser.add_argument("--memory", action="store_true", help="measure only the memory of two workers, and of one")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # this process signs people in: it belongs to the load
    print(f"the gateway runs on Python {platform.python_version()}, {Path(sys.executable).resolve()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with servers.upstream(folder) as to:
            for access_log in () if options.memory else (False, True):
                compare(folder, to, access_log, options)
            for workers in (2, 1):
                memory(folder, to, workers, options)
            if options.memory:
                return
            sign_ins(folder, to, options)


def compare(folder: Path, to: int, access_log: bool, options: argparse.Namespace) -> None:
    print(f"\n== access logs {'on' if access_log else 'off'} ==")
    with contextlib.ExitStack() as stack:
        kinds = [servers.nginx, servers.gateway, servers.caddy]
        if options.floor and not access_log:
            kinds.append(servers.relay)
        running = [stack.enter_context(kind(folder, to, access_log)) for kind in kinds]
        cookie = sign_in(running[1])
        for path in ("1k", "64k"):
            rounds: dict[str, list[Figures]] = {server.name: [] for server in running}
            for _ in range(options.rounds):
                for server in running:
                    rounds[server.name].append(load(server, path, cookie, CONNECTIONS, options.seconds))
            show(path, rounds)
        if not access_log:
            downloads(running, cookie, options.rounds)
        for server in running:
            memory = server.memory()
            print(f"memory {server.name:8} rss {memory['rss']:5.1f} MB  pss {memory['pss']:5.1f} MB")


def memory(folder: Path, to: int, workers: int, options: argparse.Namespace) -> None:
    """Show what each worker takes after its start, and after sign-ins and both kinds of answers: medians of starts."""
    print(f"\n== memory, {workers} worker{'s' if workers > 1 else ''} ==")
    fresh, used = [], []
    for _ in range(options.rounds):
        with servers.gateway(folder, to, False, workers=workers) as server:
            pids = servers.children_of(server.process)
            fresh += [servers.memory_of(pid)["pss"] for pid in pids]
            cookie = [sign_in(server) for _ in range(4)][-1]
            for path in ("1k", "64k", "1k"):
                load(server, path, cookie, CONNECTIONS, options.seconds)
            used += [servers.memory_of(pid)["pss"] for pid in pids]
    print(f"a worker: pss {statistics.median(fresh):.1f} MB at the start, {statistics.median(used):.1f} MB after use")


def load(server: Server, path: str, cookie: str, connections: int, seconds: int) -> Figures:
    """Let wrk ask for `path` for some seconds."""
    fields = {**BROWSER, "Cookie": f"theme=dark; {cookie}; session=eyJ2Ijoz.aZ1bXw.3dS1yQq0lV4qkq0nYcFhYJ0C2dk"}
    headers = [part for name, value in fields.items() for part in ("-H", f"{name}: {value}")]
    before = server.cpu_seconds()
    answers = wrk(f"http://127.0.0.1:{server.port}/{path}", connections, seconds, *headers)
    cpu = (server.cpu_seconds() - before) / answers.number * 1_000_000
    return Figures(rate=answers.rate, p50=answers.p50, p99=answers.p99, cpu=cpu, wrong=answers.wrong)


def wrk(url: str, connections: int, seconds: int, *more: str) -> Answers:
    """Let wrk ask for `url`; `more` are further arguments, also those of a script."""
    command = ("taskset", "-c", LOAD_CORE, "wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}", url, *more)
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    wrong = int(bad[1]) if bad else 0
    wrong += sum(int(count) for count in sockets.groups()) if sockets else 0
    return Answers(
        number=int(find(r"(\d+) requests in", output)),
        rate=float(find(r"Requests/sec:\s+([\d.]+)", output)),
        p50=milliseconds(find(r"\n\s+50%\s+(\S+)", output)),
        p99=milliseconds(find(r"\n\s+99%\s+(\S+)", output)),
        wrong=wrong,
    )


def show(path: str, rounds: dict[str, list[Figures]]) -> None:
    def median(name: str, of: Callable[[Figures], float]) -> float:
        return statistics.median(of(figures) for figures in rounds[name])

    print(f"-- {path} answers, {CONNECTIONS} connections")
    for name in rounds:
        print(
            f"{name:8} {median(name, lambda f: f.rate):9.0f} requests/s  p50 {median(name, lambda f: f.p50):6.2f} ms"
            f"  p99 {median(name, lambda f: f.p99):6.2f} ms  {median(name, lambda f: f.cpu):6.1f} µs CPU"
            f"  {sum(f.wrong for f in rounds[name])} wrong"
        )
    for other in (name for name in rounds if name != "gateway"):
        rate = ratio(rounds, other, lambda f: f.rate)
        cpu = ratio(rounds, other, lambda f: f.cpu)
        print(f"gateway / {other}: {rate:.2f} × requests/s, {cpu:.2f} × CPU")
    rate = statistics.median(a.cpu / b.cpu for a, b in zip(rounds["nginx"], rounds["caddy"], strict=True))
    print(f"nginx / caddy: {rate:.2f} × CPU")


def ratio(rounds: dict[str, list[Figures]], other: str, of: Callable[[Figures], float]) -> float:
    """Return the median of the ratios round by round."""
    return statistics.median(of(a) / of(b) for a, b in zip(rounds["gateway"], rounds[other], strict=True))


def downloads(running: list[Server], cookie: str, rounds: int) -> None:
    rates: dict[str, list[float]] = {server.name: [] for server in running}
    growth = 0.0
    for _ in range(rounds):
        for server in running:
            before = server.memory()["rss"]
            rates[server.name].append(download(server, cookie))
            if server.name == "gateway":
                growth = max(growth, server.memory()["rss"] - before)
    print("-- 200 MB download")
    for name, found in rates.items():
        print(f"{name:8} {statistics.median(found):7.0f} MB/s")
    to_nginx = statistics.median(a / b for a, b in zip(rates["gateway"], rates["nginx"], strict=True))
    print(f"gateway / nginx: {to_nginx:.2f} × rate, memory grew by {growth:.1f} MB at most")


def download(server: Server, cookie: str) -> float:
    """Return MB/s of one download by curl."""
    output = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} %{time_total}",
         "-H", f"Cookie: {cookie}", f"http://127.0.0.1:{server.port}/200m"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    if output[0] != "200000000":
        raise SystemExit(f"{server.name} sent {output[0]} of 200000000 bytes")
    return 200 / float(output[1])


def sign_ins(folder: Path, to: int, options: argparse.Namespace) -> None:
    """Sign-ins a second, and what they do to everybody else's requests."""
    print("\n== sign-ins ==")
    with servers.gateway(folder, to, False) as server:
        cookie = sign_in(server)
        with signing_in(server) as done:
            began = time.monotonic()
            time.sleep(options.seconds)
            rate = done[0] / (time.monotonic() - began)
        print(f"alone: {rate:.1f} sign-ins/s (one core, PBKDF2 of 1,000,000 rounds)")
        for connections in (CONNECTIONS, 8):
            beside_sign_ins(server, cookie, connections, options)


def beside_sign_ins(server: Server, cookie: str, connections: int, options: argparse.Namespace) -> None:
    quiet, busy, counts = [], [], []
    for _ in range(options.rounds):
        quiet.append(load(server, "1k", cookie, connections, options.seconds))
        with signing_in(server) as done:
            busy.append(load(server, "1k", cookie, connections, options.seconds))
            counts.append(done[0])
    p99_quiet, p99_busy = (statistics.median(figures.p99 for figures in rounds) for rounds in (quiet, busy))
    ratio = statistics.median(b.p99 / q.p99 for b, q in zip(busy, quiet, strict=True))
    print(f"proxied requests, {connections} connections: p99 {p99_quiet:.2f} ms quiet, {p99_busy:.2f} ms meanwhile")
    print(f"ratio {ratio:.2f}; sign-ins that ended in these {options.seconds} s: {counts}")


@contextlib.contextmanager
def signing_in(server: Server) -> Iterator[list[int]]:
    """Eight people sign in again and again; yields the count of those who are in."""
    done, stop = [0], threading.Event()
    threads = [threading.Thread(target=keep_signing_in, args=(server, stop, done)) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def keep_signing_in(server: Server, stop: threading.Event, done: list[int]) -> None:
    while not stop.is_set():
        sign_in(server)
        done[0] += 1


def sign_in(server: Server) -> str:
    """Sign in for real; return `name=value` of the session's cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    body = urlencode({"email": EMAIL, "password": PASSWORD, "next": "/1k"})
    fields = {"Origin": f"http://localhost:{server.port}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", body, fields)
    response = connection.getresponse()
    response.read()
    connection.close()
    cookie = response.headers.get("Set-Cookie", "")
    if response.status != 303 or not cookie:
        raise SystemExit(f"signing in was answered with {response.status}")
    return cookie.partition(";")[0]


def find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk said something unexpected: {text}")
    return match[1]


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


if __name__ == "__main__":
    main()
