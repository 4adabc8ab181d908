"""/ops: the dashboard, and the owner's responses to attacks: unlock, block, end sessions."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from gateway.devices.service import DeviceService
from gateway.languages.reader import current_reader
from gateway.model.account import Unacceptable, normalise_identifier
from gateway.ops.activity import Span
from gateway.ops.blocks import Block
from gateway.ops.dashboard import Dashboard
from gateway.ops.service import AttackService, Unblockable
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.visit import read_form, signed_in_of, visit_of

HOURS = (1, 24, 168)
SHOWN_ATTACKS = 3  # of each kind; the others are folded
SHOWN_RATES = 10
REFRESH_SECONDS = 30
UNATTENDED_SECONDS = 600  # without a key or a pointer: a page that refreshes itself must not keep a session alive


class Needs(Platform, Protocol):
    @property
    def attacks(self) -> AttackService: ...
    @property
    def devices(self) -> DeviceService: ...
    @property
    def reaches(self) -> Reaches: ...
    @property
    def dashboard(self) -> Dashboard: ...


class OpsPages:
    def __init__(self, needs: Needs) -> None:
        self._attacks = needs.attacks
        self._devices = needs.devices
        self._reaches = needs.reaches
        self._dashboard = needs.dashboard
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /ops: `span`, day or week. Its script asks for the same page every REFRESH_SECONDS."""
        return await self._page(request, done=request.query.get("done", ""))

    async def end_sessions(self, request: web.Request) -> web.StreamResponse:
        """POST /ops: `email` or `tenant`. After confirmation, end all their sessions except this one."""
        form = await read_form(request)
        owner, inbound, now = signed_in_of(request), visit_of(request).inbound, visit_of(request).now
        email, tenant = form.text("email").strip(), form.text("tenant").strip()
        try:
            if not form.is_confirmed:
                return await self._ask_about_sessions(request, email, tenant, now)
            if email and not tenant:
                ended = await self._devices.end_account(owner, normalise_identifier(email), inbound, now)
            else:
                ended = await self._devices.end_tenant(owner, tenant, inbound, now) if tenant and not email else None
        except Unacceptable:
            ended = None
        if ended is None:
            return await self._page(request, status=422, problem="tenant" if tenant else "email")
        return await self._page(request, ended=ended)

    async def _ask_about_sessions(self, request: web.Request, email: str, tenant: str, now: int) -> web.Response:
        """Ask for confirmation, with the number of sessions. Raises Unacceptable for an invalid email."""
        this = signed_in_of(request).id
        account = await self._devices.find_account(normalise_identifier(email)) if email and not tenant else None
        if account is not None:
            kind, subject, fields = "signed-out", account.identifier, {"email": account.identifier}
            reach = await self._reaches.of_account(account.id, now, but=this)
        elif tenant and not email and await self._devices.has_tenant(tenant):
            kind, subject, fields = "tenant-out", tenant, {"tenant": tenant}
            reach = await self._reaches.of_tenant(tenant, now, but=this)
        else:
            return await self._page(request, status=422, problem="tenant" if tenant else "email")
        return self._renderer.page(
            "web/confirm.html",
            visit_of(request),
            kind=kind,
            subject=subject,
            fields=fields,
            reach=reach,
            action=self._url("ops"),
            back=self._url("ops"),
        )

    async def unlock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unlock: `key` of a lock."""
        key = (await read_form(request)).text("key")
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        is_done = await self._attacks.unlock(owner, key, inbound, visit_of(request).now)
        return see_other(f"{self._url('ops')}?done=unlocked" if is_done else self._url("ops"))

    async def block(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/block: `network` (or an address) and `hours`. Asks for confirmation."""
        form = await read_form(request)
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        hours = int(form.text("hours")) if form.text("hours") in map(str, HOURS) else HOURS[0]
        if not form.is_confirmed:
            return await self._ask_about_block(request, form.text("network"), hours)
        done = await self._attacks.block(owner, form.text("network"), hours * 3_600, inbound, visit_of(request).now)
        if isinstance(done, Block):
            return see_other(f"{self._url('ops')}?done=blocked")
        return see_other(f"{self._url('ops')}?done={done.value}")

    async def _ask_about_block(self, request: web.Request, text: str, hours: int) -> web.StreamResponse:
        """Ask for confirmation, with the number of people signed in from the network."""
        network = self._attacks.check_network(text, visit_of(request).inbound)
        if isinstance(network, Unblockable):
            return see_other(f"{self._url('ops')}?done={network.value}")
        return self._renderer.page(
            "web/confirm.html",
            visit_of(request),
            kind="blocked",
            subject=str(network),
            hours=hours,
            reach=await self._reaches.of_network(network, visit_of(request).now),
            action=self._url("ops_block"),
            fields={"network": str(network), "hours": str(hours)},
            back=self._url("ops"),
        )

    async def unblock(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/unblock: `network`."""
        network = (await read_form(request)).text("network")
        owner, inbound = signed_in_of(request), visit_of(request).inbound
        is_done = await self._attacks.unblock(owner, network, inbound, visit_of(request).now)
        return see_other(f"{self._url('ops')}?done=unblocked" if is_done else self._url("ops"))

    async def _page(
        self,
        request: web.Request,
        *,
        status: int = 200,
        ended: int | None = None,
        problem: str = "",
        done: str = "",
    ) -> web.Response:
        span = next((span for span in Span if span == request.query.get("span")), Span.DAY)
        view = await self._dashboard.look(span, visit_of(request).now, current_reader().zone)
        return await self._renderer.long_page(
            "ops/ops.html",
            visit_of(request),
            status=status,
            ended=ended,
            problem=problem,
            done=done,
            view=view,
            spans=list(Span),
            shown_attacks=SHOWN_ATTACKS,
            shown_rates=SHOWN_RATES,
            refresh_seconds=REFRESH_SECONDS,
            unattended_seconds=UNATTENDED_SECONDS,
        )
