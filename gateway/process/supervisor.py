"""Processes: one supervisor that holds the sockets, and workers that serve on them.

The supervisor never serves and never opens the store; it binds, forks, waits for signals and forks again. What
changes a running gateway is always a new set of workers: on SIGHUP the files are read anew, workers with the new
settings are started beside the old ones, and only when all of them are ready do the old ones drain. A bad file
or a worker that can't start leaves everything as it was. No connection is refused meanwhile, since the sockets
are the supervisor's.

Each worker shows twice a second on a shared board that its event loop turns (observe.board). One that does not is ended
and replaced, and systemd's watchdog is fed only while at least one of them does.

What a reload and the end of a worker lead to is a table in process/fleet.py.

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
from dataclasses import dataclass

from gateway.observe.board import Board, Ended
from gateway.observe.logs import get_logger
from gateway.process.children import in_child, notify, wait_to_read
from gateway.process.fleet import Fleet, Slot, Worker, fleet_of, next_pause
from gateway.process.sockets import CannotServe, close_all, inherited_sockets, open_sockets
from gateway.settings import BadSettings, Settings

log = get_logger("serve")

READY_SECONDS = 30.0
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


class Supervisor:
    """Keeps as many workers running as the settings say, all of one generation of settings."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], check: Look, work: Work) -> None:
        self._load = load
        self._check = check
        self._work = work
        self._inherited = inherited_sockets()
        self._board = Board()
        self._fleet = fleet_of(settings, open_sockets(addresses_of(settings), {}))
        self._former: Fleet | None = None  # the one that a reload replaces, while it does
        self._lifeline = os.pipe()
        self._workers: dict[int, Worker] = {}
        self._looked_at = time.monotonic()

    def run(self) -> int:
        gc.freeze()  # what was loaded so far stays shared between the workers
        gc.set_threshold(YOUNG_OBJECTS)
        self._start_fleet()
        if not self._wait_until_ready():
            self._stop(signal.SIGKILL)
            sys.stderr.write("otium-gateway: no worker could start; the log above says why\n")
            return 1
        notify("READY=1")
        log.info("serving", addresses=list(self._fleet.settings.listen.addresses), workers=len(self._fleet.slots))
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
        pauses = [slot.due - time.monotonic() for slot in self._fleet.slots if slot.due is not None]
        received = signal.sigtimedwait(WATCHED, max(0.0, min([LOOK_SECONDS, *pauses])))
        return received.si_signo if received else None

    # Workers.

    def _start_fleet(self) -> None:
        for slot in self._fleet.slots:
            self._start(slot)

    def _start(self, slot: Slot) -> None:
        settings, listening = self._fleet.settings, self._fleet.sockets
        public = [listening[address] for address in settings.listen.addresses]
        admin = listening.get(settings.admin.listen)
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
                if self._former is not None:  # or an address would stay taken, and never be answered
                    close_all(self._former.sockets, but=listening)
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
        self._workers[pid] = Worker(pid, slot, region, time.monotonic(), ready_read)

    def _wait_until_ready(self) -> bool:
        """Wait until every worker of this fleet serves. A byte says it does; an end without one, that it died."""
        until = time.monotonic() + READY_SECONDS
        for worker in self._workers.values():
            if worker.ready is None or worker.slot not in self._fleet.slots:
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
        slot, now = worker.slot, time.monotonic()
        if slot is None:
            return
        self._board.count_end(Ended.HUNG if worker.is_hung else Ended.DIED)
        slot.pause = next_pause(slot.pause, now - worker.began)
        slot.due = now + slot.pause
        log.error("worker_died", pid=worker.pid, exit_status=code, again_in_seconds=round(slot.pause, 1))

    def _revive(self) -> None:
        for slot in self._fleet.slots:
            if slot.due is not None and slot.due <= time.monotonic():
                slot.due = None
                self._start(slot)

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
                self._signal([worker], signal.SIGKILL)

    def _patience_with(self, worker: Worker) -> float:
        """A worker that is starting shows no sign of life before it serves."""
        has_served = self._board.beat_of(worker.region) > 0
        return self._fleet.settings.listen.hung_seconds if has_served else READY_SECONDS

    def _feed_watchdog(self) -> None:
        """Tell systemd that all is well, unless no worker serves: then it starts everything anew."""
        now, hung_seconds = time.monotonic(), self._fleet.settings.listen.hung_seconds
        if any(now - self._board.beat_of(worker.region) < hung_seconds for worker in self._workers.values()):
            notify("WATCHDOG=1")

    # Reload and stop.

    def _reload(self) -> None:
        """Change over to new settings, or say why not and keep the old ones running."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            settings = self._load()
            in_child(lambda: self._check(settings))
            sockets = open_sockets(addresses_of(settings), self._fleet.sockets)
        except (BadSettings, CannotServe) as error:
            log.error("reload_refused", reason=str(error))
        else:
            if self._board.has_room_for(settings.listen.workers):
                self._change_over(fleet_of(settings, sockets))
            else:
                close_all(sockets, but=self._fleet.sockets)
                log.error("reload_refused", reason="too many workers are still draining; try again in a while")
        notify("READY=1")

    def _change_over(self, fleet: Fleet) -> None:
        former, old = self._fleet, list(self._workers.values())
        self._fleet, self._former = fleet, former
        self._start_fleet()
        if self._wait_until_ready():
            self._leave(old)
            close_all(former.sockets, but=fleet.sockets)
            self._wait_until_left(old)
            log.info("reloaded", workers=len(fleet.slots))
        else:
            self._fleet = former
            self._end_failed([worker for worker in self._workers.values() if worker.slot in fleet.slots])
            close_all(fleet.sockets, but=former.sockets)
            log.error("reload_refused", reason="the new workers could not start; the log above says why")
        self._former = None

    def _wait_until_left(self, old: Sequence[Worker]) -> None:
        """Wait until those of before take no connection any more: then nobody comes to the former settings."""
        until = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < until:
            regions = [worker.region for worker in old if worker.pid in self._workers]
            if all(self._board.is_leaving(region) for region in regions):
                return
            signal.sigtimedwait((signal.SIGCHLD,), 0.01)
            self._reap()

    def _end_failed(self, workers: Sequence[Worker]) -> None:
        self._signal(workers, signal.SIGKILL)
        for worker in workers:
            os.waitpid(worker.pid, 0)
            if worker.ready is not None:
                os.close(worker.ready)
            self._board.release(worker.region)
            del self._workers[worker.pid]

    def _finish(self) -> int:
        notify("STOPPING=1")
        close_all(self._fleet.sockets, but={})  # or the system would go on taking connections that nobody serves
        self._stop(signal.SIGTERM)
        for name in self._fleet.sockets:
            if name.startswith("unix:"):
                with contextlib.suppress(OSError):
                    os.unlink(name.removeprefix("unix:"))
        return 0

    def _stop(self, signum: int) -> None:
        """End all workers: those that don't end by themselves a little after their time to drain, by force."""
        self._leave(list(self._workers.values()), signum)
        until = time.monotonic() + self._fleet.settings.listen.drain_seconds + 5
        while self._workers and time.monotonic() < until:
            signal.sigtimedwait(WATCHED, 0.2)
            self._reap()
            notify("WATCHDOG=1")
        self._signal(list(self._workers.values()), signal.SIGKILL)

    def _leave(self, workers: Sequence[Worker], signum: int = signal.SIGTERM) -> None:
        for worker in workers:
            worker.slot = None
        self._signal(workers, signum)

    def _signal(self, workers: Sequence[Worker], signum: int) -> None:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signum)


def addresses_of(settings: Settings) -> list[str]:
    admin = settings.admin.listen
    return [*settings.listen.addresses, *([admin] if admin else [])]
