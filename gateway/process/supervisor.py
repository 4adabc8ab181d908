"""Processes: a supervisor that holds the sockets, and workers that serve on them.

The supervisor never serves and never connects to the database; it binds, makes what workers share (app.parts), forks
and handles signals. Settings change only with a new set of workers: on SIGHUP it reads the files again and starts
workers with the new settings. Once all of them are ready, the old ones drain. A bad file, or a worker that can't start,
changes nothing. No connection is refused, since the sockets belong to the supervisor.

Each worker writes a heartbeat twice a second to a shared board (observe.board). A worker whose heartbeat stops is
killed and replaced. systemd's watchdog is fed while at least one worker has a heartbeat.

The states of workers and of a reload are in process/fleet.py.

Sockets passed by systemd (sd_listen_fds(3)) are served in addition to those of the settings, and systemd is notified of
readiness, reloads and stopping (sd_notify(3)).
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from gateway.observe.board import Board, Ended
from gateway.observe.logs import get_logger
from gateway.process.children import notify, run_in_child, wait_until_readable
from gateway.process.compiled import current
from gateway.process.fleet import Fleet, Post, Slot, Work, Worker, fleet_of, next_pause
from gateway.process.sockets import CannotServe, close_all, inherited_sockets, open_sockets
from gateway.settings import BadSettings, Settings

log = get_logger("serve")

READY_SECONDS = 30.0
CHECK_SECONDS = 1.0
LEAVE_SECONDS = 2.0
GC_THRESHOLD = 20_000  # before a garbage collection; requests create no reference cycles
WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


Check = Callable[[Settings], None]
Make = Callable[[Settings, Board], Work]


def run(load: Callable[[], Settings], prepare: Check, check: Check, make: Make) -> int:
    """Serve until a signal stops it. Returns the exit code.

    `load` reads the settings, at the start and on SIGHUP. Then `prepare` (at the start) or `check` (on SIGHUP) runs
    with them in a child process. `make` makes what workers with these settings share, and returns the body of each
    (worker.make_work).
    """
    settings = load()
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        run_in_child(lambda: prepare(settings))
        supervisor = Supervisor(settings, load, check, make)
    except CannotServe as error:
        sys.stderr.write(f"otium-gateway: {error}\n")
        return 1
    return supervisor.run()


class Supervisor:
    """Keeps the configured number of workers running, all with one generation of settings."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], check: Check, make: Make) -> None:
        self._load = load
        self._check = check
        self._make = make
        self._inherited = inherited_sockets()
        self._board = Board()
        work = self._make_work(settings)
        self._fleet = fleet_of(settings, work, open_sockets(addresses_of(settings), {}))
        self._former: Fleet | None = None  # set during a reload
        self._lifeline = os.pipe()
        self._workers: dict[int, Worker] = {}
        self._checked_at = time.monotonic()

    def run(self) -> int:
        gc.set_threshold(GC_THRESHOLD)
        self._start_fleet()
        if not self._wait_until_ready():
            self._stop(signal.SIGKILL)
            sys.stderr.write("otium-gateway: no worker could start; the log above says why\n")
            return 1
        notify("READY=1")
        addresses, workers = list(self._fleet.settings.listen.addresses), len(self._fleet.slots)
        log.info("serving", addresses=addresses, workers=workers, data_path=str(current()))
        while True:
            match self._next_signal():
                case signal.SIGTERM | signal.SIGINT:
                    return self._finish()
                case signal.SIGHUP:
                    self._reload()
            self._reap()
            self._kill_hung()
            self._revive()
            self._feed_watchdog()

    def _next_signal(self) -> int | None:
        pauses = [slot.due - time.monotonic() for slot in self._fleet.slots if slot.due is not None]
        received = signal.sigtimedwait(WATCHED, max(0.0, min([CHECK_SECONDS, *pauses])))
        return received.si_signo if received else None

    # Workers.

    def _make_work(self, settings: Settings) -> Work:
        """Make what the workers of a fleet share. Raises BadSettings and CannotServe, whatever is wrong: the supervisor
        lives on.
        """
        try:
            work = self._make(settings, self._board)
        except BadSettings:
            raise
        except Exception as error:
            log.exception("worker_failed")
            raise CannotServe("no worker could be made; the log above says why") from error
        gc.freeze()  # keeps the pages of objects made so far shared between workers
        return work

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
                if self._former is not None:  # otherwise the address would stay bound, without anyone accepting
                    close_all(self._former.sockets, but=listening)
                for signum in (signal.SIGINT, signal.SIGHUP):
                    signal.signal(signum, signal.SIG_IGN)  # a terminal sends these to the whole process group
                sockets = [*public, *self._inherited]
                self._fleet.work.run(Post(sockets, admin, region, ready_write, self._lifeline[0]))
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
        """Wait until every worker of this fleet serves. Returns False if one exits or takes too long."""
        until = time.monotonic() + READY_SECONDS
        for worker in self._workers.values():
            if worker.ready is None or worker.slot not in self._fleet.slots:
                continue
            is_ready = wait_until_readable(worker.ready, until) and os.read(worker.ready, 1) == b"1"
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

    def _kill_hung(self) -> None:
        """Kill workers without a recent heartbeat; they are replaced like any that exits.

        The check is skipped if the supervisor itself was late: the machine was then suspended or overloaded.
        """
        now, checked_at = time.monotonic(), self._checked_at
        self._checked_at = now
        if now - checked_at > CHECK_SECONDS + 1:
            return
        for worker in self._workers.values():
            silent = now - (self._board.beat_of(worker.region) or worker.began)
            if silent > self._allowed_silence(worker) and not worker.is_hung:
                worker.is_hung = True
                log.error("worker_hung", pid=worker.pid, silent_seconds=round(silent, 1))
                self._signal([worker], signal.SIGKILL)

    def _allowed_silence(self, worker: Worker) -> float:
        """Return the allowed silence in seconds. A worker has no heartbeat before it serves."""
        has_served = self._board.beat_of(worker.region) > 0
        return self._fleet.settings.listen.hung_seconds if has_served else READY_SECONDS

    def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog, unless no worker has a heartbeat. systemd then restarts the gateway."""
        now, hung_seconds = time.monotonic(), self._fleet.settings.listen.hung_seconds
        if any(now - self._board.beat_of(worker.region) < hung_seconds for worker in self._workers.values()):
            notify("WATCHDOG=1")

    # Reload and stop.

    def _reload(self) -> None:
        """Switch to new settings, or log why not and keep the old ones."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            fleet = self._make_fleet(self._load())
        except (BadSettings, CannotServe) as error:
            log.error("reload_refused", reason=str(error))
        else:
            self._change_over(fleet)
        notify("READY=1")

    def _make_fleet(self, settings: Settings) -> Fleet:
        """Return a fleet without workers. Raises BadSettings and CannotServe, and then nothing has changed."""
        run_in_child(lambda: self._check(settings))
        if not self._board.has_room_for(settings.listen.workers):
            raise CannotServe("too many workers are still draining; try again in a while")
        gc.unfreeze()
        gc.collect()  # what an earlier reload has let go
        work = self._make_work(settings)
        try:
            sockets = open_sockets(addresses_of(settings), self._fleet.sockets)
        except CannotServe:
            work.close()
            raise
        return fleet_of(settings, work, sockets)

    def _change_over(self, fleet: Fleet) -> None:
        former, old = self._fleet, list(self._workers.values())
        self._fleet, self._former = fleet, former
        self._start_fleet()
        if self._wait_until_ready():
            self._leave(old)
            close_all(former.sockets, but=fleet.sockets)
            self._wait_until_leaving(old)
            former.work.close()
            log.info("reloaded", workers=len(fleet.slots))
        else:
            self._fleet = former
            self._kill([worker for worker in self._workers.values() if worker.slot in fleet.slots])
            close_all(fleet.sockets, but=former.sockets)
            fleet.work.close()
            log.error("reload_refused", reason="the new workers could not start; the log above says why")
        self._former = None

    def _wait_until_leaving(self, old: Sequence[Worker]) -> None:
        """Wait until the old workers have stopped accepting, so that no new connection gets the former settings."""
        until = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < until:
            regions = [worker.region for worker in old if worker.pid in self._workers]
            if all(self._board.is_leaving(region) for region in regions):
                return
            signal.sigtimedwait((signal.SIGCHLD,), 0.01)
            self._reap()

    def _kill(self, workers: Sequence[Worker]) -> None:
        """Kill workers, and wait until they have released what they hold, such as locks on the database."""
        self._signal(workers, signal.SIGKILL)
        for worker in workers:
            os.waitpid(worker.pid, 0)
            if worker.ready is not None:
                os.close(worker.ready)
            self._board.release(worker.region)
            del self._workers[worker.pid]

    def _finish(self) -> int:
        notify("STOPPING=1")
        close_all(self._fleet.sockets, but={})  # otherwise the kernel would accept connections that no worker serves
        self._stop(signal.SIGTERM)
        for name in self._fleet.sockets:
            if name.startswith("unix:"):
                with contextlib.suppress(OSError):
                    os.unlink(name.removeprefix("unix:"))
        return 0

    def _stop(self, signum: int) -> None:
        """Stop all workers, and kill those that are still running after the time to drain."""
        self._leave(list(self._workers.values()), signum)
        until = time.monotonic() + self._fleet.settings.listen.drain_seconds + 5
        while self._workers and time.monotonic() < until:
            signal.sigtimedwait(WATCHED, 0.2)
            self._reap()
            notify("WATCHDOG=1")
        self._kill(list(self._workers.values()))

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
