"""Processes: one supervisor that holds the sockets, and workers that serve on them.

The supervisor never serves and never opens the store; it binds, forks, waits for signals and forks again. What
changes a running gateway is always a new set of workers: on SIGHUP the files are read anew, workers with the new
settings are started beside the old ones, and only when all of them are ready do the old ones drain. A bad file
or a worker that can't start leaves everything as it was. No connection is refused meanwhile, since the sockets
are the supervisor's.

Sockets that systemd hands over (sd_listen_fds(3)) are served besides those of the settings, and systemd is told
when the gateway is ready, reloading and stopping (sd_notify(3)).
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.settings import BadSettings, Settings

log = structlog.get_logger("serve")

READY_SECONDS = 30.0
STEADY_SECONDS = 10.0  # a worker that lived this long may be replaced at once
LONGEST_PAUSE = 10.0
BACKLOG = 2_048
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START
WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

Work = Callable[[Settings, Sequence[socket.socket], int, int], None]


class CannotServe(Exception):
    """The gateway can't start, or not with these settings; the message says what to do."""


def run(load: Callable[[], Settings], prepare: Callable[[Settings], None], work: Work) -> int:
    """Serve until told to stop, and return the exit code.

    `load` reads the settings, at the start and at each SIGHUP; `prepare` is done once before, in a process of its
    own; `work` is what a worker does (see app.run_worker).
    """
    settings = load()
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        in_child(lambda: prepare(settings))
        supervisor = Supervisor(settings, load, work)
    except CannotServe as error:
        sys.stderr.write(f"otium-gateway: {error}\n")
        return 1
    return supervisor.run()


@dataclass(slots=True)
class Worker:
    """A child process; `ready` is the read end of the pipe it closes once it serves."""

    pid: int
    slot: int
    generation: int
    began: float
    ready: int | None


@dataclass(slots=True)
class Slot:
    """One of the places for a worker; `pause` grows while workers in it keep dying young."""

    pause: float = 0.0
    due: float | None = field(default=None)


class Supervisor:
    """Keeps as many workers running as the settings say, all of one generation of settings."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], work: Work) -> None:
        self._settings = settings
        self._load = load
        self._work = work
        self._inherited = inherited_sockets()
        self._sockets = open_sockets(settings.listen.addresses, {})
        self._leaving: dict[str, socket.socket] = {}  # those that only the workers before this reload serve
        self._lifeline = os.pipe()
        self._workers: dict[int, Worker] = {}
        self._generation = 0
        self._slots = [Slot() for _ in range(settings.listen.workers)]

    def run(self) -> int:
        gc.freeze()  # what was loaded so far stays shared between the workers
        for slot in range(len(self._slots)):
            self._start(slot, self._settings)
        if not self._wait_until_ready():
            self._stop(signal.SIGKILL)
            sys.stderr.write("otium-gateway: no worker could start; the log above says why\n")
            return 1
        notify("READY=1")
        log.info("serving", addresses=list(self._settings.listen.addresses), workers=len(self._slots))
        while True:
            match self._next_signal():
                case signal.SIGTERM | signal.SIGINT:
                    return self._finish()
                case signal.SIGHUP:
                    self._reload()
            self._reap()
            self._revive()
            notify("WATCHDOG=1")

    def _next_signal(self) -> int | None:
        pauses = [slot.due - time.monotonic() for slot in self._slots if slot.due is not None]
        received = signal.sigtimedwait(WATCHED, max(0.0, min([1.0, *pauses])))
        return received.si_signo if received else None

    # Workers.

    def _start(self, slot: int, settings: Settings) -> None:
        sockets = [*self._sockets.values(), *self._inherited]
        ready_read, ready_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(ready_read)
                os.close(self._lifeline[1])
                close_all(self._leaving, but=self._sockets)  # or the address would stay taken, and never be answered
                for signum in (signal.SIGINT, signal.SIGHUP):
                    signal.signal(signum, signal.SIG_IGN)  # the terminal sends these to the whole group
                self._work(settings, sockets, ready_write, self._lifeline[0])
                code = 0
            except BaseException:
                log.exception("worker_failed")
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(ready_write)
        self._workers[pid] = Worker(pid, slot, self._generation, time.monotonic(), ready_read)

    def _wait_until_ready(self) -> bool:
        """Wait until every worker of this generation serves. A byte says it does; an end without one, that it died."""
        until = time.monotonic() + READY_SECONDS
        for worker in [w for w in self._workers.values() if w.generation == self._generation]:
            if worker.ready is None:
                continue
            readable, _, _ = select.select([worker.ready], [], [], max(0.0, until - time.monotonic()))
            is_ready = bool(readable) and os.read(worker.ready, 1) == b"1"
            os.close(worker.ready)
            worker.ready = None
            if not is_ready:
                return False
        return True

    def _reap(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is not None:
                self._note_end(worker, os.waitstatus_to_exitcode(status))

    def _note_end(self, worker: Worker, code: int) -> None:
        if worker.ready is not None:
            os.close(worker.ready)
        if worker.generation != self._generation:
            return
        lived = time.monotonic() - worker.began
        slot = self._slots[worker.slot]
        slot.pause = 0.0 if lived > STEADY_SECONDS else min(LONGEST_PAUSE, slot.pause * 2 or 0.1)
        slot.due = time.monotonic() + slot.pause
        log.error("worker_died", pid=worker.pid, code=code, again_in_seconds=round(slot.pause, 1))

    def _revive(self) -> None:
        for number, slot in enumerate(self._slots):
            if slot.due is not None and slot.due <= time.monotonic():
                slot.due = None
                self._start(number, self._settings)

    # Reload and stop.

    def _reload(self) -> None:
        """Change over to new settings, or say why not and keep the old ones running."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            settings = self._load()
            sockets = open_sockets(settings.listen.addresses, self._sockets)
        except (BadSettings, CannotServe) as error:
            log.error("reload_refused", reason=str(error))
        else:
            self._change_over(settings, sockets)
        notify("READY=1")

    def _change_over(self, settings: Settings, sockets: dict[str, socket.socket]) -> None:
        before = (self._settings, self._sockets, self._slots)
        old = [worker.pid for worker in self._workers.values()]
        self._generation += 1
        self._settings, self._sockets, self._leaving = settings, sockets, before[1]
        self._slots = [Slot() for _ in range(settings.listen.workers)]
        for slot in range(len(self._slots)):
            self._start(slot, settings)
        if self._wait_until_ready():
            self._signal(old, signal.SIGTERM)
            close_all(before[1], but=sockets)
            self._leaving = {}
            log.info("reloaded", workers=len(self._slots))
            return
        self._signal([pid for pid in self._workers if pid not in old], signal.SIGKILL)
        self._settings, self._sockets, self._slots = before
        self._leaving = {}
        close_all(sockets, but=before[1])
        for worker in self._workers.values():
            if worker.pid in old:
                worker.generation = self._generation
        self._forget_failed(old)
        log.error("reload_refused", reason="the new workers could not start; the log above says why")

    def _forget_failed(self, old: list[int]) -> None:
        for pid in [pid for pid in self._workers if pid not in old]:
            os.waitpid(pid, 0)
            del self._workers[pid]

    def _finish(self) -> int:
        notify("STOPPING=1")
        close_all(self._sockets, but={})  # or the system would go on taking connections that nobody serves
        self._stop(signal.SIGTERM)
        for name in self._sockets:
            if name.startswith("unix:"):
                with contextlib.suppress(OSError):
                    os.unlink(name.removeprefix("unix:"))
        return 0

    def _stop(self, signum: int) -> None:
        """End all workers: those that don't end by themselves a little after their time to drain, by force."""
        self._signal(list(self._workers), signum)
        until = time.monotonic() + self._settings.listen.drain_seconds + 5
        self._generation += 1
        while self._workers and time.monotonic() < until:
            signal.sigtimedwait(WATCHED, 0.2)
            self._reap()
        self._signal(list(self._workers), signal.SIGKILL)

    def _signal(self, pids: Sequence[int], signum: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)


def open_sockets(addresses: Sequence[str], open_ones: dict[str, socket.socket]) -> dict[str, socket.socket]:
    """Return a listening socket for each address, taking those that are open already. All or nothing."""
    found: dict[str, socket.socket] = {}
    try:
        for address in addresses:
            found[address] = open_ones.get(address) or listen(address)
    except OSError as error:
        close_all(found, but=open_ones)
        raise CannotServe(f"can't listen on {address}: {error.strerror}; is something else there?") from error
    return found


def listen(address: str) -> socket.socket:
    """Listen on host:port, [v6]:port or unix:/path. A socket file left behind is replaced, a live one is not."""
    if address.startswith("unix:"):
        return listen_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def listen_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(path):
        if sock.connect_ex(path) == 0:
            sock.close()
            raise OSError(0, "another process listens there")
        os.unlink(path)
        sock.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)  # the proxy in front is let in by its group
    try:
        sock.bind(path)
    finally:
        os.umask(mask)
    sock.listen(BACKLOG)
    return sock


def inherited_sockets() -> list[socket.socket]:
    """Return the sockets that systemd listens on for us."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    del os.environ["LISTEN_PID"]
    return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(count)]


def close_all(sockets: dict[str, socket.socket], *, but: dict[str, socket.socket]) -> None:
    for name, sock in sockets.items():
        if name not in but:
            sock.close()


def in_child(work: Callable[[], None]) -> None:
    """Do something once in a process of its own, so that its memory is not every worker's. Raises CannotServe."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        message = b""
        try:
            work()
        except Exception as error:
            message = (str(error) or type(error).__name__).encode()
        finally:
            os.write(write, message)
            os._exit(1 if message else 0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        message = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise CannotServe(message.decode() or "the store could not be prepared")


def notify(state: str) -> None:
    """Tell systemd, if it listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
