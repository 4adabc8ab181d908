"""How many sign-ins one core computes: with PBKDF2 as the gateway computes it, and by hashlib as before.

    python bench/sign_ins.py [SECONDS]

Both are the same gateway with the settings that it is delivered with. For "hashlib" its processes see another
`PBKDF2HMAC`, put in their way by Python's own start (`sitecustomize`). They take turns, three times each; somebody else
on the machine troubles both. What counts is the worker's processor time, because the load runs on the other core.
"""

from __future__ import annotations

import base64
import csv
import http.client
import io
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

from servers import PASSWORD, SERVER_CORE, Server, child_of, end, free_port, start, wait_for

SECONDS = 20
ROUNDS = 3
AT_ONCE = 8
ITERATIONS = 1_000_000
BY_HASHLIB = """
import hashlib
from cryptography.hazmat.primitives.kdf import pbkdf2

class PBKDF2HMAC:
    def __init__(self, algorithm, length, salt, iterations):
        self.given = algorithm.name, salt, iterations, length

    def derive(self, password):
        name, salt, iterations, length = self.given
        return hashlib.pbkdf2_hmac(name, password, salt, iterations, length)

pbkdf2.PBKDF2HMAC = PBKDF2HMAC
"""


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "patched").mkdir()
        (folder / "patched" / "sitecustomize.py").write_text(BY_HASHLIB)
        environ = {**os.environ, "GATEWAY_SECRET": base64.b64encode(os.urandom(48)).decode()}
        port = configure(folder)
        add_people(folder, environ)
        rates: dict[str, list[float]] = {"hashlib": [], "cryptography": []}
        for _, how in itertools.product(range(ROUNDS), rates):
            rates[how].append(measure(folder, port, how, environ, seconds))
        for how, measured in rates.items():
            each = ", ".join(f"{rate:.2f}" for rate in measured)
            print(f"{how:12} {statistics.median(measured):.2f} sign-ins for each second of a core ({each})")
        ratio = statistics.median(rates["cryptography"]) / statistics.median(rates["hashlib"])
        print(f"ratio        {ratio:.2f}")


def configure(folder: Path) -> int:
    port = free_port()
    (folder / "config").mkdir()
    (folder / "config" / "access.toml").write_text("")
    (folder / "config" / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nworkers = 1\naccess_log = false\n'
        'trusted_proxies = ["127.0.0.1"]\n'
        f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n'
        f"[limits]\nhashing_iterations = {ITERATIONS}\n"
        f'[mail]\nport = {free_port()}\nsecurity = "none"\nseconds = 1\n'
        '[admin]\nlisten = ""\n'
    )
    return port


def program(folder: Path, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "gateway", *words, "--config", str(folder / "config"))


def add_people(folder: Path, environ: dict[str, str]) -> None:
    """One for each connection: the tries of one email take turns."""
    from werkzeug.security import generate_password_hash

    hashed = generate_password_hash(PASSWORD, f"pbkdf2:sha256:{ITERATIONS}")
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("email", "name", "department", "role", "tenant", "password_hash"))
    rows.writerows((email_of(n), f"Person {n}", "", "employee", "acme", hashed) for n in range(AT_ONCE))
    (folder / "people.csv").write_text(text.getvalue())
    for words in (("migrate",), ("account", "import", str(folder / "people.csv"), "--apply")):
        subprocess.run(program(folder, *words), env=environ, check=True, stdout=subprocess.DEVNULL)


def email_of(number: int) -> str:
    return f"person{number}@acme.example"


def measure(folder: Path, port: int, how: str, environ: dict[str, str], seconds: int) -> float:
    """Return sign-ins for each second of the worker's processor time."""
    path = {"PYTHONPATH": str(folder / "patched")} if how == "hashlib" else {}
    process = start(SERVER_CORE, *program(folder, "serve"), environ={**environ, **path}, log=folder / "log")
    try:
        wait_for(port)
        server = Server(how, port, child_of(process), process)
        sign_in(port, 0)  # what is loaded at the first sign-in is no part of one
        began, until = server.cpu_seconds(), time.monotonic() + seconds
        done = [0] * AT_ONCE
        threads = [threading.Thread(target=keep_signing_in, args=(port, n, until, done)) for n in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / (server.cpu_seconds() - began)
    finally:
        end(process)


def keep_signing_in(port: int, number: int, until: float, done: list[int]) -> None:
    while time.monotonic() < until:
        sign_in(port, number)
        done[number] += 1


def sign_in(port: int, number: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = urlencode({"email": email_of(number), "password": PASSWORD, "next": "/"})
    sent = {
        "Host": f"localhost:{port}",
        "Origin": f"http://localhost:{port}",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": f"10.0.0.{number + 1}",
    }
    connection.request("POST", "/login", body, sent)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 303:
        raise SystemExit(f"a sign-in was answered with {response.status}")


if __name__ == "__main__":
    main()
