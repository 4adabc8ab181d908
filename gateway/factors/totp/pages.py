"""Pages of TOTP: ask for a code, enrol during sign-in, and enrol or turn off under /me/security."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from aiohttp import web

from gateway.factors.contract import News, Wrong
from gateway.factors.totp.codes import provisioning_uri, write_key
from gateway.factors.totp.factor import TOTPFactor
from gateway.factors.totp.qr import draw
from gateway.factors.totp.rows import find_enrolment
from gateway.login import code_page
from gateway.login.code_page import CodePage, Problem, judge, name_of
from gateway.login.evidence import Evidence
from gateway.login.new_codes import show_codes
from gateway.login.security import Changed, SecurityService
from gateway.model.event import Event
from gateway.model.factor import Factor
from gateway.model.secret import Secret
from gateway.store import Store
from gateway.throttle.side_work import SideWork
from gateway.web.redirects import Wish, see_other
from gateway.web.visit import Visit, read_form, signed_in_of, visit_of


class Needs(code_page.Needs, Protocol):
    @property
    def product(self) -> str: ...
    @property
    def security(self) -> SecurityService: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def store(self) -> Store: ...


class TOTPPages(CodePage):
    factor: ClassVar[Factor] = Factor.TOTP
    template = "totp/code.html"

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._issuer = needs.product  # shown in the authenticator app
        self._security = needs.security
        self._side = needs.side
        self._store = needs.store
        self._totp = needs.factors.find(TOTPFactor)

    # During sign-in.

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login/totp: `code`, `next`; to enrol also `offered`."""
        form = await read_form(request)
        offered, code = form.text("offered"), Secret(form.text("code"))
        if not offered:
            return await super().submit(request)
        visit = visit_of(request)
        return await self.enrol(visit, self._answers.wish_of_form(form), offered, code, visit.now)

    async def page(
        self,
        visit: Visit,
        evidence: Evidence,
        wish: Wish,
        now: int,
        problem: Problem | None = None,
        offered: str = "",
        is_lost: bool = False,
    ) -> web.Response:
        if self.factor in evidence.account.enrolled:
            return await super().page(visit, evidence, wish, now, problem, offered, is_lost)
        if evidence.next is not None and evidence.next != self.factor:
            return self._answers.step(evidence.next, wish)
        if evidence.next is None:  # a page needs a fresh proof of a factor that is optional for this account
            return see_other(f"{self._url('security_totp')}?{Wish(wish.target).query}")
        status, wait, minutes = judge(problem, now)
        action, start_over = self._answers.steps[self.factor], self._answers.steps[Factor.PASSWORD]
        account = evidence.account
        shown = await self._offer(account.id, account.identifier, offered, now)
        return self._renderer.page(
            "totp/enrol.html", None, status=status, wait=wait, minutes=minutes, problem=name_of(problem),
            action=action, start_over=start_over, wish=wish, is_needed=False,
            passkey=f"{self._answers.steps[Factor.PASSKEY]}?{wish.query}", **shown,
        )  # fmt: skip

    async def facts(self, evidence: Evidence, wish: Wish) -> Mapping[str, object]:
        async with self._store.reading() as tx:
            enrolment = await find_enrolment(tx, evidence.account.id)
        return {"clock": enrolment.clock, "other": f"{self._answers.steps[Factor.BACKUP_CODE]}?{wish.query}"}

    # Under /me/security.

    async def show_set_up(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/totp: the QR code of a new secret."""
        wish = Wish(self._answers.only(request.query.getall("next", [])))
        return await self._set_up(visit_of(request), wish, is_needed="next" in request.query)

    async def set_up(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/totp: `offered`, `code`; `next` if a page requires TOTP."""
        form = await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        wish, is_needed = Wish(self._answers.only([form.text("next")])), bool(form.text("next"))
        offered, code, now = form.text("offered"), Secret(form.text("code")), visit.now
        match await self._security.enrol(session, self.factor, offered, code, visit.inbound, now):
            case Wrong():
                return await self._set_up(visit, wish, is_needed=is_needed, offered=offered, status=422)
            case Changed(signed_in, codes) if signed_in is not None:
                # Via the overview, which offers to sign out all other devices.
                target = f"{self._url('security')}?done=enabled&{wish.query}"
                page = show_codes(self._renderer, self._url, visit, codes, account=session.identifier, target=target)
                return self._answers.with_session(page, visit, signed_in)
            case _:
                return see_other(self._url("security"))

    async def confirm_off(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/off"""
        session = signed_in_of(request)
        left = session.enrolled.without(self.factor)
        may_turn_off = session.second.is_met_by(left)
        return self._renderer.page(
            "totp/confirm-off.html", visit_of(request), may_turn_off=may_turn_off, has_other=left.has_second
        )

    async def turn_off(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/off"""
        await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        news = News(Event.TWO_FACTOR_DISABLED, "totp_disabled")
        changed = await self._security.remove(session, self.factor, news, visit.inbound, visit.now)
        return see_other(self._url("security") + ("?done=disabled" if isinstance(changed, Changed) else ""))

    async def _set_up(
        self, visit: Visit, wish: Wish, *, is_needed: bool, offered: str = "", status: int = 200
    ) -> web.Response:
        """Show the enrolment page. `is_needed`: the page that the person asked for requires TOTP."""
        session = visit.session
        if session is None:
            raise web.HTTPForbidden
        shown = await self._offer(session.account, session.identifier, offered, visit.now)
        return self._renderer.page(
            "totp/enrol.html", visit, status=status, minutes=0, problem="" if status == 200 else "wrong",
            action=self._url("security_totp"), start_over="", passkey="", wish=wish, is_needed=is_needed, **shown,
        )  # fmt: skip

    async def _offer(self, account: str, identifier: str, offered: str, now: int) -> dict[str, Any]:
        """Return the template's values for the secret: the one offered already (after a wrong code), or a new one."""
        secret = self._totp.reopen(account, offered, now) if offered else None
        if secret is None:
            secret, offered = self._totp.offer(account, now)
        uri = provisioning_uri(secret, identifier, self._issuer)
        key, picture = grouped(write_key(secret)), await self._side.run(draw, uri)
        return {"who": identifier, "offered": offered, "uri": uri, "key": key, "picture": picture}


def grouped(key: str) -> str:
    """Return a key in groups of four characters, for typing."""
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))
