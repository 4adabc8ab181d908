"""What a request costs with many people: CPU time and requests/s, while others sign in, and behind nginx.

    python bench/many_people.py [--all] [--assertion] [--old COMMIT | --python | --batch]     # three minutes

One worker on core 0, with SQLite, an access log, and the settings for config/nginx.conf; load and upstream have core
1. Requests are those of a browser, with the fields that nginx adds: X-Forwarded-For is another for each person, and
X-Request-Id for each request. "In bursts" means ten requests of one person, then ten of the next. In each round every
row has its turn; all figures are medians over the rounds.

Sign-ins are real, but their passwords have the cheapest hash: the cost of hashing is known (bench/sign_ins.py), and
would hide everything else. "Elsewhere": at another gateway with the same store, on core 1, so that only the effect on
this worker's memory is measured. "Here": at this worker, whose CPU time then includes their pages, hashes and
transactions, divided among the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import servers
from many_sessions import fill, token_of
from run import BROWSER, CONNECTIONS, wrk
from servers import CHEAP, HOST, LOAD_CORE, PASSWORD, Server, store_of
from werkzeug.security import generate_password_hash

from gateway.process import compiled

NUMBERS = (1, 1_000, 20_000, 100_000)
BURST = 10
SIGNED_SECONDS = 31  # after so long an assertion has to be signed again
HASHED_SECONDS = 8  # a worker without an idle moment hashes nothing for three seconds, then for five
COOKIES = "theme=dark; <session>; session=eyJ2Ijoz.aZ1bXw.3dS1yQq0lV4qkq0nYcFhYJ0C2dk"
BY_BROWSER = {"Host": HOST, **BROWSER, "Cookie": COOKIES}
BY_NGINX = {"X-Forwarded-For": "<address>", "X-Forwarded-Proto": "https", "X-Request-Id": "<id>", **BY_BROWSER}
ANONYMOUS = {name: value for name, value in BY_NGINX.items() if name != "Cookie"}


@dataclass(frozen=True, slots=True)
class Row:
    """A load. `sign_ins` are those a second. `front` is what it is sent to; "" is the gateway itself."""

    people: int
    burst: int = 1
    sign_ins: int = 0
    here: bool = False
    front: str = ""
    by_nginx: bool = True

    def __str__(self) -> str:
        if self.front:
            return self.front
        how = f"people in bursts of {self.burst}" if self.burst > 1 else "people in turns"
        who = f"{self.people:,} {how}"
        if self.people == 1:
            who = f"one person, as {'nginx' if self.by_nginx else 'a browser'} sends it"
        where = "here" if self.here else "elsewhere"
        return who + (f", {self.sign_ins} sign-ins/s {where}" if self.sign_ins else "")

    @property
    def base(self) -> Row:
        """What it is compared with."""
        if self.front:
            return through(NGINX)
        return ALONE if self in (ALONE, Row(1)) else Row(1)


NGINX, CHAIN, AUTH = "nginx alone", "nginx and the gateway", "nginx asks the gateway (forward-auth)"
FRONTS = {NGINX: ("nginx.conf", False), CHAIN: ("nginx.conf", True), AUTH: ("nginx-auth-request.conf", True)}
ALONE = Row(1, by_nginx=False)


def through(front: str) -> Row:
    return Row(1, front=front, by_nginx=False)


FIRST = (Row(20_000, BURST, 5), through(CHAIN))
SHORT = (
    through(NGINX),
    through(AUTH),
    ALONE,
    Row(1),
    Row(1_000),
    Row(20_000),
    Row(100_000),
    Row(20_000, BURST),
    Row(20_000, BURST, 50),
    Row(20_000, BURST, 5, here=True),
)
ALL = tuple(
    Row(people, burst, sign_ins, here)
    for people, burst, sign_ins, here in itertools.product(NUMBERS, (1, BURST), (0, 5, 50), (False, True))
    if (people, burst) != (1, BURST) and (sign_ins, here) != (0, True)
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of a row. `total` and `gateway` are processor time in µs a request; `done` are sign-ins a second."""

    rate: float
    p99: float
    total: float
    gateway: float
    done: float


class Stage:
    """The gateway of a commit for a number of people, and how far its load has got."""

    def __init__(
        self, scripts: Path, people: int, gateway: Server, elsewhere: Server | None, fronts: dict[str, Server]
    ) -> None:
        self.gateway = gateway
        self._scripts = scripts
        self._people = people
        self._elsewhere = elsewhere
        self._fronts = fronts
        self._sent = 0
        self._used_at = 0.0

    def run_as_batch(self) -> None:
        """Let no server interrupt another one when it wakes (sched(7), SCHED_BATCH)."""
        for server in (self.gateway, *self._fronts.values()):
            os.sched_setscheduler(server.pid, os.SCHED_BATCH, os.sched_param(0))

    def warm_up(self) -> None:
        """Let everybody ask once."""
        while self._sent < self._people:
            self._load(Row(self._people), 1)

    def measure(self, row: Row, seconds: int, assertion: bool) -> Measured:
        if assertion and row.burst == 1 and row.people >= 20_000:
            # Nobody's assertion is valid any more, and the time is too short for anyone's second request.
            time.sleep(max(0.0, self._used_at + SIGNED_SECONDS - time.monotonic()))
            seconds = 1
        if row.here:
            seconds = max(seconds, HASHED_SECONDS)
        if not row.sign_ins:
            return self._load(row, seconds)
        to = self.gateway if row.here else self._elsewhere
        assert to is not None
        with signing_in(to.port, row) as done:
            return self._load(row, seconds, done)

    def _load(self, row: Row, seconds: int, done: Sequence[int] = ()) -> Measured:
        front = self._fronts.get(row.front, self.gateway)
        busy = {front, self.gateway} - ({self.gateway} if row.front == NGINX else set())
        before = {server: server.cpu_seconds() for server in busy}
        signed_in, began = len(done), time.monotonic()
        where = (self._sent // row.burst % row.people * row.burst, os.urandom(8).hex())
        answers = wrk(
            f"http://127.0.0.1:{front.port}", CONNECTIONS, seconds,
            "-s", str(script(self._scripts, row)), "--", *map(str, where),
        )  # fmt: skip
        spent = {server: (server.cpu_seconds() - before[server]) / max(1, answers.number) * 1e6 for server in busy}
        if answers.wrong:
            raise SystemExit(f"{row}: {answers.wrong} wrong answers")
        self._sent += answers.number
        self._used_at = time.monotonic()
        return Measured(
            rate=answers.rate, p99=answers.p99, total=sum(spent.values()), gateway=spent.get(self.gateway, 0.0),
            done=(len(done) - signed_in) / (self._used_at - began),
        )  # fmt: skip


def script(folder: Path, row: Row) -> Path:
    """Write what wrk does with `row`. Its arguments are the number of the first request, and a beginning of the ids."""
    sessions, path = folder / f"{row.people}.txt", folder / f"{row.people}-{row.burst}-{row.by_nginx}.lua"
    if not sessions.exists():
        sessions.write_text("".join(f"{session_of(number)}\n" for number in range(row.people)))
    path.write_text(lua(sessions, BY_NGINX if row.by_nginx else BY_BROWSER, row.burst))
    return path


def session_of(person: int) -> str:
    return f"__Host-otium_session={token_of(person)}"


def lua(sessions: Path, fields: Mapping[str, str], burst: int = 1) -> str:
    """Return a script for wrk: the people whose cookies are the lines of `sessions` take turns."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = json.dumps(f"GET /1k HTTP/1.1\r\n{lines}\r\n")
    for mark in ("address", "id", "session"):
        request = request.replace(f"<{mark}>", f'" .. {mark} .. "')
    return f"""
local sessions, sent, stem = {{}}, 0, ""
for line in io.lines("{sessions}") do sessions[#sessions + 1] = line end
function init(args)
  sent, stem = tonumber(args[1]), args[2]
end
function request()
  local person = math.floor(sent / {burst}) % #sessions
  local session = sessions[person + 1]
  local address = string.format("10.%d.%d.%d", person / 65536, person / 256 % 256, person % 256)
  local id = stem .. string.format("%016x", sent)
  sent = sent + 1
  return {request}
end
"""


@contextlib.contextmanager
def signing_in(port: int, row: Row) -> Iterator[list[int]]:
    """Sign in people of `row` at its rate, whether or not those before are in; yields who is in."""
    done: list[int] = []
    stop = threading.Event()

    def begin() -> None:
        with ThreadPoolExecutor(10 * row.sign_ins) as pool:
            started = time.monotonic()
            for number in itertools.count():
                if stop.wait(max(0.0, started + number / row.sign_ins - time.monotonic())):
                    return
                pool.submit(sign_in, port, random.randrange(row.people), done)

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def sign_in(port: int, person: int, done: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = urlencode({"email": f"person.{person}@acme.example", "password": PASSWORD, "next": "/1k"})
    connection.request("POST", "/login", body, {
        "Host": HOST, "Origin": f"https://{HOST}", "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": address_of(person),
    })  # fmt: skip
    if connection.getresponse().status == 303:
        done.append(person)
    connection.close()


def address_of(person: int) -> str:
    return f"10.{person >> 16}.{person >> 8 & 255}.{person & 255}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3, help="of each row in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="every combination of people, bursts and sign-ins")
    parser.add_argument("--assertion", action="store_true", help="with the signed assertion")
    beside = parser.add_mutually_exclusive_group()
    beside.add_argument("--old", metavar="COMMIT", help="an older commit, to run beside this one")
    beside.add_argument("--python", action="store_true", help="run this commit as Python beside its compiled form")
    beside.add_argument("--batch", action="store_true", help="run the same beside it, as SCHED_BATCH")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # this process signs people in: it belongs to the load
    rows = tuple(dict.fromkeys((*FIRST, *SHORT, *(ALL if options.all else ()))))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        trees, environs = {"new": servers.ROOT}, {"old": {"GATEWAY_COMPILED": "off"} if options.python else {}}
        if options.python and (problem := compiled.mismatch(compiled.FOLDER)):
            raise SystemExit(f"{problem}; run `make compile`")
        if options.python or options.batch:
            trees["old"] = servers.ROOT
        elif options.old:
            trees["old"] = stack.enter_context(servers.checked_out(options.old, folder / "tree"))
        to = stack.enter_context(servers.upstream(folder))
        stages: dict[tuple[str, int], Stage] = {}
        for people in sorted({row.people for row in rows}):
            for age, tree in trees.items():
                place, some = folder / f"{age}{people}", [row for row in rows if row.people == people]
                environ = environs.get(age, {})
                stages[age, people] = stack.enter_context(stage(place, to, tree, some, options.assertion, environ))
                if options.batch and age == "old":
                    stages[age, people].run_as_batch()
        rounds: list[dict[tuple[str, Row], Measured]] = []
        for _ in range(options.rounds):
            rounds.append({
                (age, row): stages[age, row.people].measure(row, options.seconds, options.assertion)
                for row in rows
                for age in trees
            })  # fmt: skip
        print(f"CPU time a request; the assertion is {'on' if options.assertion else 'off'}")
        for row in rows:
            print(said(row, rounds, trees))
        for (age, people), at in stages.items():
            memory = at.gateway.memory()
            print(f"memory of a worker ({age}), {people:7,} people: {memory['pss']:.1f} MB (PSS)")


@contextlib.contextmanager
def stage(
    folder: Path, to: int, tree: Path, rows: Sequence[Row], assertion: bool, environ: Mapping[str, str]
) -> Iterator[Stage]:
    """Start what `rows` need, which all have the same number of people."""
    folder.mkdir()
    people = rows[0].people
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(servers.deployed(folder, to, tree, assertion, environ=environ))
        asyncio.run(fill(store_of(folder), people, generate_password_hash(PASSWORD, f"pbkdf2:sha256:{CHEAP}")))
        elsewhere = None
        if any(row.sign_ins and not row.here for row in rows):
            elsewhere = stack.enter_context(
                servers.deployed(folder, to, tree, assertion, name="elsewhere", core=LOAD_CORE)
            )
        fronts = {}
        for front in {row.front for row in rows if row.front}:
            file, asks_gateway = FRONTS[front]
            upstreams = {
                "8000": servers.inside(folder) if asks_gateway else f"127.0.0.1:{to}",
                "5000": f"127.0.0.1:{to}",
            }
            fronts[front] = stack.enter_context(servers.nginx_as_shipped(folder, file, upstreams, tree))
        at = Stage(folder, people, gateway, elsewhere, fronts)
        at.warm_up()
        yield at


def said(row: Row, rounds: list[dict[tuple[str, Row], Measured]], trees: Collection[str]) -> str:
    def median(of: Callable[[dict[tuple[str, Row], Measured]], float]) -> float:
        return statistics.median(of(measured) for measured in rounds)

    text = (
        f"{row!s:55} {median(lambda m: m['new', row].rate):7,.0f} requests/s"
        f"  {median(lambda m: m['new', row].total):6.1f} µs"
    )
    if "old" in trees:
        ratio = median(lambda m: m["new", row].total / m["old", row].total)
        text += f" ({median(lambda m: m['old', row].total):.1f}; {ratio:.2f} × old)"
    if row != row.base:
        text += f"  {median(lambda m: m['new', row].total / m['new', row.base].total):.2f} × {row.base}"
    if row.front not in ("", NGINX):
        alone = median(lambda m: m["new", row].gateway / m["new", ALONE].gateway)
        text += f"; the gateway {median(lambda m: m['new', row].gateway):.1f} µs, {alone:.2f} × alone"
    if row.sign_ins:
        text += f"; {median(lambda m: m['new', row].done):.1f} sign-ins/s ended"
    return text


if __name__ == "__main__":
    main()
