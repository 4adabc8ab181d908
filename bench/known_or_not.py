"""Whether the time of an answer tells if an email has an account or a passkey: signing in, forgotten passwords,
signing up.

    python bench/known_or_not.py [TRIES] [--real]

Every kind of account and emails without one take turns in a random order, each email once, each from an address of its
own, so that no limit is met. Each kind is compared with "unknown" by rank (Mann and Whitney, Annals of Mathematical
Statistics 1947): `p` is how likely a difference at least as large is where there is none. Of twenty comparisons, one
is below 0.05 by chance. Hashing is cheaper here than in service, so that it hides less of everything else;
`--real` takes the costs of service, a million rounds, and what applications store.

At last come answers instead of a password, by credentials that an account has, with a signature of another key, and by
credentials that none has. These differ, in text and time, and may: a credential's id has 100 random bits at least, and
is given only to its own device and to a browser in which the account's password was typed.
"""

from __future__ import annotations

import argparse
import base64
import csv
import http.client
import io
import json
import math
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from argon2 import PasswordHasher
from servers import SERVER_CORE, end, free_port, start, wait_for
from werkzeug.security import generate_password_hash

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.authenticator import ES256, Authenticator, Said, base64url, private_key, unbase64url

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
            "passkey": generate_password_hash(PASSWORD, f"pbkdf2:sha256:{self.rounds}"),
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
ALL = ("standard", "passkey", "fewer rounds", "more rounds", "sha512", "scrypt", "argon2id", "disabled", "invited")
FIRST, FIRST_OPTIONS = "/login/passkey/first", "/login/passkey/first-options"


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked of each of the `kinds`, with an email."""

    path: str
    fields: Mapping[str, str]
    kinds: tuple[str, ...]
    method: str = "POST"


FORMS = {
    "the sign-in page": Form("/login", {"next": "/"}, ("standard", "passkey"), "GET"),
    "options for a passkey": Form(FIRST_OPTIONS, {"next": "/"}, ("standard", "passkey")),
    "signing in, composed": Form("/login", {"password": COMPOSED, "next": "/"}, ALL),
    "signing in, decomposed": Form("/login", {"password": DECOMPOSED, "next": "/"}, ALL),
    "signing in, too long": Form(
        "/login", {"password": "x" * 5_000, "next": "/"}, ("standard", "passkey", "scrypt", "invited")
    ),
    "forgotten": Form("/forgot-password", {}, ("standard", "passkey", "disabled", "invited", "owner")),
    "signing up": Form("/signup", SIGN_UP, ("standard", "passkey", "disabled", "invited", "owner")),
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
        holders = add_people(folder, program, more, environ, costs, count)
        server = start(SERVER_CORE, *program, "serve", *more, environ=environ, log=folder / "log")
        try:
            wait_for(port)
            for number, (what, form) in enumerate(FORMS.items()):
                compare(what, port, form, count, number)
            compare_credentials(port, holders, count, len(FORMS))
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
) -> list[str]:
    """Return the ids of the accounts with a passkey."""
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
        return add_passkeys(store, count)


def add_passkeys(store: sqlite3.Connection, count: int) -> list[str]:
    """Give each account of that kind a passkey. Returns their ids."""
    public_key, accounts = Authenticator().public_key, []
    for n in range(count):
        whose = (email_of("passkey", n),)
        ((account,),) = store.execute(
            "UPDATE accounts SET enrolled = 'passkey' WHERE identifier = ? RETURNING id", whose
        )
        store.execute(
            "INSERT INTO passkeys (id, account, credential, public_key, sign_count, is_backup_eligible, is_backed_up,"
            " verifies, aaguid, transports, rp_id, name, created_at)"
            " VALUES (?, ?, ?, ?, 0, 1, 1, 1, '', 'internal', 'localhost', 'Passkey', 1)",
            (f"psk_{n}", account, credential_of("known", n), public_key),
        )
        accounts.append(str(account))
    return accounts


def credential_of(kind: str, number: int) -> bytes:
    return sha256(f"{kind} {number}".encode()).digest()


def email_of(kind: str, number: int) -> str:
    """Return emails of one length, so that only what is known of them differs."""
    return f"k{(*ALL, 'owner', UNKNOWN).index(kind):02}{number:05}@acme.example"


def compare(what: str, port: int, form: Form, count: int, number: int) -> None:
    times: dict[str, list[float]] = {kind: [] for kind in (*form.kinds, UNKNOWN)}
    answers = set()
    for n in range(count):
        for kind in random.sample(list(times), len(times)):
            email, place = email_of(kind, n), list(times).index(kind)
            fields, address = {**form.fields, "email": email}, f"10.{number * 16 + place}.{n // 250}.{n % 250 + 1}"
            answer = ask(port, form.path, fields, address, method=form.method)
            answers.add(answer.seen.replace(email.encode(), b"EMAIL"))
            if n >= WARM_UP:
                times[kind].append(answer.seconds * 1_000)
    report(what, times, answers)


def compare_credentials(port: int, accounts: list[str], count: int, number: int) -> None:
    """Send answers that stand for a password, each with a challenge of its own. Those with a passkey are `accounts`."""
    times: dict[str, list[float]] = {kind: [] for kind in ("known", UNKNOWN)}
    answers = set()
    for n in range(count):
        for kind in random.sample(list(times), len(times)):
            address = f"10.{number * 16 + list(times).index(kind)}.{n // 250}.{n % 250 + 1}"
            asked = ask(port, FIRST_OPTIONS, {"next": "/"}, address)
            told = json.loads(asked.content)
            challenge = unbase64url(told["options"]["challenge"])
            said = Said(challenge, f"http://localhost:{port}", "localhost", handle=accounts[n].encode())
            other = Authenticator(credential=credential_of(kind, n))
            other.key = private_key(ES256, "another")
            fields = {"challenge": told["challenge"], "answer": other.prove(said), "next": "/"}
            answer = ask(port, FIRST, fields, address, cookie=asked.cookie)
            answers.add(answer.seen.replace(base64url(credential_of(kind, n)).encode(), b"ID"))
            if n >= WARM_UP:
                times[kind].append(answer.seconds * 1_000)
    report("credentials, which may differ", times, answers)


def report(what: str, times: dict[str, list[float]], answers: set[bytes]) -> None:
    unknown = times.pop(UNKNOWN)
    same = "the same bytes" if len(answers) == 1 else f"{len(answers)} DIFFERENT ANSWERS"
    print(f"{what}: unknown {statistics.median(unknown):.2f} ms (median of {len(unknown)}), {same}")
    for kind, measured in times.items():
        print(f"    {kind:13} {statistics.median(measured):.2f} ms, p = {rank_test(measured, unknown):.3f}", flush=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """`seconds` until all of it was there. `seen` is what people and programs see of it, without random values."""

    seconds: float
    seen: bytes
    content: bytes = field(repr=False)
    cookie: str


# Challenges, sealed challenges, and cookies: of each, only the length is compared.
RANDOM = re.compile(rb'(?<="challenge": ")[^"]+|(?<=__Host-otium_attempt=)[^;]+')


def ask(
    port: int, path: str, fields: Mapping[str, str], address: str, *, method: str = "POST", cookie: str = ""
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    body = urlencode(fields)
    sent = {
        "Host": f"localhost:{port}",
        "Origin": f"http://localhost:{port}",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": address,
        "Accept": "text/html",
        **({"Cookie": cookie} if cookie else {}),
    }
    if method == "GET":
        path, body = f"{path}?{body}", ""
    began = time.perf_counter()
    connection.request(method, path, body or None, sent)
    response = connection.getresponse()
    content = response.read()
    seconds = time.perf_counter() - began
    connection.close()
    seen = [f"{name}: {value}" for name, value in response.getheaders() if name not in ("Date", "X-Request-Id")]
    whole = "\n".join([str(response.status), *seen]).encode() + content
    given = (response.getheader("Set-Cookie") or "").partition(";")[0]
    return Answer(seconds, RANDOM.sub(lambda found: b"*" * len(found[0]), whole), content, given)


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
