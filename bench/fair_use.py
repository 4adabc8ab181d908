"""What one address can take from the others: attacks at full speed, and beside them people who work.

    python bench/fair_use.py [--seconds 15] [--workers 2]

Three attacks at once, all from one address: 1,100 connections that each send the head of a POST and seven bytes, half
to the sign-in page and half to the application, and again a second after they end; 200 sign-ins a second, each with
another email; and an administrator who sends the worst list of people there is, and looks at it, again and again.
Beside them, from other addresses: somebody who signs in twenty times, and a hundred requests a second through the
gateway. The same is measured before, in the quiet. Then all of it once more through nginx with the project's own
nginx.conf.

Gateway and nginx have core 0, upstream, attackers and people core 1, where the attackers step back for the others at
once (SCHED_IDLE): what is measured is the gateway's core, not who waits for whom on the other. The settings are those
that are delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import itertools
import multiprocessing
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import servers
from servers import LOAD_CORE, PASSWORD, ROOT, SERVER_CORE, end, free_port, start, wait_for

ATTACKER, PERSON, READER = "127.0.0.66", "127.0.0.7", "127.0.0.8"
PROXY = "127.0.0.2"
ERIN, ADAM = "erin@acme.example", "adam@acme.example"
HALF_OPEN = 1_100
SIGN_INS_A_SECOND = 200
AGAIN_SECONDS = 1.0  # before an attacker's connection that was ended is opened again
READS_A_SECOND = 100
SIGN_INS = 20
IN_TIME = 5.0
BOUNDARY = "x" * 40


@dataclass(frozen=True, slots=True)
class Site:
    """Where the gateway is reached, directly or through nginx, and as which host."""

    port: int
    host: str

    def head(self, method: str, path: str, length: int | None = None, *lines: str) -> bytes:
        framing = [] if length is None else [f"Content-Length: {length}"]
        origin = [] if method == "GET" else [f"Origin: http://{self.host}"]
        fields = (f"{method} {path} HTTP/1.1", f"Host: {self.host}", *origin, *framing, *lines, "", "")
        return "\r\n".join(fields).encode()

    def connect(self, source: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60, source_address=(source, 0))


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds that sign-ins took (None where one failed), and milliseconds of proxied requests."""

    sign_ins: list[float | None]
    reads: list[float]

    @property
    def in_time(self) -> int:
        return sum(1 for seconds in self.sign_ins if seconds is not None and seconds <= IN_TIME)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.reads, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement, at least")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name, servers.upstream(Path(name)) as upstream:
        Path(name).chmod(0o755)
        with gateway(Path(name), upstream, asked.workers) as port, nginx(Path(name), port) as nginx_port:
            for way, site in (
                ("direct", Site(port, f"localhost:{port}")),
                ("through nginx", Site(nginx_port, "localhost")),
            ):
                quiet = measure(site, asked.seconds)
                with attack(site):
                    attacked = measure(site, asked.seconds)
                report(way, quiet, attacked)


def report(way: str, quiet: Measured, attacked: Measured) -> None:
    for what, measured in (("quiet", quiet), ("attacked", attacked)):
        took = [seconds for seconds in measured.sign_ins if seconds is not None]
        slowest = f"{max(took):.2f} s" if took else "-"
        failed = len(measured.sign_ins) - len(took)
        median = f"{statistics.median(measured.reads):.2f}"
        print(
            f"{way}, {what}: {measured.in_time} of {len(measured.sign_ins)} sign-ins within {IN_TIME:.0f} s, the"
            f" slowest {slowest}, {failed} refused; {len(measured.reads)} proxied requests, p50 {median} ms,"
            f" p99 {measured.p99:.2f} ms"
        )
    print(f"{way}: p99 attacked / quiet {attacked.p99 / quiet.p99:.2f}", flush=True)


# What runs.


@contextlib.contextmanager
def gateway(folder: Path, upstream: int, workers: int) -> Iterator[int]:
    port, config = free_port(), folder / "config"
    config.mkdir()
    (config / "access.toml").write_text('public = [{ path = "/public", prefix = true }]\nrules = [{ path = "/" }]\n')
    (config / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\nhosts = ["localhost"]\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nworkers = {workers}\ntrusted_proxies = ["{PROXY}"]\n'
        f'[upstream]\naddress = "127.0.0.1:{upstream}"\n'
        f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n[admin]\nlisten = ""\n'
    )
    environ = {**os.environ, "GATEWAY_SECRET": base64.b64encode(os.urandom(48)).decode()}
    program = (sys.executable, "-m", "gateway")
    subprocess.run((*program, "migrate", "--config", str(config)), env=environ, check=True, stdout=subprocess.DEVNULL)
    for email, role in ((ERIN, "employee"), (ADAM, "admin")):
        words = ("account", "add", email, "--name", "X", "--role", role, "--password-stdin", "--config", str(config))
        subprocess.run((*program, *words), env=environ, check=True, input=PASSWORD.encode(), stdout=subprocess.DEVNULL)
    serve = (*program, "serve", "--config", str(config))
    process = start(SERVER_CORE, *serve, environ=environ, log=folder / "gateway.log")
    wait_for(port)
    try:
        yield port
    finally:
        end(process)


@contextlib.contextmanager
def nginx(folder: Path, to: int) -> Iterator[int]:
    """The project's own file, without TLS, which would be most of what is measured."""
    port = free_port()
    site = (ROOT / "config" / "nginx.conf").read_text()
    site = re.sub(r"server \{\s+listen 80;.*?\n\}\n", "", site, flags=re.DOTALL)
    site = re.sub(r"\n *(ssl_\w+ |listen \[::\]|access_log )[^;]*;", "", site)
    for old, new in {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} backlog=4096;",
        "server_name app.example.com;": "server_name localhost;",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{to};",
        "proxy_http_version 1.1;": f"proxy_http_version 1.1; proxy_bind {PROXY};",
    }.items():
        if old not in site:
            raise SystemExit(f"nginx.conf has no {old!r} any more")
        site = site.replace(old, new)
    process = start(
        SERVER_CORE, "nginx", "-c", str(servers.nginx_config(folder, "site", site)), log=folder / "site.log"
    )
    wait_for(port)
    try:
        yield port
    finally:
        end(process)


# People.


def measure(site: Site, seconds: float) -> Measured:
    """Sign in twenty times, and read meanwhile, for `seconds` at least."""
    cookie = sign_in(site, READER)
    with multiprocessing.Pool(1) as pool:
        reads = pool.apply_async(read_all_the_time, (site, cookie, seconds))
        sign_ins: list[float | None] = []
        for _ in range(SIGN_INS):
            began = time.monotonic()
            try:
                sign_in(site, PERSON)
            except (OSError, http.client.HTTPException, PermissionError):
                sign_ins.append(None)
            else:
                sign_ins.append(time.monotonic() - began)
        return Measured(sign_ins, reads.get())


def sign_in(site: Site, source: str, email: str = ERIN) -> str:
    """Sign in as a browser does; return the cookie. Raises PermissionError for any other answer."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60, source_address=(source, 0))
    body = urlencode({"email": email, "password": PASSWORD, "next": "/"})
    fields = {
        "Host": site.host,
        "Origin": f"http://{site.host}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", "/login", body, fields)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 303:
        raise PermissionError(answer.status)
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def read_all_the_time(site: Site, cookie: str, seconds: float) -> list[float]:
    """Ask for a page of the application at an even pace; return the milliseconds that each took."""
    request = site.head("GET", "/1k", None, f"Cookie: {cookie}")
    took: list[float] = []
    began = time.monotonic()
    with site.connect(READER) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in itertools.count():
            due = began + number / READS_A_SECOND
            if due > began + seconds:
                return took
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.monotonic()
            sock.sendall(request)
            received = b""
            while not received.endswith(b"a" * 1_024):
                more = sock.recv(65_536)
                if not more:
                    raise SystemExit("a proxied request got no answer")
                received += more
            took.append((time.monotonic() - at) * 1_000)
    raise AssertionError


# Attackers.


@contextlib.contextmanager
def attack(site: Site) -> Iterator[None]:
    cookie = sign_in(site, ATTACKER, ADAM)
    processes = [
        multiprocessing.Process(target=run_for_ever, args=(how, site, cookie), daemon=True)
        for how in (hold_half_open, flood_sign_ins, send_lists)
    ]
    for process in processes:
        process.start()
    time.sleep(3)
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def run_for_ever(how: Callable[[Site, str], Awaitable[None]], site: Site, cookie: str) -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(how(site, cookie))  # type: ignore[arg-type]


async def hold_half_open(site: Site, _: str) -> None:
    async def hold(path: str) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(ATTACKER, 0))
                writer.write(site.head("POST", path, 60_000) + b"7 bytes")
                while await reader.read(65_536):
                    pass
                writer.close()
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*(hold(("/login", "/public/form")[number % 2]) for number in range(HALF_OPEN)))


async def flood_sign_ins(site: Site, _: str) -> None:
    async def post(number: int) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(ATTACKER, 0))
            body = urlencode({"email": f"new{number}@acme.example", "password": "wrong", "next": "/"}).encode()
            kind = "Content-Type: application/x-www-form-urlencoded"
            writer.write(site.head("POST", "/login", len(body), kind, "Connection: close") + body)
            await reader.read()
            writer.close()

    under_way: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + number / SIGN_INS_A_SECOND - time.monotonic()))
        task = asyncio.create_task(post(number))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def send_lists(site: Site, cookie: str) -> None:
    """2,601 people, each with an email of 250 random CJK characters behind the @."""
    letters = [chr(code) for code in range(0x4E00, 0x9FA5)]
    rows = [
        "email,name,department,role",
        *(f"a@{''.join(random.choices(letters, k=250))},X,,employee" for _ in range(2_601)),
    ]
    file = "\n".join(rows).encode()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    body = head.encode() + file[:1_990_000] + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    while True:
        with contextlib.suppress(OSError, IndexError):
            path = "/admin/accounts/import"
            post = site.head("POST", path, len(body), kind, f"Cookie: {cookie}", "Connection: close") + body
            answer = await ask(site, post)
            location = re.findall(rb"(?i)\r\nlocation: ([^\r]*)", answer)[0].decode()
            await ask(site, site.head("GET", location, None, f"Cookie: {cookie}", "Connection: close"))
            continue
        await asyncio.sleep(AGAIN_SECONDS)


async def ask(site: Site, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(ATTACKER, 0))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


if __name__ == "__main__":
    main()
