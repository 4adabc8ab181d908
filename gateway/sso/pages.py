"""Pages of single sign-on: to a company's provider, back from it, and the mailed confirmation of a first arrival.

What leads to the provider is a page that goes on by itself, because the Content-Security-Policy lets no form lead to
another site, redirects included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from aiohttp import web

from gateway.accounts.links import LinkState
from gateway.login import step_pages
from gateway.login.outcome import GoOn, LockedOut, OtherNetwork, SignedIn
from gateway.login.step_pages import StepPages
from gateway.model.factor import Factor
from gateway.model.token import key_of, new_token
from gateway.sso.arrival import Arrivals, is_from
from gateway.sso.consoles import Part, find_place
from gateway.sso.factor import SSO
from gateway.sso.oidc.record import Refused
from gateway.sso.oidc.request import read_answer
from gateway.sso.outcome import Mailed, NotSignedIn, Tried, TriedInVain
from gateway.sso.reasons import REASONS
from gateway.sso.rows import Registered
from gateway.sso.sign_on import SignOn
from gateway.web.redirects import Wish, set_cookie
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.return_to import HOME
from gateway.web.visit import Visit, asked_of, read_form, visit_of
from gateway.wire.cookies import SSO_COOKIE

BROWSER_SECONDS = 43_200
MAX_EMAIL = 320
AGAIN = ("cancelled", "other")  # what a second attempt with the same provider may change


class Needs(step_pages.Needs, Protocol):
    @property
    def arrivals(self) -> Arrivals: ...
    @property
    def sign_on(self) -> SignOn: ...


class SSOPages(StepPages):
    factor: ClassVar[Factor] = SSO

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._service = needs.sign_on
        self._arrivals = needs.arrivals

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /login/sso: ask for the email, whose domain leads to the provider."""
        visit, wish = visit_of(request), self._answers.wish_of_query(request)
        return self._form(visit, wish, asked_of(request, "email"), tenant=await self._tenant_of(visit, wish))

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login/sso: `email` or `tenant`, and `next`."""
        form = await read_form(request)
        visit, wish, email = visit_of(request), self._answers.wish_of_form(form), form.text("email")
        tenant = form.text("tenant") or (await self._tenant_of(visit, wish) if not email else "")
        found = await (self._service.find_by_tenant(tenant) if tenant else self._service.find_by_email(email))
        if found is None and not tenant and not email.strip():
            return self._form(visit, wish, "")
        if found is None:
            return self._form(visit, wish, email, problem="none", status=422, tenant=tenant)
        return await self.lead(visit, wish, found)

    async def direct(self, request: web.Request) -> web.StreamResponse:
        """GET /login/sso/{tenant}: straight to the tenant's provider, or first a question (see is_lured)."""
        visit, wish, tenant = visit_of(request), self._answers.wish_of_query(request), request.match_info["tenant"]
        found = await self._service.find_by_tenant(tenant)
        if found is None:
            return self._form(visit, wish, "", problem="none", status=404)
        if is_seen(visit) and not is_lured(visit, tenant):
            return await self.lead(visit, wish, found)
        company, host = await self._service.find_name(tenant), urlsplit(found.provider.issuer).hostname
        return self._renderer.page(
            "sso/direct.html", None, wish=wish, tenant=tenant, company=company, host=host, signed_in=visit.signed_in
        )

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """GET /login/sso/callback/{tenant}: what the tenant's provider answers."""
        visit, answer = visit_of(request), read_answer(request.rel_url.raw_query_string)
        if not is_seen(visit):
            return self._refused(Wish(HOME), "late", 400)
        if isinstance(answer, Refused):
            refused = await self._service.refuse(answer, visit, visit.now)
            if isinstance(refused, LockedOut):
                return self._locked_out(visit, Wish(HOME), refused.until)
            return self._refused(Wish(HOME), refused.why, 400)
        outcome, wish = await self._service.complete(request.match_info["tenant"], visit, answer, visit.now)
        wish = replace(wish, target=self._answers.only([wish.target]))
        match outcome:
            case SignedIn() | GoOn() | OtherNetwork():
                self._counts.note(self.factor, outcome)
                return await self.proceed(visit, Wish(wish.target), outcome, visit.now)
            case LockedOut(until):
                return self._locked_out(visit, wish, until)
            case NotSignedIn(why):
                return self._refused(wish, why, tenant=request.match_info["tenant"])
            case Mailed(identifier):
                return self._renderer.page("sso/mailed.html", None, email=identifier)
            case Tried():
                place = find_place(Part.CLAIMS, outcome.kind)
                return self._renderer.page("sso/tried.html", visit, tried=outcome, place=place)
            case TriedInVain():
                return self._in_vain(visit, outcome)

    async def open(self, request: web.Request) -> web.StreamResponse:
        """GET /login/sso/link/{token}: a button, or why the link is of no use. Read-only."""
        visit = visit_of(request)
        mailed = await self._arrivals.look(request.match_info["token"])
        if mailed is None or mailed.state(visit.now) is not LinkState.GOOD:
            return self._link_gone()
        state = "good" if is_from(mailed, visit.inbound) else "elsewhere"
        wish = Wish(self._answers.only([mailed.target or HOME]))
        return self._renderer.page("sso/confirm.html", None, state=state, email=mailed.identifier, wish=wish)

    def _link_gone(self) -> web.Response:
        return self._renderer.page("sso/confirm.html", None, status=410, state="gone", email="", wish=Wish(HOME))

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """POST /login/sso/link/{token}"""
        await read_form(request)
        visit = visit_of(request)
        confirmed = await self._arrivals.confirm(request.match_info["token"], visit.inbound, visit.now)
        if confirmed is None:
            return self._link_gone()
        wish = Wish(self._answers.only([confirmed.target]))
        return self._renderer.page(
            "sso/linked.html", None, way=f"{self._url('sso_tenant', tenant=confirmed.tenant)}?{wish.query}"
        )

    async def lead(self, visit: Visit, wish: Wish, found: Registered, *, is_trial: bool = False) -> web.Response:
        """Lead to the provider, and give the browser the cookie that its answer has to come with."""
        token = new_token()
        browser = visit.inbound.sso_key or key_of(token)
        session = visit.session if wish.again or is_trial else None
        begun = await self._service.begin(
            found, browser, wish.target, visit.inbound, visit.now,
            session=session, is_trial=is_trial, is_stale=is_stale(visit),
        )  # fmt: skip
        match begun:
            case TriedInVain():
                return self._in_vain(visit, begun)
            case NotSignedIn(why):
                return self._refused(wish, why, 502 if why == "provider" else 422)
            case LockedOut(until):
                return self._locked_out(visit, wish, until)
            case address:
                page = self._renderer.page("sso/lead.html", None, address=address)
                if visit.inbound.sso_key is None:
                    set_cookie(page, SSO_COOKIE.decode("ascii"), token, BROWSER_SECONDS)
                return page

    def _in_vain(self, visit: Visit, outcome: TriedInVain) -> web.Response:
        reason = REASONS[outcome.refused.reason]
        place = find_place(reason.place, outcome.kind)
        said = outcome.refused.detail
        return self._renderer.page("sso/failed.html", visit, status=422, reason=reason, place=place, said=said)

    def _locked_out(self, visit: Visit, wish: Wish, until: int) -> web.Response:
        wait = seconds_until(until, visit.now)
        return self._renderer.page(
            "sso/refused.html", None, status=429, wait=wait, why="busy", minutes=minutes_of(wait), wish=wish, again=""
        )

    def _refused(self, wish: Wish, why: str, status: int = 422, tenant: str = "") -> web.Response:
        """`tenant` is set if its provider has answered this browser's request: then the person can try again."""
        again = f"{self._url('sso_tenant', tenant=tenant)}?{wish.query}" if tenant and why in AGAIN else ""
        return self._renderer.page("sso/refused.html", None, status=status, why=why, minutes=0, wish=wish, again=again)

    async def _tenant_of(self, visit: Visit, wish: Wish) -> str:
        """Return the tenant of the session or attempt that needs the provider's word; "" if there is none."""
        if wish.again and visit.session is not None:
            return visit.session.tenant
        evidence = await self._flow.find(visit, again=False, now=visit.now)
        return evidence.account.tenant if evidence is not None and evidence.missing == SSO else ""

    def _form(
        self, visit: Visit, wish: Wish, email: str, problem: str = "", status: int = 200, tenant: str = ""
    ) -> web.Response:
        known = visit.session if wish.again else None
        return self._renderer.page(
            "sso/ask.html", visit if known else None, status=status, wish=wish, email=email[:MAX_EMAIL],
            problem=problem, known=known, tenant=tenant,
        )  # fmt: skip


def is_stale(visit: Visit) -> bool:
    """Whether the browser has a session that came from a provider, and lacks something now: a fresh proof, maybe."""
    return visit.session is not None and visit.signed_in is None and SSO in visit.session.factors


def is_lured(visit: Visit, tenant: str) -> bool:
    """Whether a person may not know whose sign-in this is: another site sends them, or they are another tenant's.

    A tenant's provider may answer at once with whom it likes. Without a question, a link would sign its readers in to
    another person's account, which then shows that person what they enter (login CSRF), and end their own session.
    """
    is_from_elsewhere = visit.inbound.value(b"sec-fetch-site") in (b"cross-site", b"same-site")
    return is_from_elsewhere or (visit.signed_in is not None and visit.signed_in.tenant != tenant)


def is_seen(visit: Visit) -> bool:
    """Whether somebody sees the answer. Another site can make its visitors' browsers load much else from here.

    By pictures and frames, it could begin sign-ins until the address of a whole office is locked. A browser that looks
    ahead, and whoever checks a link, must not use an answer up.
    """
    inbound = visit.inbound
    return inbound.method != "HEAD" and inbound.is_page and inbound.value(b"sec-purpose") is None
