"""Pages that ask for a backup code, and that create new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from aiohttp import web

from gateway.factors.contract import News
from gateway.login import code_page
from gateway.login.code_page import CodePage
from gateway.login.evidence import Evidence
from gateway.login.new_codes import show_codes
from gateway.login.security import Changed, NotAllowed, SecurityService
from gateway.model.event import Event
from gateway.model.factor import Factor, ask_for
from gateway.model.factor_policy import Second
from gateway.web.redirects import Wish, see_other
from gateway.web.visit import read_form, signed_in_of, visit_of


class Needs(code_page.Needs, Protocol):
    @property
    def security(self) -> SecurityService: ...


class BackupCodePages(CodePage):
    factor: ClassVar[Factor] = Factor.BACKUP_CODE
    template = "backup_code/code.html"

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._security = needs.security

    async def facts(self, evidence: Evidence, wish: Wish) -> Mapping[str, object]:
        other = ask_for(Factor.TOTP, evidence.account.enrolled) or Factor.TOTP
        return {
            "other": f"{self._answers.steps[other]}?{wish.query}",
            "is_passkey": other == Factor.PASSKEY,
            "is_recovery": evidence.second is Second.PHISHING_RESISTANT and evidence.missing is not None,
        }

    async def confirm_renewal(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/codes: ask for confirmation, since the old codes stop working."""
        return self._renderer.page("backup_code/confirm.html", visit_of(request))

    async def renew(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/codes. No redirect: this response is the only place that shows the new codes."""
        await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        news = News(Event.TWO_FACTOR_CODES_REGENERATED, "backup_codes_regenerated")
        match await self._security.renew(session, self.factor, news, visit.inbound, visit.now):
            case Changed(_, codes):
                target = f"{self._url('security')}?done=regenerated"
                return show_codes(self._renderer, self._url, visit, codes, account=session.identifier, target=target)
            case NotAllowed():
                return see_other(self._url("security"))
