"""The life of a worker: start, background jobs, drain. Its objects are made in app/services.py."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web

from gateway.app.chores import Chores
from gateway.app.failure_answers import FailureAnswers
from gateway.app.parts import Parts
from gateway.browsers.learning import CookieLearner
from gateway.dispatch.challenges import Challenges
from gateway.dispatch.contracts import Notes
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.forms.late import LateForms
from gateway.dispatch.reauthorisation import Reauthorisation
from gateway.edge.connection import ClientConnection, Edge
from gateway.edge.origin import TrustedProxies
from gateway.edge.request import Reader
from gateway.edge.shared import Patience as ClientPatience
from gateway.edge.shared import Shared
from gateway.model.inbound import Inbound
from gateway.model.session import Session
from gateway.observe.access_log import AccessLog
from gateway.observe.board import Board
from gateway.observe.families import NANO
from gateway.observe.listener import AdminListener
from gateway.observe.logs import get_logger
from gateway.observe.pulse import Pulse
from gateway.observe.refusals import Scarce
from gateway.observe.served import Served, Unread
from gateway.observe.tally import Tally
from gateway.observe.traffic import Traffic, UnreadableHops
from gateway.page_views.collector import PageViews
from gateway.policy.decision import Page
from gateway.proxy.connection import Learn, Patience
from gateway.proxy.dial import Dial, dial_inside, dial_tcp, dial_unix
from gateway.proxy.request import RequestWriter
from gateway.proxy.response import AnswerReader
from gateway.proxy.upstream import Upstream
from gateway.sessions import attempt
from gateway.sessions.live import open_lookup
from gateway.settings.record import Settings
from gateway.store.confirm import Confirmed
from gateway.web.routes import secret_parents
from gateway.web.visit import Visit
from gateway.wire.cookies import FIXED_COOKIES
from gateway.wire.deadlines import Deadlines

log = get_logger("app")

STANDARD_OUTPUT = 1


class Gateway:
    """The objects of one worker, which counts in `region` of the board.

    `serve` starts them on listening sockets, `drain` stops them in order.
    """

    def __init__(self, parts: Parts, region: int) -> None:
        self._settings = settings = parts.settings
        self._clock = Deadlines(asyncio.get_running_loop(), parts.clock)
        self._tally = parts.tally.resume(region)
        self._refusals = parts.refusals
        self._services = services = parts.services
        self._store = services.store
        self._store.tell_confirmed = self._note_confirmed
        self._lookup = open_lookup(
            settings.store.url,
            settings.factor_policy,
            services.lifetimes,
            services.steps.__contains__,
            cached_sessions=settings.sessions.cached,
            is_strict=settings.store.sessions == "strict",
            direct_url=settings.store.direct_url,
        )
        self._access_log = None
        if settings.listen.access_log:
            self._access_log = AccessLog(STANDARD_OUTPUT, self._clock, secret_parents(services.routes.values()))
        self._desk = parts.desk
        self._desk.judge = self._reauthorise_page
        self._cookie_learner = CookieLearner(self._store, settings.sessions.cached)
        self._page_views = self._make_page_views()
        self._pages = parts.pages
        reader = services.reader(UnreadableHops(self._tally, lambda: self._clock.utc).note, self._lookup.has_in_memory)
        own_cookies = frozenset((settings.sessions.cookie.encode(), attempt.COOKIE.encode(), *FIXED_COOKIES))
        self._application = self._connect(
            settings.upstream.address,
            dial_to(settings.upstream.address),
            AnswerReader(own_cookies),
            settings.upstream.max_connections,
            Scarce.APPLICATION,
            self._cookie_learner.note,
        )
        self._page_upstream = self._connect(
            "pages", dial_inside(self._serve_page), AnswerReader(frozenset()), settings.listen.max_pages, Scarce.PAGES
        )
        self._dispatcher = self._make_dispatcher(reader)
        self._traffic = Traffic(self._tally, self._application)
        self._pulse = Pulse(self._tally, self._measure)
        self._admin = self._make_admin(parts.board)
        self._reauthorisation = Reauthorisation(self._lookup, services.rules, self._clock)
        self.edge = Edge(self._make_shared(reader), self._dispatcher.handle)
        self._chores = Chores(
            services,
            settings,
            self._lookup,
            self._cookie_learner,
            self._page_views,
            lambda: self._reauthorisation.end_stale(self.edge.connections),
        )
        self._page_server: web.Server | None = None
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []

    async def serve(self, sockets: Sequence[socket.socket], admin: socket.socket | None) -> None:
        """Start everything. Requests are answered once this returns."""
        await self._lookup.start()
        # Bodies are not decompressed, so that a small one can't expand to gigabytes.
        self._runner = web.AppRunner(
            self._pages,
            access_log=None,
            keepalive_timeout=75,
            auto_decompress=False,
            max_line_size=self._settings.listen.max_head_bytes,  # the edge has already limited line lengths
            max_field_size=self._settings.listen.max_head_bytes,
        )
        await self._runner.setup()
        self._page_server = self._runner.server
        loop = asyncio.get_running_loop()
        for sock in sockets:
            make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await make(lambda: ClientConnection(self.edge), sock=sock))
        self._chores.start()
        if admin is not None:
            await self._admin.start(admin)
        self._pulse.start()

    def adopt(self, settings: Settings) -> None:
        """Apply a new access file and new demands on factors, also to open connections."""
        access, own = settings.access, self._services.rules
        rules = replace(access.rules, pages=own.pages, page_parents=own.page_parents)
        self._lookup.adopt(settings.factor_policy)
        self._dispatcher.adopt(rules)
        self._reauthorisation.adopt(rules)
        self._chores.adopt(access)

    async def stop_accepting(self) -> None:
        """Close the sockets. The connections that were accepted are in `edge.connections` when this returns."""
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # within a turn, uvloop sets them up

    async def drain(self) -> None:
        """Wait until open connections end or the drain time is over, then close everything."""
        await asyncio.sleep(0)  # the event loop's clock catches up: idle connections are kept open so long from now
        self._tally.leave()
        self.edge.drain()
        await self._admin.stop()
        until = asyncio.get_running_loop().time() + self._settings.listen.drain_seconds
        while self.edge.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - polled once
            await asyncio.sleep(0.05)
        for connection in list(self.edge.connections):
            connection.abort()
        await self._chores.stop()
        for upstream in (self._application, self._page_upstream):
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

    def _make_dispatcher(self, reader: Reader) -> Dispatcher:
        services, origin = self._services, self._settings.public_url.rstrip("/")
        identities = services.identities
        return Dispatcher(
            lookup=self._lookup,
            rules=services.rules,
            clock=self._clock,
            reader=reader,
            upstream=self._application,
            pages=self._page_upstream,
            writer=RequestWriter(urlsplit(origin).scheme, identities.fixed_lines),
            identities=identities,
            admit_page=self._admit_page,
            public_origin=origin,
            origins=services.origins,
            steps=services.steps,
            is_hashing_full=services.hasher.is_full_for,
            notes=Notes(services.token_uses.note, services.network_refusals.note),
            challenges=Challenges(takes_tokens=self._settings.tokens.on),
            dead_ends=services.dead_ends,
            forward_auth_path=services.url("auth") if services.url.serves("auth") else "",
            framed_page=services.renderer.framed_page,
            late=LateForms(services.kept_forms, reader, services.url("form", token=""), services.origins),
        )

    def _make_page_views(self) -> PageViews:
        secret = secret_parents(self._services.routes.values())
        return PageViews(self._store, self._clock, self._settings.page_views, secret, self._tally.count_lost_views)

    def _make_shared(self, reader: Reader) -> Shared:
        listen = self._settings.listen
        return Shared(
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
            tell=FailureAnswers(self._services.renderer).tell,
            record=self._record if self._access_log else self._traffic.record,
            note_view=self._page_views.note,
        )

    def _make_admin(self, board: Board) -> AdminListener:
        services = self._services
        return AdminListener(board=board, pulse=self._pulse, figures=services.store_figures, health=services.health)

    def _connect(
        self, name: str, dial: Dial, reader: AnswerReader, limit: int, scarce: Scarce, learn: Learn | None = None
    ) -> Upstream:
        upstream = self._settings.upstream
        patience = Patience(
            upstream.connect_seconds, upstream.head_seconds, upstream.idle_seconds, upstream.keepalive_seconds
        )
        return Upstream(name, dial, reader, patience, limit, self._clock, partial(self._refusals.note, scarce), learn)

    def _serve_page(self) -> asyncio.BaseProtocol:
        if self._page_server is None:
            raise RuntimeError("the pages are not being served yet")
        return self._page_server()

    def _admit_page(self, inbound: Inbound, session: Session | None) -> bytes:
        return b"Gateway-Ticket: %b\r\n" % self._desk.hand_over(Visit(inbound, session, self._services.clock()))

    async def _reauthorise_page(self, inbound: Inbound) -> Visit | None:
        decision = await self._dispatcher.reauthorise(inbound)
        return Visit(inbound, decision.session, self._services.clock()) if isinstance(decision, Page) else None

    def _record(self, request: Served | Unread, status: int, sent: int) -> None:
        self._traffic.record(request, status, sent)
        if self._access_log is not None:
            self._access_log.record(request, status, sent)

    def _note_confirmed(self, confirmed: Confirmed) -> None:
        self._tally.observe(confirmed.seconds, "confirmation_seconds")
        self._tally.add(len(confirmed.lapsed), "nodes_lapsed")
        if confirmed.lapsed or confirmed.reason:
            log.warning("lease_waited_out", nodes=confirmed.lapsed, reason=confirmed.reason)

    def _measure(self, tally: Tally) -> None:
        """Set the gauges of open connections, and of the lease."""
        tally.set(int(self._lookup.lease_age * NANO), "lease_age_seconds")
        is_open, idle, waiting = self._application.load
        tally.set(len(self.edge.connections), "connections")
        tally.set(is_open, "upstream_connections", "open")
        tally.set(idle, "upstream_connections", "idle")
        tally.set(waiting, "upstream_waiting")


def dial_to(address: str) -> Dial:
    """Return how to connect to `host:port`, `[v6]:port` or `unix:/path`."""
    if address.startswith("unix:"):
        return dial_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return dial_tcp(host.strip("[]"), int(port))
