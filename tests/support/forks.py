"""A fork server: runs `python -m gateway …` by forking a process that has imported everything already, or `python -c …`.

Starting Python and importing the gateway takes a second of a core, and the suite does it a thousand times. A process
that is forked here is one like any other: it has a pid, an environment, a folder and standard streams of its own, and
is ended by real signals. The server starts no thread and no event loop. What every command would make anew is ready:
ua-parser's lists, the templates' code, and the command line's parser. What every gateway makes was made once.

All processes of xdist use one server, whose address they are told; it loads everything when the first of them connects.
A request is JSON with four descriptors: standard input, output and error, and a channel on which the server writes the
pid, and at the end the status. When a client is gone, the server kills what it started for it. It ends with whoever
started it.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TextIO

from gateway.process.compiled import OFF, VARIABLE

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 200_000  # of one request
NUMBER = struct.Struct("i")
told: dict[str, str] = {}  # the address of a server, where there is one already
LATE = ("alembic.command", "alembic.autogenerate", "sqlalchemy.dialects.postgresql.asyncpg", "uvloop")


class Process:
    """What the tests use of subprocess.Popen, for a process that the fork server started."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], *streams: BinaryIO) -> None:
        self.args = ["gateway", *arguments]
        self.returncode: int | None = None
        self._channel, given = socket.socketpair()
        with given:
            request = {"arguments": list(arguments), "environ": dict(environ), "folder": os.getcwd()}
            files = [stream.fileno() for stream in streams]
            socket.send_fds(server(), [json.dumps(request).encode()], [given.fileno(), *files])
        self.pid = self._receive()

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal. Raises subprocess.TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._channel], [], [], timeout)[0]:
            self.returncode = self._receive()
            self._channel.close()
        return self.returncode

    def _receive(self) -> int:
        content = self._channel.recv(NUMBER.size)
        assert len(content) == NUMBER.size, "the fork server is gone"
        return int(NUMBER.unpack(content)[0])


def run(
    arguments: Sequence[str], environ: Mapping[str, str], *, stdin: str = "", timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as subprocess.run does with captured output."""
    with contextlib.ExitStack() as stack:
        given, output, errors = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(stdin.encode(errors="surrogateescape"))
        given.seek(0)
        process = Process(arguments, environ, given, output, errors)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, code, text_of(output), text_of(errors))


@dataclass(frozen=True, slots=True)
class Program:
    pid: int
    given: TextIO
    said: TextIO

    def ask(self, line: str = "") -> str:
        """Write a line, and return the line that is said next."""
        self.given.write(f"{line}\n")
        self.given.flush()
        return self.said.readline().strip()


@contextlib.contextmanager
def program(code: str, *arguments: str) -> Iterator[Program]:
    """Run `python -c code …`, until the block ends."""
    with contextlib.ExitStack() as stack:
        (its_input, given), (said, its_output) = os.pipe(), os.pipe()
        ours = Program(0, stack.enter_context(open(given, "w")), stack.enter_context(open(said)))
        with open(its_input, "rb") as source, open(its_output, "wb") as sink, os.fdopen(os.dup(2), "wb") as errors:
            process = Process(["-c", code, *arguments], {"PATH": os.environ["PATH"]}, source, sink, errors)
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield replace(ours, pid=process.pid)


def text_of(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="surrogateescape")


@functools.cache
def server() -> socket.socket:
    """Return the socket on which the server takes this process's requests."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connected.connect(told.get("address") or start())
    atexit.register(connected.close)
    return connected


def use(address: str) -> None:
    """Use a server that another process has started."""
    told["address"] = address


@functools.cache
def start() -> str:
    """Start a server that ends with this process, and return its address."""
    folder = tempfile.TemporaryDirectory(prefix="gateway-forks-")
    address = f"{folder.name}/server.sock"
    control, given = socket.socketpair()
    with given, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        descriptors = (given.fileno(), listener.fileno())
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, descriptors)],
            env={"PATH": os.environ["PATH"], VARIABLE: os.environ.get(VARIABLE, OFF)}, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=descriptors,
        )  # fmt: skip

    def end() -> None:
        control.close()
        process.wait(120)
        folder.cleanup()

    atexit.register(end)
    return address


# The server's side.


@dataclass(frozen=True, slots=True)
class Started:
    channel: socket.socket
    client: socket.socket


def serve(control: socket.socket, listener: socket.socket) -> None:
    """Fork for each request. Returns in each forked process, and never in the server."""
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    clients: set[socket.socket] = set()
    processes: dict[int, Started] = {}
    while True:
        ready, _, _ = select.select([control, listener, wake, *clients], [], [])
        if control in ready:
            kill(processes)
            os._exit(0)
        if wake in ready:
            wake.recv(4096)
            reap(processes)
        if listener in ready:
            clients.add(listener.accept()[0])
        for client in clients.intersection(ready):
            content, files, _, _ = socket.recv_fds(client, MOST_BYTES, 4)
            if not content:
                kill({pid: started for pid, started in processes.items() if started.client is client})
                clients.remove(client)
                client.close()
                continue
            channel = socket.socket(fileno=files[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                others = (started.channel for started in processes.values())
                for sock in (control, listener, wake, woken, channel, *clients, *others):
                    sock.close()
                become(json.loads(content), files[1:])
                return
            for file in files[1:]:
                os.close(file)
            channel.send(NUMBER.pack(pid))
            processes[pid] = Started(channel, client)


def become(request: dict[str, object], streams: Sequence[int]) -> None:
    """Take over what a process of its own would have been started with."""
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environ"])  # type: ignore[call-overload]
    os.chdir(str(request["folder"]))
    sys.argv = ["gateway", *request["arguments"]]  # type: ignore[misc]


def reap(processes: dict[int, Started]) -> None:
    while processes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with processes.pop(pid).channel as channel, contextlib.suppress(OSError):
            channel.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def kill(processes: Iterable[int]) -> None:
    for pid in processes:
        os.kill(pid, signal.SIGKILL)


def load_everything() -> None:
    """Import what any command may need. A package of programs of its own, the demo, is not among it."""
    from gateway.process.lean import import_lean

    gc.disable()  # nothing of this is garbage
    import_lean()  # as `serve` does
    import gateway.observe.logs  # before anything imports structlog: it hides a module from it
    from gateway.cli import command_line
    from gateway.languages.zones import names
    from gateway.web.templates import compile_all
    from gateway.web.user_agents import load_lists

    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if not module.name.startswith(("gateway.demo", "gateway.store.migrations", "gateway.__main__")):
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    compile_all()
    load_lists()
    names()
    command_line()
    make_once()
    gc.collect()
    gc.freeze()
    gc.enable()


def make_once() -> None:
    """Make what every gateway makes: at its first use, a library imports, compiles and remembers much that is kept."""
    from gateway.observe.board import Board
    from gateway.process import worker

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "access.toml").touch()
        store, secret = f"sqlite:///{folder}/gateway.db", base64.b64encode(os.urandom(32)).decode()
        given = {"SECRET": secret, "STORE__URL": store, "PUBLIC_URL": "https://app.example.com"}
        settings = worker.load_checked(Path(folder), {f"GATEWAY_{key}": value for key, value in given.items()})
        worker.make_work(settings, Board(), reload=lambda: settings).close()


if __name__ == "__main__":
    its_control, its_listener = (socket.socket(fileno=int(given)) for given in sys.argv[1:])
    if its_control in select.select([its_control, its_listener], [], [])[0]:
        sys.exit()
    load_everything()
    serve(its_control, its_listener)
    from gateway.__main__ import main

    try:
        if sys.argv[1] == "-c":
            code, sys.argv[1:] = sys.argv[2], sys.argv[3:]
            exec(code, {"__name__": "__main__"})
        else:
            main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # without taking apart all that was loaded, which takes longer than a command
