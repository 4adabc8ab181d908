"""How many instructions a worker needs for a request: a measure that neighbours on the machine don't disturb.

    python bench/instructions.py [--assertion] [--old COMMIT] [--only WORDS]     # two minutes, or four with --old

The gateway runs under valgrind's callgrind, which counts the instructions of the worker in user space (not the
kernel's). Requests come one after the other over one connection, in batches; the figure is the median of the batches.
So that time plays no part, the worker's timers are a hundred times slower than in service, and the upstream's answers
are always the same. Two runs of the same commit (`--old HEAD`, with nothing changed) differ by less than 1 %.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import shutil
import socket
import socketserver
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

import servers
from features import FEATURES, SETTINGS, prepare
from many_people import ANONYMOUS, BY_BROWSER, BY_NGINX, address_of, session_of
from many_sessions import fill
from servers import LOAD_CORE, SERVER_CORE, Server, store_of

PEOPLE = 20_000
BATCHES = 9
REQUESTS = 20
THREADS = 20
SLOW_TIMERS = """
import uvloop

def call_later(loop, delay, *given, **more):
    return ordinary(loop, 100 * delay, *given, **more)

ordinary, uvloop.Loop.call_later = uvloop.Loop.call_later, call_later
"""
HEAD = "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n"
SMALL, LARGE = (f"{HEAD.format(size)}{'a' * size}".encode() for size in (1_024, 65_536))
GREW = 1.03
BOTH_CORES = f"{SERVER_CORE},{LOAD_CORE}"  # instructions are the same everywhere
ASKED_BY_NGINX = {"X-Original-Method": "GET", "X-Original-URI": "/1k", "X-Forwarded-Host": servers.HOST, **BY_NGINX}

Make = Callable[[int], bytes]  # a request from its number


def request(line: str, fields: Mapping[str, str], body: str = "", people: int = 1, first: int = 0) -> Make:
    """Return what makes the next request: that of another person, and with another id."""
    framing = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))} if body else {}
    lines = (line + " HTTP/1.1", *(f"{name}: {value}" for name, value in {**fields, **framing}.items()), "", body)
    pattern = "\r\n".join(lines)

    def make(number: int) -> bytes:
        person = first + number % people
        marks = {"<session>": session_of(person), "<id>": f"{number:032x}", "<address>": address_of(person)}
        return functools.reduce(lambda text, mark: text.replace(mark, marks[mark]), marks, pattern).encode()

    return make


TURNS = f"{PEOPLE:,} people in turns, 1 KB"
KINDS = {
    "a signed-in person, 1 KB": request("GET /1k", BY_NGINX),
    "the same without a proxy in front": request("GET /1k", BY_BROWSER),
    TURNS: request("GET /1k", BY_NGINX, people=PEOPLE),
    "anonymous, a public path": request("GET /public", ANONYMOUS),
    "a form of 300 bytes": request("POST /form", BY_NGINX, body="a" * 300),
    "a download of 64 KB": request("GET /64k", BY_NGINX),
    "the sign-in page": request("GET /login", ANONYMOUS),
    "the page of one's devices": request("GET /me/sessions", BY_NGINX),
    "forward-auth": request("GET /_gateway/auth", ASKED_BY_NGINX),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assertion", action="store_true", help="with the signed assertion")
    parser.add_argument("--only", metavar="WORDS", default="", help="only the requests whose names have these words")
    parser.add_argument("--old", metavar="COMMIT", help="an older commit, to compare with")
    options = parser.parse_args()
    if not (shutil.which("valgrind") and shutil.which("vgdb")):
        raise SystemExit("This needs valgrind: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        to = stack.enter_context(upstream())
        new = measure(folder / "new", to, servers.ROOT, options.assertion, options.only)
        old = {}
        if options.old:
            tree = stack.enter_context(servers.checked_out(options.old, folder / "tree"))
            old = measure(folder / "old", to, tree, options.assertion, options.only)
    print(f"instructions a request; the assertion is {'on' if options.assertion else 'off'}")
    for kind, count in new.items():
        print(f"{kind:40} {count:10,.0f}" + (f" {old[kind]:10,.0f}  {count / old[kind]:.3f} ×" if kind in old else ""))
    for kind in old:
        if new[kind] > GREW * old[kind]:
            print(f"more than 3 % over {options.old}: {kind}")


def measure(folder: Path, to: int, tree: Path, assertion: bool, only: str) -> dict[str, float]:
    folder.mkdir()
    counts = folder / "counts"
    under = (
        "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes",
        f"--callgrind-out-file={counts}.%p",
    )  # fmt: skip
    (folder / "sitecustomize.py").write_text(SLOW_TIMERS)
    environ = {"PYTHONPATH": str(folder), **SETTINGS}
    with servers.deployed(folder, to, tree, assertion, core=BOTH_CORES, under=under, environ=environ) as gateway:
        asyncio.run(fill(store_of(folder), PEOPLE))
        if tree == servers.ROOT:
            asyncio.run(prepare(store_of(folder), 1))
        found = {kind: count(gateway, counts, make) for kind, make in KINDS.items() if only in kind}
        for feature in FEATURES if tree == servers.ROOT else ():
            # The job that writes page views is slowed down like all timers, and not counted.
            name = f"a signed-in person, {feature.name}"
            if only in name:
                found[name] = count(gateway, counts, request("GET /1k", feature.fields, first=feature.first))
        return found


def count(gateway: Server, counts: Path, make: Make) -> float:
    """Return the instructions of one of these requests."""
    warm_up(gateway.port, make, PEOPLE if make is KINDS[TURNS] else 10 * REQUESTS)
    found = []
    with connected(gateway.port) as stream:
        control(gateway.pid, "instrumentation on")
        for batch in range(BATCHES):
            control(gateway.pid, "zero")
            for number in range(batch * REQUESTS, (batch + 1) * REQUESTS):
                exchange(stream, make(number))
            control(gateway.pid, "dump")
            found.append(total(counts, gateway.pid) / REQUESTS)
        control(gateway.pid, "instrumentation off")
    return statistics.median(found)


def warm_up(port: int, make: Make, times: int) -> None:
    """Ask over several connections at once, which is sooner done."""

    def ask(first: int) -> None:
        with connected(port) as stream:
            for number in range(first, times, THREADS):
                exchange(stream, make(number))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask, range(THREADS)))


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """Serve answers of 1 KB and 64 KB that are always the same: a server's Date changes once a second."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class Answers(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            self.rfile.read(length_of(self.rfile))
            self.wfile.write(LARGE if b"/64k" in line else SMALL)


def length_of(stream: BinaryIO | BufferedIOBase) -> int:
    """Read the fields of a head, and return the length of its body."""
    length = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length


@contextlib.contextmanager
def connected(port: int) -> Iterator[BinaryIO]:
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rwb") as stream:
        yield cast(BinaryIO, stream)


def exchange(stream: BinaryIO, sent: bytes) -> None:
    stream.write(sent)
    stream.flush()
    status, length = stream.readline(), length_of(stream)
    if not status.startswith(b"HTTP/1.1 20") or len(stream.read(length)) != length:
        raise SystemExit(f"a request was answered with {status!r}")


def control(pid: int, command: str) -> None:
    subprocess.run(("vgdb", f"--pid={pid}", *command.split()), check=True, capture_output=True)


def total(counts: Path, pid: int) -> int:
    """Return the count of the latest dump, and remove it."""
    (dump,) = counts.parent.glob(f"{counts.name}.{pid}.*")
    line = next(line for line in dump.read_text().splitlines() if line.startswith("totals:"))
    dump.unlink()
    return int(line.split()[1])


if __name__ == "__main__":
    main()
