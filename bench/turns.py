"""CPU a request when one person asks all the time, and when thousands take turns.

    python bench/turns.py [--seconds 5] [--rounds 3]

One worker on core 0 with SQLite; the load has core 1, and sends a browser's head with the cookie of the next person.
With many people, a worker signs an assertion for each of them now and then, and remembers
less of what it reads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import servers
from many_sessions import fill, token_of
from run import BROWSER, CONNECTIONS, find, sign_in
from servers import LOAD_CORE

NUMBERS = (1, 1_000, 20_000)


def script(folder: Path, name: str, count: int) -> Path:
    """Write what wrk does: each request has another cookie."""
    fields = "".join(f'wrk.headers["{key}"] = {value!r}\n' for key, value in BROWSER.items())
    cookies = ",".join(f'"{token_of(number)}"' for number in range(count))
    path = folder / f"{count}.lua"
    path.write_text(
        f"{fields}local tokens = {{{cookies}}}\nlocal at = 0\nfunction request()\n at = at % #tokens + 1\n"
        f' wrk.headers["Cookie"] = "theme=dark; {name}=" .. tokens[at]\n return wrk.format("GET", "/1k")\nend\n'
    )
    return path


def load(server: servers.Server, script: Path, seconds: int) -> tuple[float, float]:
    """Return requests a second, and CPU µs a request."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", str(script)]
    before = server.cpu_seconds()
    run = subprocess.run([*command, f"http://127.0.0.1:{server.port}"], check=True, capture_output=True, text=True)
    spent = server.cpu_seconds() - before
    assert not re.search("Non-2xx", run.stdout), run.stdout
    done = int(find(r"(\d+) requests in", run.stdout))
    return float(find(r"Requests/sec:\s+([\d.]+)", run.stdout)), spent / done * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with servers.upstream(folder) as to, servers.gateway(folder, to, False) as server:
            cookie = sign_in(server).partition("=")[0]
            asyncio.run(fill(f"sqlite:///{folder}/store/gateway.db", max(NUMBERS)))
            scripts = {count: script(folder, cookie, count) for count in NUMBERS}
            found: dict[int, list[tuple[float, float]]] = {count: [] for count in NUMBERS}
            for _ in range(options.rounds):
                for count in NUMBERS:
                    found[count].append(load(server, scripts[count], options.seconds))
            for count, rounds in found.items():
                rate, cpu = (statistics.median(one[at] for one in rounds) for at in (0, 1))
                print(f"{count:7,} taking turns: {rate:8,.0f} requests/s, CPU a request {cpu:6.1f} µs", flush=True)


if __name__ == "__main__":
    main()
