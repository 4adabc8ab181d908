"""Starts, watches and ends the programs of the demo as child processes.

Each child leads its own session. Ctrl-C in the terminal therefore reaches only the demo, which ends the children in
order, and a child that does not end is killed with all its processes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120  # three new Pythons, on a slow machine that does other things as well
END_SECONDS = 15
PAUSE_SECONDS = 0.1

Address = int | Path  # a port on loopback, or the file of a Unix socket


class DemoFailed(Exception):
    """The demo can't run. The message says why, in one sentence."""


@dataclass(slots=True)
class Stop:
    """Whether Ctrl-C or SIGTERM was received.

    A flag, because an exception could be raised after a child has started and before it is recorded.
    """

    is_asked: bool = False

    def listen(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._ask)

    def _ask(self, *_: object) -> None:
        self.is_asked = True


@dataclass(frozen=True, slots=True)
class Program:
    """`command` listens on all of `addresses` once it is ready."""

    name: str
    command: Sequence[str]
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Child:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path


def start(program: Program, folder: Path, environ: Mapping[str, str]) -> Child:
    """Start `program`, with its output in a file in `folder`."""
    path = folder / f"{program.name.replace(' ', '-')}.log"
    with path.open("ab") as log:
        process = subprocess.Popen(program.command, env=environ, stdout=log, stderr=log, start_new_session=True)
    return Child(program, process, path)


def wait_until_ready(children: Sequence[Child], stop: Stop) -> None:
    """Wait until every child listens, or until `stop`. Raises DemoFailed if one ends or takes too long."""
    until = time.monotonic() + START_SECONDS
    for child in children:
        while not stop.is_asked and not all(map(is_listening, child.program.addresses)):
            refuse_if_ended(children)
            if time.monotonic() > until:
                raise DemoFailed(
                    f"the {child.program.name} is not ready after {START_SECONDS} seconds; see {child.log}"
                )
            time.sleep(PAUSE_SECONDS)


def watch(children: Sequence[Child], stop: Stop) -> None:
    """Return when `stop` is asked. Raises DemoFailed if a child ends by itself."""
    while not stop.is_asked:
        refuse_if_ended(children)
        time.sleep(PAUSE_SECONDS)


def refuse_if_ended(children: Sequence[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            raise DemoFailed(f"the {child.program.name} ended by itself with code {code}; see {child.log}")


def is_listening(address: Address) -> bool:
    family, place = (
        (socket.AF_UNIX, str(address)) if isinstance(address, Path) else (socket.AF_INET, ("127.0.0.1", address))
    )
    with socket.socket(family) as sock:
        sock.settimeout(1)
        return sock.connect_ex(place) == 0


def end(children: Sequence[Child]) -> None:
    """End the children in reverse order, so that none uses a program that has ended."""
    for child in reversed(children):
        child.process.terminate()
        try:
            child.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
