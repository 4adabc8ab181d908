"""A worker's life: what it serves, its chores, and how it ends. Its objects are made in app/services.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from gateway.accounts import rows as account_rows
from gateway.app.nouns import FACTOR_PAGES, PAGES
from gateway.app.retention import Purge
from gateway.app.services import Services
from gateway.browsers.learning import CookieLearner
from gateway.dispatch.dispatcher import Front
from gateway.dispatch.forms.late import LateForms
from gateway.dispatch.reauthorisation import Revocation
from gateway.edge.connection import ClientConnection, Edge
from gateway.edge.origin import TrustedProxies
from gateway.edge.shared import Patience as ClientPatience
from gateway.edge.shared import Shared
from gateway.model.clock import Clock, utc
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.observe.access_log import AccessLog
from gateway.observe.board import Board
from gateway.observe.listener import AdminListener
from gateway.observe.logs import get_logger
from gateway.observe.pulse import Pulse
from gateway.observe.refusals import Refusals, Scarce
from gateway.observe.served import Served, Unread
from gateway.observe.tally import Tally
from gateway.observe.traffic import Traffic, UnreadableHops
from gateway.ops.figures import StoreFigures
from gateway.ops.health import HealthCheck
from gateway.policy.decision import Page
from gateway.proxy.connection import Patience
from gateway.proxy.dial import Dial, dial_inside, dial_tcp, dial_unix
from gateway.proxy.request import RequestWriter
from gateway.proxy.response import AnswerReader
from gateway.proxy.upstream import Upstream
from gateway.sessions import attempt
from gateway.sessions.live import open_lookup
from gateway.settings.record import Access, Settings
from gateway.store import StoreUnavailable
from gateway.throttle.turns import Tell
from gateway.web.application import Desk, pages_application
from gateway.web.routes import Pages as NounPages
from gateway.web.routes import secret_parents
from gateway.web.visit import Visit
from gateway.wire.cookies import OTHER_COOKIES
from gateway.wire.deadlines import Deadlines
from gateway.wire.failures import Failure
from gateway.wire.http1 import ALLOW

log = get_logger("app")

FLUSH_SECONDS = 60
PURGE_SECONDS = 3_600
HASHES_SECONDS = 300.0
SWEEP_SECONDS = 1.0
MAIL_SECONDS = 2.0
IMPORT_SECONDS = 2.0
WATCH_SECONDS = 20.0
STANDARD_OUTPUT = 1


class Gateway:
    """One worker's objects, wired. `serve` starts them on listening sockets, `drain` ends them in order."""

    def __init__(self, settings: Settings, board: Board, region: int, clock: Clock = utc) -> None:
        loop = asyncio.get_running_loop()
        origin = settings.public_url.rstrip("/")
        self._settings = settings
        self._clock = Deadlines(loop, clock)
        self._tally = Tally(board, region)
        self._refusals = Refusals(self._tally.count_refusal)
        self._services = services = Services(
            settings, refused=self._refusals.note, count_sign_in=self._tally.count_sign_in, clock=clock
        )
        self._store = services.store
        self._lookup = open_lookup(
            settings.store.url, settings.access.owners, services.lifetimes, services.steps.__contains__
        )
        self._access_log = None
        if settings.listen.access_log:
            self._access_log = AccessLog(STANDARD_OUTPUT, self._clock, secret_parents(services.routes.values()))
        self._desk = Desk()
        self._renderer = services.renderer
        self._page_lines = [f"{name}: {value}".encode() for name, value in self._renderer.headers.items()]
        self._email_changes = services.email_changes
        self._cookie_learner = CookieLearner(self._store)
        self._pages = self._build_pages()
        reader = services.reader(UnreadableHops(self._tally, lambda: self._clock.utc).note)
        own_names = (settings.sessions.cookie.encode("ascii"), attempt.COOKIE.encode("ascii"))
        own_cookies = frozenset((*own_names, *OTHER_COOKIES))
        address = settings.upstream.address
        upstream = self._connect(
            settings,
            address,
            dial_to(address),
            AnswerReader(own_cookies),
            settings.upstream.max_connections,
            Scarce.APPLICATION,
        )
        pages = self._connect(
            settings,
            "pages",
            dial_inside(self._serve_page),
            AnswerReader(frozenset()),
            settings.listen.max_pages,
            Scarce.PAGES,
        )
        self._upstreams = (upstream, pages)
        identities = services.identities
        self._front = Front(
            lookup=self._lookup,
            rules=services.rules,
            clock=self._clock,
            reader=reader,
            upstream=upstream,
            pages=pages,
            writer=RequestWriter(urlsplit(origin).scheme, identities.fixed_lines),
            identities=identities,
            admit_page=self._admit_page,
            public_origin=origin,
            origins=services.origins,
            steps=services.steps,
            is_hashing_full=services.hasher.is_full_for,
            dead_ends=services.dead_ends,
            forward_auth_path=services.url("auth") if services.url.serves("auth") else "",
            learn_cookies=self._cookie_learner.note,
            framed_page=self._renderer.framed_page,
            late=LateForms(services.kept_forms, reader, services.url("form", token=""), services.origins),
        )
        self._traffic = Traffic(self._tally, upstream)
        pulse = Pulse(self._tally, self._measure)
        self._pulse = pulse
        self._admin = AdminListener(
            board=board,
            pulse=pulse,
            figures=StoreFigures(self._store, settings.access.owners, services.lifetimes, clock),
            health=HealthCheck(
                store=self._store,
                store_url=settings.store.url,
                upstream=address,
                mail_server=f"{settings.mail.host}:{settings.mail.port}" if settings.mail.is_on else "",
                outbox_seconds=settings.admin.ready_outbox_seconds,
                clock=clock,
            ),
        )
        self._purge = Purge(self._store, settings)
        self._revocation = Revocation(self._lookup, services.rules, self._clock)
        listen = settings.listen
        shared = Shared(
            reader=reader,
            deadlines=self._clock,
            patience=ClientPatience(
                listen.head_seconds, listen.body_seconds, listen.idle_seconds, listen.min_bytes_per_second
            ),
            max_head_bytes=listen.max_head_bytes,
            max_connections=listen.max_connections,
            max_bodies=listen.max_bodies,
            is_proxy=TrustedProxies(listen.trusted_proxies).trusts,
            refused=self._refusals.note,
            tell=self._tell,
            record=self._record if self._access_log else self._traffic.record,
        )
        self.edge = Edge(shared, self._front.handle)
        self._page_server: web.Server | None = None
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []
        self._chores: list[asyncio.Task[None]] = []

    async def serve(self, sockets: Sequence[socket.socket], admin: socket.socket | None) -> None:
        """Start everything; when this returns, requests are answered."""
        await self._lookup.start()
        # What a form's body says is read as it came: a small body that unpacks to gigabytes stays small.
        self._runner = web.AppRunner(
            self._pages,
            access_log=None,
            keepalive_timeout=75,
            auto_decompress=False,
            max_line_size=self._settings.listen.max_head_bytes,  # the edge has judged how long a line may be
            max_field_size=self._settings.listen.max_head_bytes,
        )
        await self._runner.setup()
        self._page_server = self._runner.server
        loop = asyncio.get_running_loop()
        for sock in sockets:
            make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await make(lambda: ClientConnection(self.edge), sock=sock))
        self._chores = [
            loop.create_task(self._every(SWEEP_SECONDS, lambda: self._revocation.end_stale(self.edge.connections))),
            loop.create_task(self._every(flush_seconds_of(self._settings), lambda: self._lookup.flush(self._store))),
            loop.create_task(self._every(FLUSH_SECONDS, self._cookie_learner.flush)),
            loop.create_task(
                self._every(IMPORT_SECONDS, lambda: self._services.importer.run_once(lambda: self._clock.utc))
            ),
            loop.create_task(self._every(WATCH_SECONDS, self._watch)),
            loop.create_task(self._every(WATCH_SECONDS, lambda: self._email_changes.run_due(self._clock.utc))),
            loop.create_task(self._every(PURGE_SECONDS, self._clean_up)),
            loop.create_task(self._every(HASHES_SECONDS, self._look_at_hashes, at_once=True)),
        ]
        if self._settings.mail.is_on:
            self._chores.append(loop.create_task(self._every(MAIL_SECONDS, self._send_mail)))
        if admin is not None:
            await self._admin.start(admin)
        self._pulse.start()
        self._chores += [
            loop.create_task(self._services.side.run(work))
            for work in (self._renderer.warm_up, self._services.composer.warm_up)
        ]

    def adopt(self, access: Access) -> None:
        """Decide by this from now on, also about what is open."""
        own = self._services.rules
        rules = replace(access.rules, pages=own.pages, page_parents=own.page_parents)
        self._lookup.adopt(access.owners)
        self._front.adopt(rules)
        self._revocation.adopt(rules)
        self._services.importer.adopt(access.owners)
        self._email_changes = replace(self._email_changes, owners=access.owners)

    async def drain(self) -> None:
        """Accept no more, let what is under way end within the time to drain, then close everything."""
        for server in self._servers:
            server.close()
        self._tally.leave()
        self.edge.drain()
        await self._admin.stop()
        until = asyncio.get_running_loop().time() + self._settings.listen.drain_seconds
        while self.edge.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - polled once
            await asyncio.sleep(0.05)
        for connection in list(self.edge.connections):
            connection.abort()
        for chore in self._chores:
            chore.cancel()
        with contextlib.suppress(StoreUnavailable):
            await self._lookup.flush(self._store)
            await self._services.keeper.settle(self._clock.utc, at_once=True)
            await self._cookie_learner.flush()
        for upstream in self._upstreams:
            upstream.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._services.hasher.close()
        self._services.checker.close()
        self._services.side.close()
        await self._lookup.close()
        await self._store.close()
        if self._access_log is not None:
            self._access_log.flush()
        self._pulse.show()
        self._pulse.stop()
        self._clock.stop()

    # Parts.

    def _build_pages(self) -> web.Application:
        """Make the pages' application: every page of every noun, behind what its route declares."""
        services = self._services
        nouns: tuple[NounPages[Services, Any], ...] = (*PAGES, *FACTOR_PAGES)
        foreign = {handed.path for pages in nouns for handed in pages.handed_over if handed.takes_foreign}
        application = pages_application(self._renderer, self._desk, services.origins, self._judge_page, foreign)
        for pages in nouns:
            for method, path, handler in pages.bind(services, services.routes, services.guards.guard):
                application.router.add_route(method, path, handler)
        return application

    def _tell_refused(self, scarce: Scarce) -> Tell:
        return partial(self._refusals.note, scarce)

    def _connect(
        self, settings: Settings, name: str, dial: Dial, reader: AnswerReader, limit: int, scarce: Scarce
    ) -> Upstream:
        upstream = settings.upstream
        patience = Patience(
            upstream.connect_seconds, upstream.head_seconds, upstream.idle_seconds, upstream.keepalive_seconds
        )
        return Upstream(name, dial, reader, patience, limit, self._clock, self._tell_refused(scarce))

    def _serve_page(self) -> asyncio.BaseProtocol:
        if self._page_server is None:
            raise RuntimeError("the pages are not being served yet")
        return self._page_server()

    def _admit_page(self, inbound: Inbound, session: Session | None) -> bytes:
        return b"Gateway-Ticket: %b\r\n" % self._desk.hand_over(Visit(inbound, session, self._services.clock()))

    async def _judge_page(self, inbound: Inbound) -> Visit | None:
        decision = await self._front.judge_again(inbound)
        return Visit(inbound, decision.session, self._services.clock()) if isinstance(decision, Page) else None

    def _tell(
        self, failure: Failure, inbound: Inbound | None, request_id: str, session: Session | None
    ) -> tuple[list[bytes], bytes]:
        """Say what went wrong: a page to people, JSON to programs."""
        is_unserved = failure is Failure.METHOD_NOT_ALLOWED  # CONNECT, TRACE, or unknown: nothing that a person sends
        lines = [ALLOW, *self._page_lines] if is_unserved else [*self._page_lines]
        if inbound.wants_html if inbound else not is_unserved:
            page = self._renderer.failure_page(failure, request_id, session)
            return [b"Content-Type: text/html; charset=utf-8", *lines], page
        told = failure.value
        answer = {"error": told.code, "message": told.sentence, "request_id": request_id}
        return [b"Content-Type: application/json", *lines], json.dumps(answer).encode()

    def _record(self, request: Served | Unread, status: int, sent: int) -> None:
        self._traffic.record(request, status, sent)
        if self._access_log is not None:
            self._access_log.record(request, status, sent)

    def _measure(self, tally: Tally) -> None:
        """Note what is open."""
        is_open, idle, waiting = self._upstreams[0].load
        tally.set(len(self.edge.connections), "connections")
        tally.set(is_open, "upstream_connections", "open")
        tally.set(idle, "upstream_connections", "idle")
        tally.set(waiting, "upstream_waiting")

    async def _work_on_imports(self) -> None:
        await self._services.importer.run_once(lambda: self._clock.utc)

    async def _send_mail(self) -> None:
        await self._services.sender.run_once(self._clock.utc)

    async def _watch(self) -> None:
        """Write down what was counted, tell owners of attacks, sign checkpoints."""
        await self._services.keeper.settle(self._clock.utc)
        await self._services.attacks.watch(self._clock.utc)
        try:
            await self._services.keeper.checkpoint(self._clock.utc)
        except OSError as error:
            log.error("checkpoint_not_in_its_file", reason=error.strerror)

    async def _clean_up(self) -> None:
        """Forget what counts no more, and the part of the audit log that is older than it is kept."""
        await self._purge.run(self._clock.utc)
        await self._services.keeper.trim(self._clock.utc)

    async def _look_at_hashes(self) -> None:
        """Have every comparison of a password cost what the dearest stored hash costs."""
        async with self._store.reading() as tx:
            methods = await account_rows.list_hash_methods(tx)
        await self._services.hasher.expect(methods)

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[object]], *, at_once: bool = False) -> None:
        """Do a chore for ever; what goes wrong once may go right the next time."""
        while True:
            await asyncio.sleep(0 if at_once else seconds)
            at_once = False
            try:
                await chore()
            except StoreUnavailable as error:
                log.warning("store_unavailable", reason=str(error))
            except Exception:
                log.exception("chore_failed")


def flush_seconds_of(settings: Settings) -> float:
    """Return how often the use of sessions is told to the other workers: well within the shortest idle limit."""
    shortest = min(settings.sessions.members.idle_seconds, settings.sessions.owners.idle_seconds)
    return min(FLUSH_SECONDS, max(1.0, shortest / 4))


def dial_to(address: str) -> Dial:
    """Return how to connect to `host:port`, `[v6]:port` or `unix:/path`."""
    if address.startswith("unix:"):
        return dial_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return dial_tcp(host.strip("[]"), int(port))
