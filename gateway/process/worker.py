"""Entry points of the processes: load and check the settings, prepare the store, serve.

`serve` runs the last two in child processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import uvloop

from gateway.app.factors import FACTORS
from gateway.app.gateway import Gateway
from gateway.app.nouns import ROUTES
from gateway.app.parts import Parts
from gateway.model.clock import utc
from gateway.observe import logs
from gateway.observe.board import Board
from gateway.observe.logs import get_logger
from gateway.process.blame import blaming
from gateway.process.fleet import Post, Work
from gateway.process.preflight import advice_on, check_newest, problems_of
from gateway.process.secrets import SecretMissing, check_secrets
from gateway.sessions import rows as session_rows
from gateway.settings import BadSettings, Problem, Settings, load
from gateway.settings.load import SECRET_VARIABLE
from gateway.settings.mistakes import Said
from gateway.store.location import PostgreSQL, locate
from gateway.store.readiness import NotReady, naming, open_ready
from gateway.throttle.side_work import TURN_SECONDS

log = get_logger("worker")


def load_checked(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Return settings that this machine can serve with. Raises BadSettings with every problem found."""
    return load(folder, environ, lambda settings: problems_of(settings, ROUTES, utc()))


def prepare(settings: Settings) -> None:
    """Create the store or migrate its schema, and check it. Raises BadSettings."""
    from gateway.store.migrate import migrate  # Alembic is needed here only, and large

    with blaming(settings):
        migrate(settings.store.url)
    check(settings)


def check(settings: Settings) -> None:
    """Log warnings. Raises BadSettings.

    A reload only checks and does not migrate: the schema must not change under running workers, and a new store would
    have no accounts.
    """
    for key, reason in (*advice_on(settings, os.environ), *inspect_store(settings)):
        log.warning("advice", key=key, reason=reason)


def inspect_store(settings: Settings) -> list[Said]:
    """Return warnings about the store. Raises BadSettings if it can't be used, or no account could sign in."""
    try:
        with blaming(settings):
            return asyncio.run(inspect(settings))
    except SecretMissing as error:
        raise BadSettings([Problem(SECRET_VARIABLE, "", str(error))]) from error


async def inspect(settings: Settings) -> list[Said]:
    async with open_ready(settings.store.url) as store, store.reading() as tx:
        advice = [(SECRET_VARIABLE, reason) for reason in await check_secrets(tx, settings.secrets)]
        if tx.is_pooled():
            advice += await check_direct(settings.store.direct_url)
        if await tx.is_read_only():
            advice.append(("store.url", "it accepts no writes now, so nobody can sign in; give the primary's address"))
        for folder in FACTORS:
            advice += await folder.inspect(tx, settings) if folder.inspect else ()
        return [*advice, *check_newest(await session_rows.newest(tx), utc())]


async def check_direct(url: str) -> list[Said]:
    """Return a warning unless PostgreSQL itself answers at `url`. It can be served without that."""
    key, location = "store.direct_url", locate(url) if url else None
    if not isinstance(location, PostgreSQL):
        return [(key, "store.url is a pooler's; without this there are no backups, and ending a session takes longer")]
    from gateway.store.postgresql import is_pooler

    try:
        with naming(location.place):
            is_another = await is_pooler(location)
    except NotReady as error:
        return [(key, str(error))]
    return [(key, "this is a pooler's as well; use the address of PostgreSQL itself")] if is_another else []


def make_work(settings: Settings, board: Board, *, reload: Callable[[], Settings]) -> Work:
    """Make what workers with these settings share, before they are forked. Returns what each does: serve until SIGTERM,
    or until the supervisor has exited.

    `reload` reads the current settings. Raises BadSettings if SQLite's file can't be made, and NoBreachList.

    At their first use libraries import, compile and remember much: the database's driver, OpenSSL's algorithms, regular
    expressions. What happened before the fork is in memory that all workers share.
    """
    with blaming(settings):
        parts = Parts(settings, board)
    for make in (lambda: parts.services.identities, parts.services.reader):
        make()
    return Work(partial(run_worker, parts, reload=reload), parts.close)


def run_worker(parts: Parts, post: Post, *, reload: Callable[[], Settings]) -> None:
    logs.configure(parts.settings.listen.log_format)
    sys.setswitchinterval(TURN_SECONDS)
    uvloop.run(work(parts, post, reload))


async def work(parts: Parts, post: Post, reload: Callable[[], Settings]) -> None:
    loop = asyncio.get_running_loop()
    stop_requested = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop_requested.set)
    loop.add_reader(post.lifeline, stop_requested.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
    gateway = Gateway(parts, post.region)
    await gateway.serve(post.sockets, post.admin)
    os.write(post.ready, b"1")
    os.close(post.ready)
    await stop_requested.wait()
    loop.remove_reader(post.lifeline)
    await gateway.stop_accepting()
    if gateway.edge.connections:
        # Other workers already use the new settings. Open connections here must not rely on the former owner list.
        with contextlib.suppress(BadSettings):
            gateway.adopt(reload())
    log.info("draining", connections=len(gateway.edge.connections))
    await gateway.drain()
