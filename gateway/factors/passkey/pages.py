"""Pages of passkeys: ask for one, and those under /me/security to add, rename and remove them.

A ceremony is run by static/passkey.js: it asks for the options, passes them to the browser, and sends the answer as a
form, so that what follows is an ordinary page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Protocol

from aiohttp import web

from gateway.accounts import rows as account_rows
from gateway.actions.action import Actions
from gateway.factors.contract import Reason, Wrong
from gateway.factors.passkey import ceremony
from gateway.factors.passkey.addresses import related_hosts
from gateway.factors.passkey.factor import PasskeyFactor
from gateway.factors.passkey.first import NotThisOne, PasskeySignIn, holder_of
from gateway.factors.passkey.names import name_of as name_of_model
from gateway.factors.passkey.rows import MAX_KEYS
from gateway.factors.passkey.service import PasskeyService
from gateway.login import code_page
from gateway.login.code_page import CodePage, Problem, helper_of, judge, name_of
from gateway.login.evidence import Evidence
from gateway.login.new_codes import show_codes
from gateway.login.outcome import GoOn, LockedOut, OtherNetwork, Refused, SignedIn
from gateway.login.security import Changed, SecurityService
from gateway.model.base64url import encode_base64url
from gateway.model.factor import Factor
from gateway.model.factor_policy import Second
from gateway.model.secret import Secret
from gateway.model.token import key_of, new_token
from gateway.sessions import attempt
from gateway.settings.record import Settings
from gateway.store import Store
from gateway.throttle.address_limit import AddressLimit
from gateway.throttle.limits import Limit
from gateway.throttle.side_work import SideWork
from gateway.web.redirects import Wish, see_other, set_cookie
from gateway.web.rendering import minutes_of, seconds_until
from gateway.web.visit import Form, Visit, asked_of, read_form, signed_in_of, visit_of

# How long the sign-in page may stay open. The cookie that its challenges are bound to has no row in the store.
PAGE_SECONDS = 12 * 3_600


class Needs(code_page.Needs, Protocol):
    @property
    def actions(self) -> Actions: ...
    @property
    def code_limit(self) -> Limit: ...
    @property
    def security(self) -> SecurityService: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def side(self) -> SideWork: ...
    @property
    def store(self) -> Store: ...


class PasskeyPages(CodePage):
    factor: ClassVar[Factor] = Factor.PASSKEY
    template = "passkey/ask.html"

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self._security = needs.security
        self._side = needs.side
        self._store = needs.store
        self._related = list(related_hosts(needs.settings))
        self._passkey = needs.factors.find(PasskeyFactor)
        self._service = PasskeyService(needs.store, needs.actions, needs.flow, needs.factors, self._passkey.site)
        self._first = PasskeySignIn(
            store=needs.store,
            actions=needs.actions,
            flow=needs.flow,
            challenges=self._passkey.challenges,
            site=self._passkey.site,
            policy=needs.settings.factor_policy,
            limit=AddressLimit("passkey", needs.code_limit),
        )

    # During sign-in.

    async def options(self, request: web.Request) -> web.StreamResponse:
        """POST /login/passkey/options: JSON with what the browser needs to ask for a passkey, or to `enrol` one."""
        form = await read_form(request)
        visit, wish = visit_of(request), self._answers.wish_of_form(form)
        evidence = await self._flow.find(visit, again=wish.again, now=visit.now)
        is_enrolment = bool(form.text("enrol"))
        if evidence is None or not (evidence.may_enrol if is_enrolment else evidence.admits)(self._passkey):
            return web.json_response({"error": "gone"}, status=409)
        async with self._store.reading() as tx:
            if is_enrolment:
                options, asking = await self._passkey.offer(tx, evidence.account, evidence.holder, visit.now)
            else:
                options, asking = await self._passkey.ask(tx, evidence.asked, visit.now)
        return web.json_response({"options": options, "challenge": asking.sealed})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /login/passkey: `challenge`, `answer`, `next`; to enrol one also `enrol`."""
        form = await read_form(request)
        await self._side.run(ceremony.load)
        if not form.text("enrol"):
            return await super().submit(request)
        visit, wish = visit_of(request), self._answers.wish_of_form(form)
        evidence = await self._flow.find(visit, again=wish.again, now=visit.now)
        if evidence is None:
            return self._answers.restart(visit, wish)
        return await self.enrol(visit, wish, evidence.holder, self.given_in(form), visit.now)

    def given_in(self, form: Form) -> Secret[str]:
        """Return the sealed challenge and the browser's answer, as the factor takes them."""
        return Secret(f"{form.text('challenge')} {form.text('answer')}")

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
        if evidence.may_enrol(self._passkey) and not (wish.only and self.factor in evidence.account.enrolled):
            return await self._enrol_page(evidence, wish, problem, now)
        if self.factor in evidence.account.enrolled:
            return await super().page(visit, evidence, wish, now, problem, offered, is_lost)
        if evidence.next is not None and evidence.next != self.factor:
            return self._answers.step(evidence.next, wish)
        return see_other(f"{self._url('passkeys')}?{Wish(wish.target).query}")  # a rule requires one

    async def _enrol_page(self, evidence: Evidence, wish: Wish, problem: Problem | None, now: int) -> web.Response:
        """Show the page that adds a passkey during sign-in."""
        status, wait, _ = judge(problem, now)
        is_lost_one = self.factor in evidence.account.enrolled
        own = f"{self._answers.steps[self.factor]}?{replace(wish, only=True).query}"
        totp = f"{self._answers.steps[Factor.TOTP]}?{wish.query}"
        return self._renderer.page(
            "passkey/enrol.html",
            None,
            models=await self._name_models(evidence.account.tenant),
            status=status,
            wait=wait,
            problem=name_of(problem),
            wish=wish,
            who=evidence.account.identifier,
            start_over=self._answers.steps[Factor.PASSWORD],
            action=self._answers.steps[self.factor],
            options=self._url("passkey_options"),
            own=own if is_lost_one else "",
            totp=totp if evidence.missing == Factor.TOTP else "",
            helper=helper_of(evidence),
        )

    async def facts(self, evidence: Evidence, wish: Wish) -> Mapping[str, object]:
        """The other ways, unless only a passkey counts. A backup code then still helps to sign in, but not later."""
        enrolled, is_only = evidence.account.enrolled, evidence.second is Second.PHISHING_RESISTANT
        has_totp = Factor.TOTP in enrolled and not is_only and not wish.only
        has_codes = not wish.only and not (is_only and evidence.missing is None)
        async with self._store.reading() as tx:
            former = await self._passkey.find_former_address(tx, evidence.account.id)
        return {
            "former_address": former,
            "options": self._url("passkey_options"),
            "totp": f"{self._answers.steps[Factor.TOTP]}?{wish.query}" if has_totp else "",
            "backup": f"{self._answers.steps[Factor.BACKUP_CODE]}?{wish.query}" if has_codes else "",
            "add": self._place_to_add(evidence, wish) if wish.only else "",
        }

    def _place_to_add(self, evidence: Evidence, wish: Wish) -> str:
        """Return the URL at which the person can add a passkey now; "" if they must sign in anew to do so."""
        if evidence.may_enrol(self._passkey):
            return f"{self._answers.steps[Factor.PASSKEY]}?{replace(wish, only=False).query}"
        if evidence.missing is None and evidence.second is not Second.PHISHING_RESISTANT:
            return f"{self._url('passkeys')}?{Wish(wish.target).query}"
        return ""

    # Instead of a password.

    async def first_options(self, request: web.Request) -> web.StreamResponse:
        """POST /login/passkey/first-options: JSON with what the browser needs to ask for a passkey of this site."""
        form = await read_form(request)
        visit, wish = visit_of(request), self._answers.wish_of_form(form)
        token = new_token()
        holder = holder_of(visit.inbound) or holder_of(visit.inbound._replace(attempt_key=key_of(token)))
        options, asking = await self._first.ask(holder or "", visit.session if wish.again else None, visit.now)
        response = web.json_response({"options": options, "challenge": asking.sealed})
        if visit.inbound.attempt_key is None:
            set_cookie(response, attempt.COOKIE, token, PAGE_SECONDS)
        return response

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """POST /login/passkey/first: `challenge`, `answer`, `next`."""
        form = await read_form(request)
        visit, wish = visit_of(request), self._answers.wish_of_form(form)
        await self._side.run(ceremony.load)
        holder, confirmed = holder_of(visit.inbound), visit.session if wish.again else None
        outcome = await self._first.sign_in(holder or "", confirmed, self.given_in(form), visit, visit.now)
        self._counts.note(self.factor, Refused(Wrong()) if isinstance(outcome, NotThisOne) else outcome)
        known = visit if confirmed else None
        match outcome:
            case SignedIn() | GoOn() | OtherNetwork():
                return await self.proceed(visit, wish, outcome, visit.now)
            case NotThisOne(why, credential):
                site = self._passkey.site
                # Of a shared RP ID, a passkey that is unknown here may be that of another site.
                unknown = "" if site.is_shared else encode_base64url(credential)
                return self._renderer.page(
                    "passkey/refused.html", known, status=422, why=why, unknown=unknown, rp_id=site.rp_id, wish=wish
                )
            case LockedOut(until):
                wait = seconds_until(until, visit.now)
                return self._renderer.page(
                    "passkey/refused.html", known, status=429, wait=wait,
                    why="locked", unknown="", minutes=minutes_of(wait), wish=wish,
                )  # fmt: skip

    async def related_origins(self, request: web.Request) -> web.StreamResponse:
        """GET /.well-known/webauthn, at the host of the RP ID: the other origins at which its passkeys may be used."""
        # Browsers ask on behalf of a page of another site.
        return web.json_response({"origins": self._related}, headers={"Cross-Origin-Resource-Policy": "cross-origin"})

    # Under /me/security.

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/passkeys: add one."""
        wish = Wish(self._answers.only(request.query.getall("next", [])))
        is_full = len(await self._service.list_all(signed_in_of(request))) >= MAX_KEYS
        return await self._add_page(request, wish, Reason.MANY.value if is_full else "", 200)

    async def creation_options(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/passkeys/options: JSON with what the browser needs to make a passkey."""
        await read_form(request)
        visit, session = visit_of(request), signed_in_of(request)
        async with self._store.reading() as tx:
            account = await account_rows.find(tx, session.account)
            if account is None:
                raise web.HTTPForbidden
            options, asking = await self._passkey.offer(tx, account, session.id, visit.now)
        return web.json_response({"options": options, "challenge": asking.sealed})

    async def add(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/passkeys: `challenge`, `answer`; `next` if a page requires a passkey."""
        form = await read_form(request)
        wish = Wish(self._answers.only([form.text("next")]))
        visit, session = visit_of(request), signed_in_of(request)
        await self._side.run(ceremony.load)
        match await self._security.enrol(
            session, self.factor, session.id, self.given_in(form), visit.inbound, visit.now
        ):
            case Changed(signed_in, codes) if signed_in is not None:
                target = f"{self._url('security')}?done=passkey-added&{wish.query}"
                page = see_other(target)
                if codes:
                    page = show_codes(
                        self._renderer, self._url, visit, codes, account=session.identifier, target=target
                    )
                return self._answers.with_session(page, visit, signed_in)
            case Wrong(reason):
                return await self._add_page(request, wish, reason.value, 422)
            case _:
                return see_other(self._url("security"))

    async def show_one(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/passkey: rename or remove the one with the `id`."""
        return await self._change_page(request, asked_of(request, "id"))

    async def show_only(self, request: web.Request) -> web.StreamResponse:
        """GET /me/security/passkeys-only: ask for confirmation."""
        return await self._only_page(request, 200)

    async def choose_only(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/passkeys-only: `on` or nothing."""
        form = await read_form(request)
        visit, session, is_on = visit_of(request), signed_in_of(request), bool(form.text("on"))
        if not await self._service.accept_only(session, is_on, visit.inbound, visit.now):
            return await self._only_page(request, 422)
        return see_other(f"{self._url('security')}?done={'passkeys-only' if is_on else 'passkeys-and-others'}")

    async def _only_page(self, request: web.Request, status: int) -> web.Response:
        session = signed_in_of(request)
        may_turn_on = await self._service.may_accept_only(session)
        return self._renderer.page(
            "passkey/only.html", visit_of(request), status=status, may_turn_on=may_turn_on,
            is_on=session.enrolled.only_passkeys,
        )  # fmt: skip

    async def _change_page(self, request: web.Request, passkey: str, problem: str = "") -> web.Response:
        session = signed_in_of(request)
        passkeys = await self._service.list_all(session)
        found = next((own for own in passkeys if own.id == passkey), None)
        if found is None:
            raise web.HTTPNotFound
        is_last = len(passkeys) == 1 and not session.enrolled.has_second_besides(self.factor)
        return self._renderer.page(
            "passkey/change.html", visit_of(request), status=422 if problem else 200, problem=problem, passkey=found,
            may_remove=await self._service.may_remove(session, found), is_last=is_last,
        )  # fmt: skip

    async def change(self, request: web.Request) -> web.StreamResponse:
        """POST /me/security/passkey: `id` and `name`, or `remove`."""
        form = await read_form(request)
        visit, session, passkey = visit_of(request), signed_in_of(request), form.text("id")
        if form.text("remove"):
            done = await self._service.remove(session, passkey, visit.inbound, visit.now)
            word, problem = "passkey-removed", "kept"
        else:
            done = await self._service.rename(session, passkey, form.text("name"), visit.inbound, visit.now)
            word, problem = "passkey-renamed", "name"
        return (
            see_other(f"{self._url('security')}?done={word}")
            if done
            else await self._change_page(request, passkey, problem)
        )

    async def _name_models(self, tenant: str) -> list[str]:
        """Return the names of the only models that a tenant's people can add."""
        async with self._store.reading() as tx:
            models = await account_rows.find_models(tx, tenant)
        return [await self._side.run(name_of_model, model) or model for model in models]

    async def _add_page(self, request: web.Request, wish: Wish, problem: str, status: int) -> web.Response:
        return self._renderer.page(
            "passkey/add.html",
            visit_of(request),
            status=status,
            problem=problem,
            wish=wish,
            action=self._url("passkeys"),
            options=self._url("passkeys_options"),
            models=await self._name_models(signed_in_of(request).tenant),
        )
