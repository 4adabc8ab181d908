"""Processes: one supervisor that holds the sockets, and workers that serve on them.

The supervisor never serves and never opens the store; it binds, forks, waits for signals and forks again. What
changes a running gateway is always a new set of workers: on SIGHUP the files are read anew, workers with the new
settings are started beside the old ones, and only when all of them are ready do the old ones drain. A bad file
or a worker that can't start leaves everything as it was. No connection is refused meanwhile, since the sockets
are the supervisor's.

Each worker shows twice a second on a shared board that its event loop turns (observe.board). One that does not is ended
and replaced, and systemd's watchdog is fed only while at least one of them does.

Sockets that systemd hands over (sd_listen_fds(3)) are served besides those of the settings, and systemd is told
when the gateway is ready, reloading and stopping (sd_notify(3)).
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.observe.board import Board, Ended
from gateway.observe.logs import get_logger
from gateway.process.children import in_child, notify, wait_to_read
from gateway.process.sockets import CannotServe, close_all, inherited_sockets, open_sockets
from gateway.settings import BadSettings, Settings

log = get_logger("serve")

READY_SECONDS = 30.0
STEADY_SECONDS = 1.0  # a worker that lived this long may be replaced at once
LONGEST_PAUSE = 10.0
LOOK_SECONDS = 1.0
LEAVE_SECONDS = 2.0
YOUNG_OBJECTS = 20_000  # before somebody looks for cycles among them; what a request makes has none
WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is given: where it listens, its region of the board, and two pipes.

    A byte written to `ready` says that it serves; `lifeline` ends when the supervisor is gone.
    """

    settings: Settings
    sockets: Sequence[socket.socket]
    admin: socket.socket | None
    board: Board
    region: int
    ready: int
    lifeline: int


Look = Callable[[Settings], None]
Work = Callable[[Post], None]


def run(load: Callable[[], Settings], prepare: Look, check: Look, work: Work) -> int:
    """Serve until told to stop, and return the exit code.

    `load` reads the settings, at the start and at each SIGHUP. Before they are served by, `prepare` is done with them
    at the start and `check` at a SIGHUP, in a process of its own. `work` is what a worker does (worker.run_worker).
    """
    settings = load()
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        in_child(lambda: prepare(settings))
        supervisor = Supervisor(settings, load, check, work)
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
    region: int
    began: float
    ready: int | None
    is_hung: bool = False


@dataclass(slots=True)
class Slot:
    """One of the places for a worker; `pause` grows while workers in it keep dying young."""

    pause: float = 0.0
    due: float | None = field(default=None)


class Supervisor:
    """Keeps as many workers running as the settings say, all of one generation of settings."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], check: Look, work: Work) -> None:
        self._settings = settings
        self._load = load
        self._check = check
        self._work = work
        self._inherited = inherited_sockets()
        self._board = Board()
        self._sockets = open_sockets(addresses_of(settings), {})
        self._leaving: dict[str, socket.socket] = {}  # those that only the workers before this reload serve
        self._lifeline = os.pipe()
        self._workers: dict[int, Worker] = {}
        self._generation = 0
        self._slots = [Slot() for _ in range(settings.listen.workers)]
        self._looked_at = time.monotonic()

    def run(self) -> int:
        gc.freeze()  # what was loaded so far stays shared between the workers
        gc.set_threshold(YOUNG_OBJECTS)
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
            self._end_hung()
            self._revive()
            self._feed_watchdog()

    def _next_signal(self) -> int | None:
        pauses = [slot.due - time.monotonic() for slot in self._slots if slot.due is not None]
        received = signal.sigtimedwait(WATCHED, max(0.0, min([LOOK_SECONDS, *pauses])))
        return received.si_signo if received else None

    # Workers.

    def _start(self, slot: int, settings: Settings) -> None:
        public = [self._sockets[address] for address in settings.listen.addresses]
        admin = self._sockets.get(settings.admin.listen)
        region = self._board.lease()
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
                sockets = [*public, *self._inherited]
                self._work(Post(settings, sockets, admin, self._board, region, ready_write, self._lifeline[0]))
                code = 0
            except BaseException:
                log.exception("worker_failed")
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(ready_write)
        self._workers[pid] = Worker(pid, slot, self._generation, region, time.monotonic(), ready_read)

    def _wait_until_ready(self) -> bool:
        """Wait until every worker of this generation serves. A byte says it does; an end without one, that it died."""
        until = time.monotonic() + READY_SECONDS
        for worker in [w for w in self._workers.values() if w.generation == self._generation]:
            if worker.ready is None:
                continue
            is_ready = wait_to_read(worker.ready, until) and os.read(worker.ready, 1) == b"1"
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
        self._board.release(worker.region)
        if worker.generation != self._generation:
            return
        self._board.count_end(Ended.HUNG if worker.is_hung else Ended.DIED)
        lived = time.monotonic() - worker.began
        slot = self._slots[worker.slot]
        slot.pause = 0.0 if lived > STEADY_SECONDS else min(LONGEST_PAUSE, slot.pause * 2 or 0.1)
        slot.due = time.monotonic() + slot.pause
        log.error("worker_died", pid=worker.pid, exit_status=code, again_in_seconds=round(slot.pause, 1))

    def _revive(self) -> None:
        for number, slot in enumerate(self._slots):
            if slot.due is not None and slot.due <= time.monotonic():
                slot.due = None
                self._start(number, self._settings)

    def _end_hung(self) -> None:
        """End workers whose event loop does not turn any more; like any that ends, they are replaced.

        If we ourselves were late, the whole machine stood still, and they get until the next look.
        """
        now, looked_at = time.monotonic(), self._looked_at
        self._looked_at = now
        if now - looked_at > LOOK_SECONDS + 1:
            return
        for worker in self._workers.values():
            silent = now - (self._board.beat_of(worker.region) or worker.began)
            if silent > self._patience_with(worker) and not worker.is_hung:
                worker.is_hung = True
                log.error("worker_hung", pid=worker.pid, silent_seconds=round(silent, 1))
                self._signal([worker.pid], signal.SIGKILL)

    def _patience_with(self, worker: Worker) -> float:
        """A worker that is starting shows no sign of life before it serves."""
        has_served = self._board.beat_of(worker.region) > 0
        return self._settings.listen.hung_seconds if has_served else READY_SECONDS

    def _feed_watchdog(self) -> None:
        """Tell systemd that all is well, unless no worker serves: then it starts everything anew."""
        now, hung_seconds = time.monotonic(), self._settings.listen.hung_seconds
        if any(now - self._board.beat_of(worker.region) < hung_seconds for worker in self._workers.values()):
            notify("WATCHDOG=1")

    # Reload and stop.

    def _reload(self) -> None:
        """Change over to new settings, or say why not and keep the old ones running."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            settings = self._load()
            in_child(lambda: self._check(settings))
            sockets = open_sockets(addresses_of(settings), self._sockets)
        except (BadSettings, CannotServe) as error:
            log.error("reload_refused", reason=str(error))
        else:
            if self._board.has_room_for(settings.listen.workers):
                self._change_over(settings, sockets)
            else:
                close_all(sockets, but=self._sockets)
                log.error("reload_refused", reason="too many workers are still draining; try again in a while")
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
            self._wait_until_left(old)
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

    def _wait_until_left(self, old: list[int]) -> None:
        """Wait until those of before take no connection any more: then nobody comes to the former settings."""
        until = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < until:
            regions = [self._workers[pid].region for pid in old if pid in self._workers]
            if all(self._board.is_leaving(region) for region in regions):
                return
            signal.sigtimedwait((signal.SIGCHLD,), 0.01)
            self._reap()

    def _forget_failed(self, old: list[int]) -> None:
        for pid in [pid for pid in self._workers if pid not in old]:
            os.waitpid(pid, 0)
            self._board.release(self._workers.pop(pid).region)

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
            notify("WATCHDOG=1")
        self._signal(list(self._workers), signal.SIGKILL)

    def _signal(self, pids: Sequence[int], signum: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)


def addresses_of(settings: Settings) -> list[str]:
    admin = settings.admin.listen
    return [*settings.listen.addresses, *([admin] if admin else [])]
