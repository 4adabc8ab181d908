"""Whether the time of an answer tells if an email has an account: signing in, forgotten passwords, signing up.

    python bench/known_or_not.py [TRIES] [--real]

Every kind of account and emails without one take turns in a random order, each email once, each from an address of its
own, so that no limit is met. Each kind is compared with "unknown" by rank (Mann and Whitney, Annals of Mathematical
Statistics 1947): `p` is how likely a difference at least as large is where there is none. Of twenty comparisons, one
is below 0.05 by chance. Hashing is cheaper here than in service, so that it hides less of everything else;
`--real` takes the costs of service, a million rounds, and what applications store.
"""

from __future__ import annotations

import argparse
import base64
import csv
import http.client
import io
import math
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from argon2 import PasswordHasher
from servers import SERVER_CORE, end, free_port, start, wait_for
from werkzeug.security import generate_password_hash

TRIES = 200
WARM_UP = 10
PROXY = "127.0.0.1"
PASSWORD = "the right one, whatever it is"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Costs:
    """`rounds` of new hashes, and what imported accounts hold."""

    rounds: int
    fewer: int
    more: int
    scrypt: str
    argon2: PasswordHasher

    def hashes(self) -> dict[str, str]:
        """Return what is stored for each kind of account; "" for none."""
        return {
            "standard": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{self.rounds}"),
            "fewer rounds": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{self.fewer}"),
            "more rounds": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{self.more}"),
            "sha512": generate_password_hash(PASSWORD, f"pbkdf2:sha512:{self.fewer // 5}"),
            "scrypt": generate_password_hash(PASSWORD, self.scrypt),
            "argon2id": self.argon2.hash(PASSWORD),
            "disabled": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{self.rounds}"),
            "invited": "",
        }


CHEAP = Costs(20_000, 12_000, 24_000, "scrypt:1024:8:1", PasswordHasher(time_cost=1, memory_cost=2_048))
REAL = Costs(1_000_000, 600_000, 1_200_000, "scrypt:32768:8:1", PasswordHasher())
COMPOSED, DECOMPOSED = "a wrong caf\u00e9 on the corner", "a wrong cafe\u0301 on the corner"
SIGN_UP = {"name": "Nora Field", "password": "seven green kettles on a raft"}
ALL = ("standard", "fewer rounds", "more rounds", "sha512", "scrypt", "argon2id", "disabled", "invited")
FORMS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "signing in, composed": ("/login", {"password": COMPOSED, "next": "/"}, ALL),
    "signing in, decomposed": ("/login", {"password": DECOMPOSED, "next": "/"}, ALL),
    "signing in, too long": ("/login", {"password": "x" * 5_000, "next": "/"}, ("standard", "scrypt", "invited")),
    "forgotten": ("/forgot-password", {}, ("standard", "disabled", "invited", "owner")),
    "signing up": ("/signup", SIGN_UP, ("standard", "disabled", "invited", "owner")),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tries", type=int, nargs="?", default=TRIES)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    costs = REAL if options.real else CHEAP
    count = options.tries + WARM_UP
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environ = configure(folder, port, costs, count)
        program = (sys.executable, "-m", "gateway")
        more = ("--config", str(folder / "config"))
        subprocess.run((*program, "migrate", *more), env=environ, check=True, stdout=subprocess.DEVNULL)
        add_people(folder, program, more, environ, costs, count)
        server = start(SERVER_CORE, *program, "serve", *more, environ=environ, log=folder / "log")
        try:
            wait_for(port)
            for number, (what, (path, fields, kinds)) in enumerate(FORMS.items()):
                compare(what, port, path, fields, kinds, count, number)
        finally:
            end(server)


def configure(folder: Path, port: int, costs: Costs, count: int) -> dict[str, str]:
    config = folder / "config"
    config.mkdir()
    owners = ", ".join(f'"{email_of("owner", n)}"' for n in range(count))
    (config / "access.toml").write_text(f"owners = [{owners}]\n")
    (config / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nworkers = 1\naccess_log = false\ntrusted_proxies = ["{PROXY}"]\n'
        f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n'
        f"[limits]\nhashing_iterations = {costs.rounds}\n"
        f'[mail]\nport = {free_port()}\nsecurity = "none"\nseconds = 1\n'
        '[signup]\nmode = "open"\ntenant = "acme"\n'
        '[admin]\nlisten = ""\n'
    )
    return {**os.environ, "GATEWAY_SECRET": base64.b64encode(os.urandom(48)).decode()}


def add_people(
    folder: Path, program: tuple[str, ...], more: tuple[str, ...], environ: dict[str, str], costs: Costs, count: int
) -> None:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("email", "name", "department", "role", "tenant", "password_hash"))
    for kind, stored in costs.hashes().items():
        rows.writerows((email_of(kind, n), f"Person {n}", "", "employee", "acme", stored) for n in range(count))
    (folder / "people.csv").write_text(text.getvalue())
    command = (*program, "account", "import", str(folder / "people.csv"), "--apply", *more)
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    with sqlite3.connect(folder / "gateway.db") as store:
        store.execute(
            "UPDATE accounts SET status = 'disabled' WHERE identifier LIKE ?", (email_of("disabled", 0)[:3] + "%",)
        )


def email_of(kind: str, number: int) -> str:
    """Return emails of one length, so that only what is known of them differs."""
    return f"k{(*ALL, 'owner', UNKNOWN).index(kind):02}{number:05}@acme.example"


def compare(
    what: str, port: int, path: str, fields: dict[str, str], kinds: tuple[str, ...], count: int, form: int
) -> None:
    times: dict[str, list[float]] = {kind: [] for kind in (*kinds, UNKNOWN)}
    answers = set()
    for n in range(count):
        for kind in random.sample(list(times), len(times)):
            email, place = email_of(kind, n), list(times).index(kind)
            seconds, answer = ask(
                port, path, {**fields, "email": email}, f"10.{form * 16 + place}.{n // 250}.{n % 250 + 1}"
            )
            answers.add(answer.replace(email.encode(), b"EMAIL"))
            if n >= WARM_UP:
                times[kind].append(seconds * 1_000)
    unknown = times.pop(UNKNOWN)
    same = "the same bytes" if len(answers) == 1 else f"{len(answers)} DIFFERENT ANSWERS"
    print(f"{what}: unknown {statistics.median(unknown):.2f} ms (median of {len(unknown)}), {same}")
    for kind, measured in times.items():
        print(f"    {kind:13} {statistics.median(measured):.2f} ms, p = {rank_test(measured, unknown):.3f}", flush=True)


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
