"""/me/sessions, the link in a new-device mail, and where admins and the owner end other people's sessions."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from gateway.devices.revoke_link import RevokeLinks
from gateway.devices.service import DeviceService
from gateway.model.account import Unacceptable, normalise_identifier
from gateway.ops.service import AttackService
from gateway.sessions.reach import Reaches
from gateway.web.platform import Platform
from gateway.web.redirects import see_other
from gateway.web.user_agents import label
from gateway.web.visit import read_form, signed_in_of, visit_of

DONE = ("revoked", "others")


class Needs(Platform, Protocol):
    @property
    def attacks(self) -> AttackService: ...
    @property
    def devices(self) -> DeviceService: ...
    @property
    def reaches(self) -> Reaches: ...
    @property
    def revoke_links(self) -> RevokeLinks: ...


class DevicePages:
    def __init__(self, needs: Needs) -> None:
        self._service = needs.devices
        self._reaches = needs.reaches
        self._attacks = needs.attacks
        self._links = needs.revoke_links
        self._renderer = needs.renderer
        self._url = needs.url

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /me/sessions"""
        session = signed_in_of(request)
        devices = await self._service.list(session, visit_of(request).now)
        done = request.query.get("done", "")
        return await self._renderer.long_page(
            "devices/sessions.html",
            visit_of(request),
            devices=devices,
            done=done if done in DONE else "",
        )

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/revoke: `session`. It asks for nothing more: it only takes away."""
        wanted = (await read_form(request)).text("session")
        session = signed_in_of(request)
        is_ended = await self._service.end(session, wanted, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('sessions')}?done=revoked" if is_ended else self._url("sessions"))

    async def end_others(self, request: web.Request) -> web.StreamResponse:
        """POST /me/sessions/others"""
        await read_form(request)
        session = signed_in_of(request)
        await self._service.end_others(session, visit_of(request).inbound, visit_of(request).now)
        return see_other(f"{self._url('sessions')}?done=others")

    # The link in a mail: it needs no sign-in, and looking at it does nothing.

    async def show_link(self, request: web.Request) -> web.StreamResponse:
        """GET /devices/revoke/{token}"""
        session_id = self._links.read(request.match_info["token"])
        if session_id is None:
            return self._page("devices/revoke.html", request, status=410, state="bad", device=None)
        row, is_open = await self._service.look(session_id)
        if row is None or not is_open:
            return self._page("devices/revoke.html", request, state="ended", device=None)
        return self._page("devices/revoke.html", request, state="open", device=label(row.user_agent), row=row)

    async def use_link(self, request: web.Request) -> web.StreamResponse:
        """POST /devices/revoke/{token}: end exactly that session."""
        session_id = self._links.read(request.match_info["token"])
        if session_id is None:
            return self._page("devices/revoke.html", request, status=410, state="bad", device=None)
        is_ended = await self._service.end_by_link(session_id, visit_of(request).inbound, visit_of(request).now)
        return self._page("devices/revoke.html", request, state="done" if is_ended else "ended", device=None)

    # The owner's page.

    async def show_ops(self, request: web.Request) -> web.StreamResponse:
        """GET /ops"""
        return await self._ops(request, done=request.query.get("done", ""))

    async def end_from_ops(self, request: web.Request) -> web.StreamResponse:
        """POST /ops: `email`, or `tenant`: end all of their sessions, but for this one. It asks first."""
        form = await read_form(request)
        owner, inbound, now = signed_in_of(request), visit_of(request).inbound, visit_of(request).now
        email, tenant = form.text("email").strip(), form.text("tenant").strip()
        try:
            if not form.is_confirmed:
                return await self._ask(request, email, tenant, now)
            if email and not tenant:
                ended = await self._service.end_anyone(owner, normalise_identifier(email), inbound, now)
            else:
                ended = await self._service.end_tenant(owner, tenant, inbound, now) if tenant and not email else None
        except Unacceptable:
            ended = None
        if ended is None:
            return await self._ops(request, status=422, problem="unknown")
        return await self._ops(request, ended=ended)

    async def _ask(self, request: web.Request, email: str, tenant: str, now: int) -> web.Response:
        """Ask before sessions are ended, and say how many. Raises Unacceptable for what is no email."""
        this = signed_in_of(request).id
        account = await self._service.find_anyone(normalise_identifier(email)) if email and not tenant else None
        if account is not None:
            kind, subject, fields = "signed-out", account.identifier, {"email": account.identifier}
            reach = await self._reaches.of_account(account.id, now, but=this)
        elif tenant and not email and await self._service.has_tenant(tenant):
            kind, subject, fields = "tenant-out", tenant, {"tenant": tenant}
            reach = await self._reaches.of_tenant(tenant, now, but=this)
        else:
            return await self._ops(request, status=422, problem="unknown")
        return self._page(
            "web/confirm.html",
            request,
            kind=kind,
            subject=subject,
            fields=fields,
            reach=reach,
            action=self._url("ops"),
            back=self._url("ops"),
        )

    async def _ops(
        self,
        request: web.Request,
        *,
        status: int = 200,
        ended: int | None = None,
        problem: str = "",
        done: str = "",
    ) -> web.Response:
        now = visit_of(request).now
        attacks = await self._attacks.picture(now)
        context = {"ended": ended, "problem": problem, "done": done, "attacks": attacks}
        return await self._renderer.long_page("devices/ops.html", visit_of(request), status=status, **context)

    def _page(self, template: str, request: web.Request, *, status: int = 200, **context: Any) -> web.Response:
        return self._renderer.page(template, visit_of(request), status=status, **context)
