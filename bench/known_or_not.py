"""Whether the time of an answer tells if an email has an account: signing in, forgotten passwords, signing up.

    python bench/known_or_not.py [TRIES]

Known and unknown emails take turns, each once, each from an address of its own, so that no limit is met. The times are
compared by rank (Mann and Whitney, Annals of Mathematical Statistics 1947): `p` is how likely a difference at least as
large is where there is none. Hashing is cheaper here than in service, so that it hides less of everything else.
"""

from __future__ import annotations

import base64
import csv
import http.client
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from servers import SERVER_CORE, end, free_port, start, wait_for

TRIES = 300
WARM_UP = 20
ITERATIONS = 20_000
PROXY = "127.0.0.1"
PAGES = {
    "signing in": ("/login", {"password": "not the right one at all", "next": "/"}),
    "forgotten": ("/forgot-password", {}),
    "signing up": ("/signup", {"name": "Nora Field", "password": "seven green kettles on a raft"}),
}


def main() -> None:
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else TRIES
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environ = configure(folder, port)
        program = (sys.executable, "-m", "gateway")
        more = ("--config", str(folder / "config"))
        subprocess.run((*program, "migrate", *more), env=environ, check=True, stdout=subprocess.DEVNULL)
        add_people(folder, program, more, environ, tries + WARM_UP)
        server = start(SERVER_CORE, *program, "serve", *more, environ=environ, log=folder / "log")
        try:
            wait_for(port)
            for number, (what, (path, fields)) in enumerate(PAGES.items()):
                compare(what, port, path, fields, tries, number)
        finally:
            end(server)


def configure(folder: Path, port: int) -> dict[str, str]:
    config = folder / "config"
    config.mkdir()
    (config / "access.toml").write_text("")
    (config / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nworkers = 1\naccess_log = false\ntrusted_proxies = ["{PROXY}"]\n'
        f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n'
        f"[limits]\nhashing_iterations = {ITERATIONS}\n"
        f'[mail]\nport = {free_port()}\nsecurity = "none"\nseconds = 1\n'
        '[signup]\nmode = "open"\ntenant = "acme"\n'
        '[admin]\nlisten = ""\n'
    )
    return {**os.environ, "GATEWAY_SECRET": base64.b64encode(os.urandom(48)).decode()}


def add_people(folder: Path, program: tuple[str, ...], more: tuple[str, ...], environ: dict[str, str], n: int) -> None:
    from werkzeug.security import generate_password_hash

    hashed = generate_password_hash("the right one, whatever it is", f"pbkdf2:sha256:{ITERATIONS}")
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("email", "name", "department", "role", "tenant", "password_hash"))
    rows.writerows((email_of(n, is_known=True), f"Person {n}", "", "employee", "acme", hashed) for n in range(n))
    (folder / "people.csv").write_text(text.getvalue())
    command = (*program, "account", "import", str(folder / "people.csv"), "--apply", *more)
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)


def email_of(number: int, *, is_known: bool) -> str:
    """Return emails of one length, so that only what is known of them differs."""
    return f"{'k' if is_known else 'u'}{number:05}@acme.example"


def compare(what: str, port: int, path: str, fields: dict[str, str], tries: int, number: int) -> None:
    times: dict[bool, list[float]] = {True: [], False: []}
    answers = set()
    for at, (email, is_known) in enumerate(turns(tries + WARM_UP)):
        address = f"10.{number}.{at // 250}.{at % 250 + 1}"
        seconds, answer = ask(port, path, {**fields, "email": email}, address)
        answers.add(answer.replace(email.encode(), b"EMAIL"))
        if at >= 2 * WARM_UP:
            times[is_known].append(seconds * 1_000)
    known, unknown = statistics.median(times[True]), statistics.median(times[False])
    p = rank_test(times[True], times[False])
    print(
        f"{what:11} {tries} + {tries} tries: known {known:.2f} ms, unknown {unknown:.2f} ms (medians), p = {p:.3f};"
        f" {'the same bytes' if len(answers) == 1 else f'{len(answers)} DIFFERENT ANSWERS'}"
    )


def turns(count: int) -> Iterator[tuple[str, bool]]:
    for n in range(count):
        first = n % 2 == 0
        yield email_of(n, is_known=first), first
        yield email_of(n, is_known=not first), not first


def ask(port: int, path: str, fields: dict[str, str], address: str) -> tuple[float, bytes]:
    """Return the seconds until the whole answer is there, and what in it a person or program could see."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    body = urlencode(fields)
    sent = {
        "Host": f"localhost:{port}",
        "Origin": f"http://localhost:{port}",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": address,
        "Accept": "text/html",
    }
    began = time.perf_counter()
    connection.request("POST", path, body, sent)
    response = connection.getresponse()
    content = response.read()
    seconds = time.perf_counter() - began
    connection.close()
    seen = [f"{name}: {value}" for name, value in response.getheaders() if name not in ("Date", "X-Request-Id")]
    return seconds, "\n".join([str(response.status), *seen]).encode() + content


def rank_test(one: list[float], other: list[float]) -> float:
    """Return the two-sided p of Mann and Whitney's U, by the normal approximation; times that tie are rare here."""
    merged = sorted([(t, "one") for t in one] + [(t, "other") for t in other])
    rank_sum = sum(rank for rank, (_, side) in enumerate(merged, 1) if side == "one")
    n, m = len(one), len(other)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


if __name__ == "__main__":
    main()
